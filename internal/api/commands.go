package api

import (
	"context"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// HandoffBody is the body of a hand-off.
type HandoffBody struct {
	Area   string `json:"area" minLength:"1" maxLength:"100" example:"admin" doc:"The team, or an alias of it."`
	Tag    string `json:"tag,omitempty" maxLength:"100" example:"pagos" doc:"What it is about."`
	Reason string `json:"reason,omitempty" maxLength:"1000" example:"Pide factura" doc:"Why, in your words; the team reads it."`
}

// CommandBody is the body of a command.
type CommandBody struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" example:"Resuelto por teléfono" doc:"Why, in your words; kept in the audit."`
}

type (
	handoffIn struct {
		ByID
		Idempotent
		Body HandoffBody
	}
	commandIn struct {
		ByID
		Idempotent
		Body *CommandBody
	}
)

func (s *server) registerCommands() {
	register(s, operation{
		id: "handoffConversation", method: http.MethodPost, path: "/conversations/{id}/handoff", tag: tagConversations, role: Agent,
		summary: "Hand a conversation to a team", errors: []int{400, 404, 409, 413, 415},
		about: "Makes a ticket and silences the menu. To another area it is a transfer and keeps the ticket. " +
			"A key that is bound to areas may hand over to any area, and loses sight of the conversation if the area is not one of its own.",
	}, func(ctx context.Context, actor caller, in *handoffIn) (*writeOutput[Conversation], error) {
		area, err := s.areas.resolve(in.Body.Area, "body.area")
		if err != nil {
			return nil, err
		}
		return s.command(ctx, actor, in.ID, in.Idempotent, router.Command{
			Kind: router.CommandHandoff, Area: area, Tag: in.Body.Tag, Note: in.Body.Reason,
		})
	})
	for _, c := range []struct {
		kind           router.CommandKind
		summary, about string
	}{
		{router.CommandClose, "Close a conversation", "Resolves its ticket and clears its area. The next message of the person gets the menu."},
		{router.CommandReopen, "Reopen a closed conversation", "It is in the menu again; nothing is sent."},
		{router.CommandDisconnect, "Silence the bot", "People answer from elsewhere; the bot says nothing until it is reconnected. The line never changes."},
		{router.CommandReconnect, "Let the bot answer again", "The conversation is in the menu again; nothing is sent."},
		{router.CommandReset, "Start over", "Back to the start of the flow, from any state."},
	} {
		register(s, operation{
			id: string(c.kind) + "Conversation", method: http.MethodPost, path: "/conversations/{id}/" + string(c.kind),
			tag: tagConversations, role: Agent, summary: c.summary, errors: []int{400, 404, 409, 413, 415},
			about: c.about + " A repeat answers 200 and changes nothing. A key that is bound to areas " +
				"sees only conversations of those areas, so it loses sight of this one once the area is cleared.",
		}, s.commandHandler(c.kind))
	}
	register(s, operation{
		id: "dismissLeft", method: http.MethodPost, path: "/conversations/{id}/left/dismiss", tag: tagConversations, role: Agent,
		summary: "Take a person off the list of those without an answer", errors: []int{400, 404, 409, 413, 415},
		about: "Nothing is sent, and nothing else changes; the audit says who did it. A repeat answers 200 and changes nothing.",
	}, s.commandHandler(router.CommandDismiss))
}

// commandHandler returns the handler of a command that takes only a reason.
func (s *server) commandHandler(kind router.CommandKind) func(context.Context, caller, *commandIn) (*writeOutput[Conversation], error) {
	return func(ctx context.Context, actor caller, in *commandIn) (*writeOutput[Conversation], error) {
		cmd := router.Command{Kind: kind}
		if in.Body != nil {
			cmd.Note = in.Body.Reason
		}
		return s.command(ctx, actor, in.ID, in.Idempotent, cmd)
	}
}

func (s *server) command(ctx context.Context, actor caller, id string, in Idempotent, cmd router.Command) (*writeOutput[Conversation], error) {
	if !isPrintable(id) {
		return nil, notFound()
	}
	return execute(ctx, s, actor, in, []any{"command", id, cmd}, store.Command{Conversation: id, Command: cmd},
		func(c store.Conversation, _ *store.Message) Conversation { return s.conversationView(c) })
}
