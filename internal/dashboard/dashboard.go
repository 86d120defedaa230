// Package dashboard is the status page at "/": one sentence about the state of the router,
// and below it lines, queues and checks. It shows what it is given; it must never command
// anything, name a person, or load a file from elsewhere.
package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Status is the content of the page.
type Status struct {
	Version string
	Now     time.Time
	Started time.Time
	// Lines are the configured lines, in the order to show them.
	Lines  []Line
	Queues []queue.Stats
	Gauges store.Gauges
	Checks []Check
	Alerts []Alert // firing alerts
	// Sandbox adds a link to the sandbox.
	Sandbox bool
}

// Line is one configured line; the gauges have the time of its last message.
type Line struct {
	ID       string
	Provider string // cloud, evolution, n8n
	// Problem is why the line does not work, "" if it does.
	Problem string
}

// Alert is a firing alert.
type Alert struct {
	Critical bool
	Since    time.Time
	// Text is what is wrong and what to do, in es or en.
	Text func(language string) (problem, fix string)
}

// Check is one thing that the router needs.
type Check struct {
	Name   string // store, queue, disk, …
	OK     bool
	Info   bool   // the router works without it
	Detail string // the error, or the state
}

// Options configure New. Status is required. It is called for every view and should answer
// within a second or two, even if a dependency does not.
type Options struct {
	Status func(ctx context.Context) Status
	Log    *slog.Logger // nil discards
}

//go:embed page.html page.css page.js
var files embed.FS

// viewTimeout bounds one view.
const viewTimeout = 5 * time.Second

type page struct {
	status   func(ctx context.Context) Status
	template *template.Template
	css, js  string
	policy   string
	log      *slog.Logger
}

// New returns the handler of "/" alone.
func New(o Options) (http.Handler, error) {
	if o.Status == nil {
		return nil, errors.New("dashboard: Status is required")
	}
	p := &page{status: o.Status, log: cmp.Or(o.Log, slog.New(slog.DiscardHandler))}
	var err error
	if p.template, err = template.ParseFS(files, "page.html"); err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	css, err := files.ReadFile("page.css")
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	js, err := files.ReadFile("page.js")
	if err != nil {
		return nil, fmt.Errorf("dashboard: %w", err)
	}
	p.css, p.js = string(css), string(js)
	p.policy = "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" +
		"; style-src " + cspHash(css) + "; script-src " + cspHash(js)
	return p, nil
}

// cspHash allows exactly this text in a content security policy.
func cspHash(text []byte) string {
	sum := sha256.Sum256(text)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "use GET", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), viewTimeout)
	defer cancel()
	v := newView(p.status(ctx), r.URL.Query().Get("lang"))
	v.CSS, v.JS = template.CSS(p.css), template.JS(p.js)
	name := "page.html"
	if r.URL.Query().Has("fragment") {
		name = "main"
	}
	var out bytes.Buffer
	if err := p.template.ExecuteTemplate(&out, name, v); err != nil {
		p.log.Error("status page failed", "error", err)
		http.Error(w, "status page failed", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", p.policy)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	w.Write(out.Bytes())
}
