// Package doctor looks at an installation as somebody would who is called at
// night: configuration, secrets, servers, disk, clock, ports, lines, endpoints.
// It says of each whether it is ok, a warning or broken, and how to fix it. It must
// never change anything, send a message, or print a secret.
package doctor

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// States of a Finding.
const (
	OK      = "ok"
	Warning = "warning"
	Broken  = "broken"
)

// Areas, in the order of the report.
const (
	Configuration = "configuration"
	Flow          = "flow"
	Secrets       = "secrets"
	Redis         = "redis"
	PostgreSQL    = "postgresql"
	Store         = "store"
	Disk          = "disk"
	Clock         = "clock"
	Port          = "port"
	Router        = "router"
	Lines         = "lines"
	Endpoints     = "endpoints"
)

// Finding is the result of one check.
type Finding struct {
	Area  string `json:"area"`
	State string `json:"state"`
	Text  string `json:"text"`
	Fix   string `json:"cure,omitempty"`
}

// Report is the result of all checks.
type Report struct {
	Findings []Finding `json:"findings"`
	Warnings int       `json:"warnings"`
	Broken   int       `json:"broken"`
}

// Options configure Run. Config is required; it may be the readable part of a bad one.
type Options struct {
	Config *config.Config
	// Problem is the error of config.Load.
	Problem error
	// Files are the files that Load read: the configuration and secrets.
	Files []string
	// Lang is es or en. Texts of other programs stay in their language.
	Lang string
	// Flow reads the flow and compares it with the configuration.
	Flow func() error
	// Admin is a client of the router that runs in data_dir; nil if none does.
	Admin *http.Client
	// Timeout bounds each request; 10 s if 0.
	Timeout time.Duration
}

// doctor collects findings.
type doctor struct {
	Options
	redact   *redact.Redactor
	mu       sync.Mutex
	findings map[string][]Finding
	clocks   []clock
}

// clock is a server's clock compared with this machine's.
type clock struct {
	server string
	ahead  time.Duration
}

// Run runs all checks, those of other servers concurrently.
func Run(ctx context.Context, o Options) Report {
	o.Timeout = cmp.Or(o.Timeout, 10*time.Second)
	d := &doctor{Options: o, redact: redact.New(o.Config.Secrets()...), findings: map[string][]Finding{}}
	d.configuration()
	d.flow()
	d.secrets()
	d.disk()
	var asked sync.WaitGroup
	for _, ask := range []func(context.Context){d.redis, d.postgres, d.port, d.router, d.lines, d.endpoints} {
		asked.Go(func() { ask(ctx) })
	}
	asked.Wait()
	d.clock()
	return d.report()
}

func (d *doctor) report() Report {
	r := Report{Findings: []Finding{}}
	for _, area := range []string{Configuration, Flow, Secrets, Redis, PostgreSQL, Store, Disk, Clock, Port, Router, Lines, Endpoints} {
		for _, f := range d.findings[area] {
			r.Findings = append(r.Findings, f)
			switch f.State {
			case Warning:
				r.Warnings++
			case Broken:
				r.Broken++
			}
		}
	}
	return r
}

func (d *doctor) say(text lang.Text, args ...any) string { return text.In(d.Lang, args...) }

func (d *doctor) add(area, state, text, fix string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.findings[area] = append(d.findings[area], Finding{Area: area, State: state, Text: d.redact.Words(text), Fix: d.redact.Words(fix)})
}

func (d *doctor) ok(area string, text lang.Text, args ...any) {
	d.add(area, OK, d.say(text, args...), "")
}

func (d *doctor) warn(area, text, fix string) { d.add(area, Warning, text, fix) }

func (d *doctor) broken(area, text, fix string) { d.add(area, Broken, text, fix) }

// withTimeout bounds one request.
func (d *doctor) withTimeout(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d.Timeout)
}

// noteClock records how far a server's clock is ahead.
func (d *doctor) noteClock(server string, ahead time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.ContainsFunc(d.clocks, func(c clock) bool { return c.server == server }) {
		d.clocks = append(d.clocks, clock{server, ahead})
	}
}

// errorText returns an error in one line, without secrets.
func (d *doctor) errorText(err error) string {
	return d.redact.Text(strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " "))
}
