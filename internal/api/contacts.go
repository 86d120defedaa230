package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// errCannotBlock is the error of a line whose provider has no block.
var errCannotBlock = errors.New("the line's provider cannot block")

// blockTimeout bounds the request to WhatsApp to block a person.
const blockTimeout = 8 * time.Second

// maxLinesPerContact bounds the conversations of one person.
const maxLinesPerContact = 100

type contactIn struct {
	ID string `path:"id" maxLength:"300" doc:"Id of the contact." example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01"`
	Idempotent
	Body *CommandBody
}

func (s *server) registerContacts() {
	for _, c := range []struct {
		kind           router.CommandKind
		summary, about string
	}{
		{
			router.CommandBlock, "Block a person", "Nothing they write is answered any more, and nothing is sent to them, queued messages included. " +
				"WhatsApp is asked to block them too. Where it does not (it blocks only people who wrote within 24 h; Evolution lines cannot), " +
				"`blocked_here_only` stays true, and the audit has WhatsApp's words.",
		},
		{router.CommandUnblock, "Unblock a person", "Their messages are answered again. WhatsApp is asked to unblock them too."},
	} {
		register(s, operation{
			id: string(c.kind) + "Contact", method: http.MethodPost, path: "/contacts/{id}/" + string(c.kind),
			tag: tagConversations, role: Agent, summary: c.summary, errors: []int{400, 404, 409, 413, 415},
			about: c.about + " A repeat changes nothing here, and asks WhatsApp again. A key needs to see one of the person's conversations.",
		}, func(ctx context.Context, actor caller, in *contactIn) (*writeOutput[Contact], error) {
			return s.blockContact(ctx, actor, in, c.kind)
		})
	}
}

func (s *server) blockContact(ctx context.Context, actor caller, in *contactIn, kind router.CommandKind) (*writeOutput[Contact], error) {
	if !isPrintable(in.ID) {
		return nil, notFound()
	}
	all, err := s.opts.Store.Conversations(ctx, store.Filter{Contact: in.ID, Limit: maxLinesPerContact})
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(all, func(c store.Conversation) bool { return actor.sees(c.Line, c.Area) })
	if at < 0 {
		return nil, notFound()
	}
	cmd := router.Command{Kind: kind}
	if in.Body != nil {
		cmd.Note = in.Body.Reason
	}
	done, err := execute(ctx, s, actor, in.Idempotent, []any{kind, in.ID, cmd}, store.Command{Conversation: all[at].ID, Command: cmd},
		func(c store.Conversation, _ *store.Message) Conversation { return s.conversationView(c) })
	if err != nil {
		return nil, err
	}
	out := &writeOutput[Contact]{Replayed: done.Replayed, Body: done.Body.Contact}
	if done.Replayed != "" { // the stored answer is from before WhatsApp was asked
		out.Body = contactView(all[at])
		return out, nil
	}
	// WhatsApp's answer is recorded even if the caller is gone by then.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blockTimeout)
	defer cancel()
	answer := router.Command{Kind: router.CommandUnblocked}
	if kind == router.CommandBlock {
		answer.Kind = router.CommandBlocked
	}
	answer.Note = s.askToBlock(ctx, all, kind == router.CommandBlock)
	outcome := store.Command{Conversation: all[at].ID, Actor: actor.name, Command: answer}
	after, err := s.opts.Store.Command(context.WithoutCancel(ctx), s.opts.Now(), outcome)
	if err != nil {
		s.opts.Log.Warn("blocked here only: WhatsApp's answer could not be stored", "contact", in.ID, "error", err)
		return out, nil
	}
	out.Body = contactView(after.Conversation)
	return out, nil
}

// askToBlock asks all of the person's lines at once, and returns why some did not block; ""
// when all did.
func (s *server) askToBlock(ctx context.Context, all []store.Conversation, block bool) string {
	why := make([]string, len(all))
	var asked sync.WaitGroup
	for i, c := range all {
		asked.Go(func() {
			if err := s.opts.Block(ctx, c, block); err != nil {
				why[i] = c.Line + ": " + err.Error()
			}
		})
	}
	asked.Wait()
	why = slices.DeleteFunc(why, func(s string) bool { return s == "" })
	slices.Sort(why)
	return strings.Join(why, "; ")
}
