package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/move"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/transfer"
)

type storeCmd struct {
	Move storeMove `cmd:"" help:"Take the store in data_dir to PostgreSQL."`
}

type storeMove struct {
	To     string `placeholder:"URL" help:"PostgreSQL to move to; without it database_url of the configuration."`
	DryRun bool   `help:"Only show what would be moved."`
	Undo   bool   `help:"Go back to the files; what happened since the move stays in PostgreSQL."`
}

func (storeMove) Help() string {
	return `Shut the door, wait for psi-router queue drain, and stop the router. Everything is copied, counted and compared; the files stay as they are, but nothing can use them any more. Killed half way it goes on when it is started again. In the end it says what to write into the configuration.

Examples:
  psi-router queue drain --config psi.yaml
  psi-router store move --config psi.yaml --dry-run
  psi-router store move --config psi.yaml --to postgres://psi@db.example.com/psi
  psi-router store move --config psi.yaml --undo`
}

func (c *storeMove) Run(e *env) error {
	cfg, err := e.engineConfig()
	if err != nil {
		return err
	}
	if c.Undo {
		return e.undo(cfg)
	}
	if c.To == "" && cfg.DatabaseURL.Empty() {
		return usage("where to? Give --to postgres://user@host/db, or set database_url")
	}
	e.addSecrets(cfg, c.To)
	show := e.progress()
	r, err := app.MoveStore(e.ctx, cfg, app.MoveOptions{To: c.To, DryRun: c.DryRun, Progress: show.tell})
	show.end()
	if err != nil {
		return e.notMoved(cfg, err)
	}
	return e.moved(r, e.advice(cfg, c.To)+"Keep data_dir: media files stay there, and store.db is the way back (psi-router store move --undo).\n")
}

func (e *env) undo(cfg *config.Config) error {
	was, err := app.UndoMoveStore(e.ctx, cfg)
	if err != nil {
		return e.notMoved(cfg, err)
	}
	done := "%s can be used again, as it was when the move began. Take database_url out of the configuration, and start the router.\n"
	if was == transfer.NotMoved {
		done = "%s was not moved: nothing to undo.\n"
	}
	return e.report(map[string]any{"data_dir": cfg.DataDir, "undone": was != transfer.NotMoved}, done, cfg.DataDir)
}

// notMoved returns the error of a move, with how to go on.
func (e *env) notMoved(cfg *config.Config, err error) error {
	switch {
	case e.ctx.Err() != nil:
		return problem("interrupted: run psi-router store move again and it goes on from here")
	case errors.Is(err, store.ErrUnavailable):
		return unreachable("%w. Run psi-router store move again and it goes on from here", e.redacted(err))
	}
	if _, missing := os.Stat(filepath.Join(cfg.DataDir, "store.db")); errors.Is(missing, fs.ErrNotExist) {
		return problem("there is no store.db in data_dir %s: name the configuration of the installation with --config", cfg.DataDir)
	}
	return problem("%w", e.redacted(err))
}

func (e *env) moved(r move.Report, advice string) error {
	if e.JSON {
		return e.printJSON(r)
	}
	table(e, []string{"part", "here", "there"}, r.Parts, func(p move.Part) []string {
		return []string{p.Name, thousands(p.Total), thousands(p.Moved)}
	})
	total, there := r.Totals()
	switch {
	case r.Already:
		e.printf("\nEverything was moved before; nothing is left to do.\n%s", advice)
	case r.DryRun:
		e.printf("\n%s rows would be moved. Nothing was changed.\n", thousands(total-min(there, total)))
	default:
		e.printf("\nThe store was moved: %s rows are in PostgreSQL, counted and compared.\n%s", thousands(there), advice)
	}
	return nil
}

// advice says what to write into the configuration.
func (e *env) advice(cfg *config.Config, to string) string {
	if to == "" || to == cfg.DatabaseURL.First() {
		return "The configuration names it already (database_url): start the router.\n"
	}
	file := cfg.File
	if file == "" {
		file = "the configuration (or PSI_DATABASE_URL)"
	}
	return "Now write in " + file + ":\n\n  database_url: " + redacted(to) + "\n\nand start the router.\n"
}

// redacted returns an address without its password.
func redacted(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "the address of --to"
	}
	if _, secret := u.User.Password(); secret {
		u.User = url.UserPassword(u.User.Username(), "PASSWORD")
	}
	return u.String()
}

// progress shows how far a move is: a bar on a terminal, else a line for each part.
type progress struct {
	e     *env
	bar   bool
	last  move.Part
	check bool
	began time.Time
	shown time.Time
	open  bool // the cursor is on the bar's line
}

func (e *env) progress() *progress {
	return &progress{e: e, bar: observe.IsTerminal(e.err) && e.color()}
}

const barWidth = 30

func (p *progress) tell(part move.Part, checking bool) {
	now := p.e.now()
	if part.Name != p.last.Name || checking != p.check {
		p.end()
		p.began, p.shown = now, time.Time{}
	}
	p.last, p.check = part, checking
	done := part.Moved >= part.Total
	if !p.bar || now.Sub(p.shown) < 100*time.Millisecond && !done {
		return
	}
	p.shown, p.open = now, true
	moved, total := part.Moved, part.Total
	if total == 0 { // an empty part is complete
		moved, total = 1, 1
	}
	rate := ""
	if took := now.Sub(p.began).Seconds(); took > 0.5 {
		rate = thousands(int64(float64(part.Moved)/took)) + "/s"
	}
	fmt.Fprintf(p.e.err, "\r%-10s %-16s %s %10s of %s  %s\x1b[K", p.verb(), part.Name,
		progressBar(moved, total, barWidth), thousands(part.Moved), thousands(part.Total), rate)
}

func (p *progress) verb() string {
	if p.check {
		return "comparing"
	}
	return "moving"
}

// end ends the line of a part.
func (p *progress) end() {
	switch {
	case p.open:
		fmt.Fprintln(p.e.err)
	case p.last.Name != "" && !p.bar && !p.e.JSON:
		fmt.Fprintf(p.e.err, "%s %s: %s of %s\n", p.verb(), p.last.Name, thousands(p.last.Moved), thousands(p.last.Total))
	}
	p.open, p.last = false, move.Part{}
}

// thousands formats a number with separators.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
