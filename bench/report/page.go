package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// page is all sections, as the JSON file keeps them.
type page struct {
	Sections map[string]*section `json:"sections"`
}

// section is the result of one measurement.
type section struct {
	At       time.Time         `json:"at"`
	Took     string            `json:"took"`
	Command  string            `json:"command"`
	Small    bool              `json:"small,omitempty"`
	Machine  machine           `json:"machine"`
	Versions map[string]string `json:"versions,omitempty"`
	Rows     []row             `json:"rows"`
	Notes    []string          `json:"notes,omitempty"`
}

// row is one figure.
type row struct {
	What   string             `json:"what"`
	Value  float64            `json:"value"`
	Unit   string             `json:"unit"`
	Detail string             `json:"detail,omitempty"`
	Aim    string             `json:"aim,omitempty"`
	Met    *bool              `json:"met,omitempty"` // nil without an aim
	Raw    map[string]float64 `json:"raw,omitempty"`
}

func (s *section) add(r row) { s.Rows = append(s.Rows, r) }
func (s *section) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// aim is the bound that a figure should keep.
type aim struct {
	text  string
	bound float64
	least bool
}

func atLeast(n float64, unit string) aim {
	return aim{text: "at least " + human(n) + " " + unit, bound: n, least: true}
}

func atMost(n float64, unit string) aim {
	return aim{text: "at most " + human(n) + " " + unit, bound: n}
}

// atMostNone is the aim for faults: none.
func atMostNone() aim { return aim{text: "none"} }

func (a aim) met(v float64) *bool {
	if a.text == "" {
		return nil
	}
	ok := v <= a.bound
	if a.least {
		ok = v >= a.bound
	}
	return &ok
}

// median needs at least one value.
func median(values []float64) float64 {
	all := slices.Sorted(slices.Values(values))
	if n := len(all); n%2 == 0 {
		return (all[n/2-1] + all[n/2]) / 2
	}
	return all[len(all)/2]
}

func load(path string) (*page, error) {
	p := &page{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, p)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the earlier figures: %w", err)
	}
	if p.Sections == nil {
		p.Sections = map[string]*section{}
	}
	return p, nil
}

func (p *page) save(data, text string, parts []part) error {
	out, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(data), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(data, append(out, '\n'), 0o644); err != nil { //nolint:gosec // for everybody
		return err
	}
	return os.WriteFile(text, []byte(p.markdown(parts, filepath.Base(data))), 0o644) //nolint:gosec // for everybody
}

func (p *page) markdown(parts []part, data string) string {
	var b strings.Builder
	b.WriteString("# Benchmarks\n\n`make bench` writes this page; the raw figures are in [" + data + "](" + data + "). ")
	b.WriteString("The command under a title measures its section again. Load, servers and program share the machine, so the figures are lower bounds. ")
	b.WriteString("Compare only rows of one section: they were measured in one run.\n\n")
	b.WriteString("| aim | missed by |\n| --- | --- |\n")
	missed := 0
	for _, part := range parts {
		s := p.Sections[part.name]
		if s == nil {
			continue
		}
		for _, r := range s.Rows {
			if r.Met != nil && !*r.Met {
				fmt.Fprintf(&b, "| %s: %s | %s, measured %s %s |\n", part.title, r.Aim, r.What, human(r.Value), r.Unit)
				missed++
			}
		}
	}
	if missed == 0 {
		b.WriteString("| every aim below | nothing |\n")
	}
	for _, part := range parts {
		if s := p.Sections[part.name]; s != nil {
			s.markdown(&b, part.title)
		}
	}
	return b.String()
}

func (s *section) markdown(b *strings.Builder, title string) {
	fmt.Fprintf(b, "\n## %s\n\n`%s`, %s, in %s.", title, s.Command, s.At.Format(time.DateOnly), s.Took)
	if s.Small {
		b.WriteString(" **Small sizes, to test the program: these figures mean nothing.**")
	}
	fmt.Fprintf(b, "\n%s.", s.Machine)
	if len(s.Versions) > 0 {
		var all []string
		for _, k := range slices.Sorted(maps.Keys(s.Versions)) {
			all = append(all, k+" "+s.Versions[k])
		}
		b.WriteString(" " + strings.Join(all, ", ") + ".")
	}
	b.WriteString("\n\n| what | measured | aim | |\n| --- | ---: | --- | --- |\n")
	for _, r := range s.Rows {
		fmt.Fprintf(b, "| %s | %s %s | %s | %s |\n", cell(r.What), human(r.Value), r.Unit, cell(r.mark()), cell(r.Detail))
	}
	for _, n := range s.Notes {
		b.WriteString("\n- " + n)
	}
	if len(s.Notes) > 0 {
		b.WriteString("\n")
	}
}

func (r row) mark() string {
	switch {
	case r.Met == nil:
		return cmp.Or(r.Aim, "–")
	case *r.Met:
		return r.Aim + " ✓"
	default:
		return r.Aim + " ✗"
	}
}

func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// human formats a number for people.
func human(v float64) string {
	digits := 0
	switch {
	case v < 10:
		digits = 2
	case v < 100:
		digits = 1
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	whole, rest, _ := strings.Cut(s, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		return whole + "." + rest
	}
	return whole
}
