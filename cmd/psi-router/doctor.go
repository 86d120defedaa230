package main

import (
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/doctor"
	"github.com/psivisionhub/psi-router/internal/lang"
)

type doctorCmd struct{}

func (doctorCmd) Help() string {
	return `It looks at the configuration and its secrets, Redis, PostgreSQL, disk, clock, port, the router that runs, each line at WhatsApp, and each endpoint; it changes nothing and sends nothing. Each finding is ok, a warning or broken, and says how to fix it. It exits with 1 when something is broken.

Run it as the user that runs the router, with its environment.

Examples:
  psi-router doctor --config psi-router.yaml
  psi-router doctor --config psi-router.yaml --lang en
  psi-router doctor --json | jq '.findings[] | select(.state != "ok")'`
}

func (doctorCmd) Run(e *env) error {
	r, err := e.examine()
	if err != nil {
		return err
	}
	if !e.JSON {
		e.printDoctor(r)
	} else if err := e.printJSON(r); err != nil {
		return err
	}
	return failIf(r.Broken > 0)
}

// examine checks the installation that the configuration describes.
func (e *env) examine() (doctor.Report, error) {
	var files []string
	cfg, err := config.Load(config.Options{File: e.Config, Env: e.environ, ReadFile: func(name string) ([]byte, error) {
		files = append(files, name)
		return os.ReadFile(name)
	}})
	err = refuseOldNames(e.environ, err)
	admin, release := e.admin(cfg.DataDir)
	defer release()
	r := doctor.Run(e.ctx, doctor.Options{
		Config: cfg, Problem: err, Files: files, Lang: e.Lang, Flow: func() error { return app.CheckFlow(cfg) }, Admin: admin,
	})
	return r, e.ctx.Err()
}

// admin returns a client of the router that runs in dir, nil if none runs.
func (e *env) admin(dir string) (*http.Client, func()) {
	nothing := func() {}
	if _, err := os.Stat(dir); err != nil {
		return nil, nothing
	}
	socket, release, err := app.SocketPath(dir, app.SocketName)
	if err != nil {
		return nil, nothing
	}
	c, err := dialSocket(e.ctx, socket, 15*time.Second)
	if err != nil {
		release()
		return nil, nothing
	}
	return c, func() { c.CloseIdleConnections(); release() }
}

func (e *env) printDoctor(r doctor.Report) {
	last := ""
	for _, f := range r.Findings {
		area := e.say(doctorAreas[f.Area])
		if area == last {
			area = ""
		} else {
			last = area
		}
		mark := e.style(green, "✓")
		switch f.State {
		case doctor.Warning:
			mark = e.style(yellow, "!")
		case doctor.Broken:
			mark = e.style(red, "✗")
		}
		padding := strings.Repeat(" ", max(0, 14-utf8.RuneCountInString(area)))
		e.printf("%s %s%s %s\n", mark, e.style(bold, area), padding, oneLine(f.Text, 600))
		if f.Fix != "" {
			e.printf("  %14s %s %s\n", "", e.style(dim, "→"), oneLine(f.Fix, 600))
		}
	}
	e.printf("\n")
	switch {
	case r.Broken > 0:
		e.printf("%s %s\n", e.style(red, "✗"), e.count(r.Broken, doctorBroken, doctorBrokens))
	case r.Warnings > 0:
		e.printf("%s %s\n", e.style(yellow, "!"), e.count(r.Warnings, doctorWarning, doctorWarnings))
	default:
		e.printf("%s %s\n", e.style(green, "✓"), e.say(doctorOK))
	}
}

// count chooses between the singular and the plural.
func (e *env) count(n int, one, many lang.Text) string {
	if n == 1 {
		return e.say(one)
	}
	return e.say(many, n)
}
