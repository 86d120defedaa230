package redisqueue

import (
	"context"

	"github.com/redis/rueidis"
)

func (e *Engine) noteKey() string { return "{" + e.prefix + "}:notes" }

// Note stores a short text for all processes, then returns the text stored under other, ""
// for none.
func (e *Engine) Note(ctx context.Context, name, text, other string) (string, error) {
	l, err := e.connect(ctx)
	if err != nil {
		return "", e.wrapError(ctx, "note "+name, err)
	}
	call, cancel := e.withTimeout(ctx)
	defer cancel()
	c := l.exchange
	done := c.DoMulti(call,
		c.B().Hset().Key(e.noteKey()).FieldValue().FieldValue(name, text).Build(),
		c.B().Hget().Key(e.noteKey()).Field(other).Build())
	if err := done[0].Error(); err != nil {
		return "", e.wrapError(ctx, "note "+name, err)
	}
	found, err := done[1].ToString()
	if rueidis.IsRedisNil(err) {
		return "", nil
	}
	return found, e.wrapError(ctx, "read note "+other, err)
}

// Notes returns all notes by name.
func (e *Engine) Notes(ctx context.Context) (map[string]string, error) {
	l, err := e.connect(ctx)
	if err != nil {
		return nil, e.wrapError(ctx, "read notes", err)
	}
	call, cancel := e.withTimeout(ctx)
	defer cancel()
	c := l.exchange
	texts, err := c.Do(call, c.B().Hgetall().Key(e.noteKey()).Build()).AsStrMap()
	return texts, e.wrapError(ctx, "read notes", err)
}

// DropNotes deletes notes.
func (e *Engine) DropNotes(ctx context.Context, names ...string) error {
	l, err := e.connect(ctx)
	if err != nil {
		return e.wrapError(ctx, "drop notes", err)
	}
	call, cancel := e.withTimeout(ctx)
	defer cancel()
	c := l.exchange
	return e.wrapError(ctx, "drop notes", c.Do(call, c.B().Hdel().Key(e.noteKey()).Field(names...).Build()).Error())
}
