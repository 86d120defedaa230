package api

import (
	"context"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// ConversationPage is a page of conversations.
type ConversationPage struct {
	_          struct{}       `additionalProperties:"true"`
	Items      []Conversation `json:"items" nullable:"false" doc:"Conversations, the one with the newest message first; with left=true, the one that waits longest."`
	NextCursor *string        `json:"next_cursor" example:"0199f3e0c1" doc:"cursor of the next page; null after the last."`
}

// MessagePage is a page of messages.
type MessagePage struct {
	_          struct{}  `additionalProperties:"true"`
	Items      []Message `json:"items" nullable:"false" doc:"Messages, oldest first."`
	NextCursor *string   `json:"next_cursor" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a03" doc:"cursor of the next page; null after the last."`
}

// ByID names a conversation. Embedded in inputs.
type ByID struct {
	ID string `path:"id" maxLength:"300" doc:"Id of the conversation." example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02"`
}

type (
	output[T any] struct{ Body T }

	conversationsIn struct {
		Page
		Phone  string `query:"phone" maxLength:"100" doc:"A phone, in any usual spelling." example:"5491100000001"`
		UserID string `query:"user_id" maxLength:"300" doc:"A business-scoped user id." example:"AR.10000000000000000001"`
		Line   string `query:"line" maxLength:"100" doc:"A line." example:"wsp4"`
		Area   string `query:"area" maxLength:"100" doc:"An area, or an alias of one." example:"admin"`
		State  string `query:"state" enum:"menu,handed_off,closed,disconnected" doc:"A state." example:"handed_off"`
		Left   bool   `query:"left" doc:"Only people left without an answer to a message of the last seven days, the oldest message first." example:"false"`
	}
	messagesIn struct {
		ByID
		Page
	}
)

func (s *server) registerConversations() {
	register(s, operation{
		id: "listConversations", method: http.MethodGet, path: "/conversations", tag: tagConversations, role: Viewer,
		summary: "List conversations, newest first",
		about: "A conversation has to match every filter. Only conversations on the lines and in the areas of the key are listed: " +
			"a person who was left without an answer is in no area, so a key that is bound to areas sees none of them.",
	}, s.listConversations)
	register(s, operation{
		id: "getConversation", method: http.MethodGet, path: "/conversations/{id}", tag: tagConversations, role: Viewer,
		summary: "Read a conversation", errors: []int{404},
		about: "Who it is with, who has it, and until when free messages may be sent.",
	}, func(ctx context.Context, actor caller, in *ByID) (*output[Conversation], error) {
		c, err := s.visibleConversation(ctx, actor, in.ID)
		if err != nil {
			return nil, err
		}
		return &output[Conversation]{s.conversationView(c)}, nil
	})
	register(s, operation{
		id: "listMessages", method: http.MethodGet, path: "/conversations/{id}/messages", tag: tagConversations, role: Viewer,
		summary: "List the messages of a conversation, oldest first", errors: []int{404},
		about: "Every message of either side, unhandled ones included, each with its status and reason.",
	}, s.listMessages)
}

// visibleConversation returns a conversation that the caller may see.
func (s *server) visibleConversation(ctx context.Context, actor caller, id string) (store.Conversation, error) {
	return s.loadConversation(ctx, id, func(c store.Conversation) bool { return actor.sees(c.Line, c.Area) })
}

// loadConversation returns a conversation that visible allows.
func (s *server) loadConversation(ctx context.Context, id string, visible func(store.Conversation) bool) (store.Conversation, error) {
	if !isPrintable(id) {
		return store.Conversation{}, notFound()
	}
	c, err := s.opts.Store.Conversation(ctx, id)
	if err == nil && !visible(c) {
		err = notFound()
	}
	return c, err
}

func (s *server) listConversations(ctx context.Context, actor caller, in *conversationsIn) (*output[ConversationPage], error) {
	area, err := s.areas.resolve(in.Area, "query.area")
	if err != nil {
		return nil, err
	}
	f := store.Filter{
		Phone: in.Phone, UserID: in.UserID, Line: in.Line, Area: area,
		State: router.State(in.State),
	}
	if in.Left {
		f.LeftAfter = s.opts.Now().Add(-store.LeftFor)
	}
	out := &output[ConversationPage]{ConversationPage{Items: []Conversation{}}}
	for _, value := range []string{f.Phone, f.UserID, f.Line, in.Cursor} {
		if value != "" && !isPrintable(value) {
			return out, nil
		}
	}
	if !actor.unscoped() {
		if f.Line == "" && len(actor.lines) == 1 {
			f.Line = actor.lines[0]
		}
		if f.Area == "" && len(actor.areas) == 1 {
			f.Area = actor.areas[0]
		}
		if (f.Line != "" && !actor.seesLine(f.Line)) || (f.Area != "" && !actor.seesArea(f.Area)) {
			return out, nil
		}
	}
	out.Body.Items, out.Body.NextCursor, err = scan(actor, in.Limit, in.Cursor, func(before string, most int) ([]store.Conversation, error) {
		f.Before, f.Limit = before, most
		return s.opts.Store.Conversations(ctx, f)
	}, func(c store.Conversation) (Conversation, string, bool) {
		return s.conversationView(c).shortened(), c.Cursor, actor.sees(c.Line, c.Area)
	})
	return out, err
}

func (s *server) listMessages(ctx context.Context, actor caller, in *messagesIn) (*output[MessagePage], error) {
	if _, err := s.visibleConversation(ctx, actor, in.ID); err != nil {
		return nil, err
	}
	out := &output[MessagePage]{MessagePage{Items: []Message{}}}
	if in.Cursor != "" && !isPrintable(in.Cursor) {
		return out, nil
	}
	rows, err := s.opts.Store.Messages(ctx, in.ID, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, err
	}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		out.Body.NextCursor = &rows[in.Limit-1].ID
	}
	for _, m := range rows {
		out.Body.Items = append(out.Body.Items, messageView(m).shortened())
	}
	return out, nil
}
