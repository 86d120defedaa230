package redisqueue

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

func (e *Engine) noteKey() string { return "{" + e.opts.Prefix + "}:notes" }

// Note stores a short text for all processes, then returns the text stored under other, ""
// for none.
func (e *Engine) Note(ctx context.Context, name, text, other string) (found string, err error) {
	err = e.call(ctx, "note "+name, func(ctx context.Context, l *links) error {
		c := l.exchange
		done := c.DoMulti(ctx,
			c.B().Hset().Key(e.noteKey()).FieldValue().FieldValue(name, text).Build(),
			c.B().Hget().Key(e.noteKey()).Field(other).Build())
		if err := done[0].Error(); err != nil {
			return err
		}
		found, err = done[1].ToString()
		if err != nil && !rueidis.IsRedisNil(err) {
			return fmt.Errorf("read note %s: %w", other, err)
		}
		return nil
	})
	return found, err
}

// Notes returns all notes by name.
func (e *Engine) Notes(ctx context.Context) (texts map[string]string, err error) {
	err = e.call(ctx, "read notes", func(ctx context.Context, l *links) error {
		texts, err = l.exchange.Do(ctx, l.exchange.B().Hgetall().Key(e.noteKey()).Build()).AsStrMap()
		return err
	})
	return texts, err
}

// DropNotes deletes notes.
func (e *Engine) DropNotes(ctx context.Context, names ...string) error {
	return e.call(ctx, "drop notes", func(ctx context.Context, l *links) error {
		return l.exchange.Do(ctx, l.exchange.B().Hdel().Key(e.noteKey()).Field(names...).Build()).Error()
	})
}
