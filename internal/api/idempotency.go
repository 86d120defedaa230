package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Idempotent is the header that makes a repeated write harmless. Embedded in inputs.
type Idempotent struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"200" doc:"A key of yours for this one write, kept for 24 h. If no answer came, send the same body with the same key: the write is done once, and you get the first answer." example:"0b6f2c1e-0d0a-4f63-9a86-6c2f0a3c5d11"`
}

// writeOutput is the answer of a write.
type writeOutput[T any] struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when the key was used before: this is the first answer."`
	Body     T
}

// located is an answer that knows its line and conversation.
type located interface {
	where() (line, conversation string)
}

func (c Conversation) where() (line, conversation string) { return c.Line, c.ID }
func (m Message) where() (line, conversation string)      { return m.Line, m.Conversation }

// execute runs a command, at most once per Idempotency-Key, and wakes delivery, on a replay
// too: the first wake-up may have been lost. request is hashed to detect a reused key.
func execute[T located](ctx context.Context, s *server, actor caller, in Idempotent, request any, cmd store.Command,
	view func(store.Conversation, *store.Message) T,
) (*writeOutput[T], error) {
	cmd.Actor, cmd.CanSee = actor.name, func(c store.Conversation) bool { return actor.sees(c.Line, c.Area) }
	if in.IdempotencyKey != "" {
		if !isPrintable(in.IdempotencyKey) {
			return nil, invalid("header.Idempotency-Key", "not printable", "Use letters and digits, a UUID for example.")
		}
		hash, err := requestHash(request)
		if err != nil {
			return nil, err
		}
		cmd.Idempotency = &store.Idempotency{Key: in.IdempotencyKey, Hash: hash, Answer: func(c store.Conversation, m *store.Message) []byte {
			answer, err := json.Marshal(view(c, m))
			if err != nil {
				return nil // views always marshal
			}
			return answer
		}}
	}
	done, err := s.opts.Store.Command(ctx, s.opts.Now(), cmd)
	if err != nil {
		return nil, err
	}
	out := &writeOutput[T]{}
	if done.Replayed == nil {
		out.Body = view(done.Conversation, done.Message)
	} else {
		out.Replayed = "true"
		if err := json.Unmarshal(done.Replayed, &out.Body); err != nil {
			return nil, fmt.Errorf("read the stored answer: %w", err)
		}
	}
	if cmd.Draft == nil || !cmd.Draft.Notice { // the scanner wakes notices
		line, conversation := out.Body.where()
		s.opts.Wake(ctx, line, conversation)
	}
	return out, nil
}

// requestHash returns the same hash for the same request, however its JSON was written.
func requestHash(request any) (string, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
