// Package observe shows the state of the program: logs, metrics, health and status. It
// reads other parts through small functions. It must never decide anything, nor show a
// message text, a secret or a whole phone number.
package observe

import (
	"io"
	"log/slog"
	"time"

	"golang.org/x/term"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// NewLogger returns a logger that writes to w. level is debug, info, warn or error;
// format is json, text, or auto, which writes text to a terminal.
func NewLogger(w io.Writer, level, format string) *slog.Logger {
	var minLevel slog.Level
	if err := minLevel.UnmarshalText([]byte(level)); err != nil {
		minLevel = slog.LevelInfo
	}
	if format == "text" || format != "json" && IsTerminal(w) {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: minLevel, ReplaceAttr: chain(sanitizeAttr, shortTime)}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: minLevel, ReplaceAttr: chain(sanitizeAttr, durationText)}))
}

type replaceAttr = func(groups []string, a slog.Attr) slog.Attr

func chain(first, then replaceAttr) replaceAttr {
	return func(groups []string, a slog.Attr) slog.Attr { return then(groups, first(groups, a)) }
}

// sanitizeAttr is the last safeguard: every logged value is printable and of bounded
// length. Code that logs a value from outside cuts it shorter itself.
func sanitizeAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(sanitize.Text(a.Value.String()))
	case slog.KindAny:
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(sanitize.Text(err.Error()))
		}
	}
	return a
}

// durationText writes a duration as 68ms, not in nanoseconds.
func durationText(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// shortTime leaves out the date, for people at a terminal.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		if t, ok := a.Value.Any().(time.Time); ok {
			a.Value = slog.StringValue(t.Format("15:04:05.000"))
		}
	}
	return a
}

// IsTerminal reports whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
