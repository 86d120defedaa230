package redact

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Handler redacts every log record: the message and all values that are or become text. It is
// a safety net; code that logs somebody else's text redacts it anyway.
func (r *Redactor) Handler(next slog.Handler) slog.Handler { return handler{next, r} }

type handler struct {
	slog.Handler
	r *Redactor
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, rec slog.Record) error {
	out := slog.NewRecord(rec.Time, rec.Level, h.r.Text(rec.Message), rec.PC)
	rec.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(h.r.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(h.r.attrs(attrs)), h.r}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.r}
}

func (r *Redactor) attrs(all []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(all))
	for i, a := range all {
		out[i] = r.attr(a)
	}
	return out
}

func (r *Redactor) attr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(r.Text(v.String()))
	case slog.KindGroup:
		a.Value = slog.GroupValue(r.attrs(v.Group())...)
	case slog.KindAny:
		a.Value = r.value(v)
	default:
		a.Value = v
	}
	return a
}

// value redacts any other value by its text. A value without anything to redact is returned
// as it is.
func (r *Redactor) value(v slog.Value) slog.Value {
	text := fmt.Sprintf("%+v", v.Any())
	if _, isError := v.Any().(error); isError {
		return slog.StringValue(r.Text(text))
	}
	raw, err := json.Marshal(v.Any())
	switch said := r.Text(string(raw)); {
	case err != nil:
		return slog.StringValue(r.Text(text))
	case said == string(raw) && r.Text(text) == text:
		return v
	default:
		return slog.StringValue(said)
	}
}
