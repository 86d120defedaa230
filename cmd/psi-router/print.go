package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/psivisionhub/psi-router/internal/observe"
)

func (e *env) printJSON(v any) error {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	e.printf("%s", escapeHidden(out.String()))
	return nil
}

// report prints v with --json, else the text.
func (e *env) report(v any, format string, a ...any) error {
	if e.JSON {
		return e.printJSON(v)
	}
	e.printf(format, a...)
	return nil
}

func (e *env) printf(format string, a ...any) { fmt.Fprintf(e.out, format, a...) }

// color reports whether the output is a terminal that wants colours.
func (e *env) color() bool { return !e.plain() && !e.dumb() && observe.IsTerminal(e.out) }

// plain reports whether NO_COLOR asks for plain text.
func (e *env) plain() bool { return e.variable("NO_COLOR") != "" }

// dumb reports whether the terminal cannot move its cursor.
func (e *env) dumb() bool { return e.variable("TERM") == "dumb" }

func (e *env) variable(name string) string {
	value := ""
	for _, pair := range e.environ {
		if n, v, _ := strings.Cut(pair, "="); n == name {
			value = v
		}
	}
	return value
}

// interactive reports whether a person can answer.
func (e *env) interactive() bool {
	f, ok := e.in.(*os.File)
	return ok && observe.IsTerminal(f) && observe.IsTerminal(e.out)
}

// Styles for terminals.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

func (e *env) style(code, s string) string { return styled(e.color(), code, s) }

func styled(color bool, code, s string) string {
	if !color || code == "" || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// table prints a row for each item in aligned columns. The last one is not padded.
func table[T any](e *env, head []string, items []T, row func(T) []string) {
	rows := [][]string{head}
	for _, item := range items {
		rows = append(rows, row(item))
	}
	width := make([]int, len(head))
	for _, row := range rows {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	code := dim // of the head
	for _, row := range rows {
		last := len(row) - 1
		for i, cell := range row[:last] {
			e.printf("%s%s  ", e.style(code, cell), strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell)))
		}
		e.printf("%s\n", e.style(code, row[last]))
		code = ""
	}
}

// oneLine joins a text to one line of at most most characters.
func oneLine(s string, most int) string {
	return truncate(strings.Join(strings.Fields(singleLine(s)), " "), most)
}

func truncate(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func formatTime(t *time.Time, loc *time.Location) string {
	if t == nil || t.IsZero() {
		return "–"
	}
	return t.In(loc).Format("2006-01-02 15:04:05")
}

// age rounds a duration for people.
func age(d time.Duration) string {
	switch d = d.Abs(); {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	default:
		return fmt.Sprintf("%d d", int(d.Hours()/24))
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}
