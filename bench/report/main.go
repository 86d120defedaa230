// Command report measures the program on this machine, section by section, and writes
// docs/benchmarks.md. A JSON file beside it keeps the figures, so that one section can be
// measured again without the others:
//
//	go run ./bench/report -only plan,turns
//
// It starts every server that it needs and asserts nothing: machines are noisy.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// part is a section of the page, and how to measure it.
type part struct {
	name, title string
	measure     func(context.Context, *run) (*section, error)
}

// parts lists the sections in the order of the page.
func parts() []part {
	return []part{
		{"figures", "One process alone, everything embedded (SQLite)", embedded},
		{"plan", "Against the stack of the original plan", plan},
		{"noop", "Against other queues: jobs that do nothing", noop},
		{"slow", "500 requests/s over a slow PostgreSQL, Redis killed in the middle", slow},
		{"crm", "A CRM that misbehaves, at 300 messages/s", crm},
		{"fails", "A CRM that answers 500 for ten minutes, at 300 messages/s without a pause", fails},
		{"crm-fails", "A CRM that answers 500, at 300 messages/s for ten minutes, twice", crmFor("fails")},
		{"crm-slow", "A CRM that answers after 5 s, at 300 messages/s for ten minutes, twice", crmFor("slow")},
		{"crm-hangs", "A CRM that hangs, at 300 messages/s for ten minutes, twice", crmFor("hangs")},
		{"crm-gone", "A CRM that is gone, at 300 messages/s for ten minutes, twice", crmFor("gone")},
		{"crm-none", "No CRM at all, at 300 messages/s for ten minutes, twice", crmFor("")},
		{"flat", "The cost of a backlog in Redis", flat},
		{"turns", "Turns in PostgreSQL, without a queue", turns},
		{"queue", "The queue's engine on Redis by itself", engine},
	}
}

// run is one run of this program.
type run struct {
	dir   string // for its files
	small bool
	begin time.Time
	part  string
}

func main() {
	only := flag.String("only", "", "sections to measure, separated by commas; default all")
	out := flag.String("out", "docs/benchmarks", "path of the page, without the extension")
	small := flag.Bool("small", false, "small sizes, to test the program; the figures mean nothing")
	render := flag.Bool("render", false, "measure nothing, and write the page again from the JSON file")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := measure(ctx, *only, *out, *small, *render); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, only, out string, small, render bool) error {
	all := parts()
	var names []string
	for _, p := range all {
		names = append(names, p.name)
	}
	wanted := names
	if only != "" {
		wanted = strings.Split(only, ",")
		for _, w := range wanted {
			if !slices.Contains(names, w) {
				return fmt.Errorf("no section %q; the sections are %s", w, strings.Join(names, ", "))
			}
		}
	}
	if render {
		wanted = nil
	}
	p, err := load(out + ".json")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "psi-report-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // leftovers are in the temporary directory
	var failed error
	for i, name := range wanted {
		which := all[slices.Index(names, name)]
		r := &run{dir: filepath.Join(dir, name), small: small, begin: time.Now(), part: fmt.Sprintf("%d/%d %s", i+1, len(wanted), name)}
		if err := os.Mkdir(r.dir, 0o700); err != nil {
			return err
		}
		r.progress("begins: %s", which.title)
		s, err := which.measure(ctx, r)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			failed = errors.Join(failed, fmt.Errorf("section %s: %w", name, err))
			r.progress("failed: %v", err)
			continue
		}
		s.Small = small
		s.At = time.Now().UTC().Truncate(time.Second)
		s.Took = time.Since(r.begin).Round(time.Second).String()
		s.Command = "go run ./bench/report -only " + name
		s.Machine = describe(ctx)
		p.Sections[name] = s
		r.progress("done")
		if err := p.save(out+".json", out+".md", all); err != nil {
			return err
		}
	}
	if len(wanted) == 0 {
		return p.save(out+".json", out+".md", all)
	}
	return failed
}

// size chooses between the full and the small size.
func (r *run) size(full, small int) int {
	if r.small {
		return small
	}
	return full
}

func (r *run) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "[%s, %s] %s\n", r.part, time.Since(r.begin).Round(time.Second), fmt.Sprintf(format, args...))
}

// command runs a program, whose output matters only if it fails.
func (r *run) command(ctx context.Context, dir, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// output runs a program, shows its output line by line, and returns stdout.
func (r *run) output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var all bytes.Buffer
	show := &lines{say: func(l string) { r.progress("%s", l) }}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&all, show), show
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return all.String(), err
}

// lines is a writer that passes on whole lines.
type lines struct {
	rest []byte
	say  func(string)
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.say(string(line))
		l.rest = rest
	}
}
