// Package observe is how the program is looked at: logs, metrics, health and
// status. It reads what others hand it in small functions; it must never
// decide anything, nor show a message text, a secret or a whole phone number.
package observe

import (
	"io"
	"log/slog"
	"time"

	"golang.org/x/term"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

// Log returns a logger that writes to w. level is debug, info, warn or error;
// format is json, text, or auto, which writes text to a terminal.
func Log(w io.Writer, level, format string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo
	}
	if format == "text" || format != "json" && Terminal(w) {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: both(clean, clock)}))
	}
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: both(clean, durations)}))
}

type replace = func(groups []string, a slog.Attr) slog.Attr

func both(first, then replace) replace {
	return func(groups []string, a slog.Attr) slog.Attr { return then(groups, first(groups, a)) }
}

// clean is the last net: whatever is logged can be printed, and has an end. Who
// logs a value of the outside has cut it shorter before.
func clean(_ []string, a slog.Attr) slog.Attr {
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

// durations writes 68ms, not the number of nanoseconds.
func durations(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		a.Value = slog.StringValue(a.Value.Duration().String())
	}
	return a
}

// clock shortens the time for people: the date is on their wall.
func clock(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		if t, ok := a.Value.Any().(time.Time); ok {
			a.Value = slog.StringValue(t.Format("15:04:05.000"))
		}
	}
	return a
}

// Terminal reports whether somebody watches what is written to w.
func Terminal(w io.Writer) bool {
	f, ok := w.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}
