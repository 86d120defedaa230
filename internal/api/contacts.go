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

// errCannotBlock is why a line blocks nobody at the provider.
var errCannotBlock = errors.New("the line's provider cannot block")

// blockTimeout is for how long WhatsApp is asked to block somebody too.
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
			router.CommandBlock, "Block a person", "Nothing that they write is answered any more, and nothing is sent to them, what waits included. " +
				"WhatsApp is asked to block them too; where it does not (it only blocks who wrote within 24 h; Evolution lines cannot), " +
				"`blocked_here_only` stays true, and the audit has its words.",
		},
		{router.CommandUnblock, "Unblock a person", "What they write is answered again. WhatsApp is asked to unblock them too."},
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
	all, err := s.store.Conversations(ctx, store.Filter{Contact: in.ID, Limit: maxLinesPerContact})
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
	if done.Replayed != "" { // what was kept is from before WhatsApp was asked
		out.Body = s.contactView(all[at])
		return out, nil
	}
	// The caller may be gone by then: what WhatsApp says is noted all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), blockTimeout)
	defer cancel()
	answer := router.Command{Kind: router.CommandUnblocked}
	if kind == router.CommandBlock {
		answer.Kind = router.CommandBlocked
	}
	answer.Note = s.askToBlock(ctx, all, kind == router.CommandBlock)
	outcome := store.Command{Conversation: all[at].ID, Actor: actor.name, Command: answer}
	after, err := s.store.Command(context.WithoutCancel(ctx), s.now(), outcome)
	if err != nil {
		s.log.Warn("blocked here only: what WhatsApp said could not be noted", "contact", in.ID, "error", err)
		return out, nil
	}
	out.Body = s.contactView(after.Conversation)
	return out, nil
}

// askToBlock asks all lines that know the person at once, and returns why some did not;
// "" when all did.
func (s *server) askToBlock(ctx context.Context, all []store.Conversation, block bool) string {
	why := make([]string, len(all))
	var asked sync.WaitGroup
	for i, c := range all {
		asked.Go(func() {
			if err := s.block(ctx, c, block); err != nil {
				why[i] = c.Line + ": " + err.Error()
			}
		})
	}
	asked.Wait()
	why = slices.DeleteFunc(why, func(s string) bool { return s == "" })
	slices.Sort(why)
	return strings.Join(why, "; ")
}
