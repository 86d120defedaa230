package redisqueue

import (
	"context"

	"github.com/redis/rueidis"
)

func (e *Engine) noteKey() string { return "{" + e.prefix + "}:notes" }

// Note keeps a short text for all processes.
func (e *Engine) Note(ctx context.Context, name, text string) error {
	l, err := e.connect(ctx)
	if err != nil {
		return e.fail(ctx, "note "+name, err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	c := l.exchange
	err = c.Do(call, c.B().Hset().Key(e.noteKey()).FieldValue().FieldValue(name, text).Build()).Error()
	return e.fail(ctx, "note "+name, err)
}

// Noted returns what was noted last, "" for nothing.
func (e *Engine) Noted(ctx context.Context, name string) (string, error) {
	l, err := e.connect(ctx)
	if err != nil {
		return "", e.fail(ctx, "read note "+name, err)
	}
	call, cancel := e.bound(ctx)
	defer cancel()
	c := l.exchange
	text, err := c.Do(call, c.B().Hget().Key(e.noteKey()).Field(name).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return text, e.fail(ctx, "read note "+name, err)
}
