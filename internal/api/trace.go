package api

import (
	"context"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Trace is everything known about one key.
type Trace struct {
	_             struct{}       `additionalProperties:"true"`
	Conversations []Conversation `json:"conversations" nullable:"false" doc:"The conversations that the key leads to, newest first."`
	Messages      []Message      `json:"messages" nullable:"false" doc:"Their messages, oldest first."`
	Handoffs      []Handoff      `json:"handoffs" nullable:"false" doc:"The hand-offs, with their times."`
	Audit         []Audit        `json:"audit" nullable:"false" doc:"The commands that were carried out, and by whom."`
	Records       []Record       `json:"records" nullable:"false" doc:"Arrivals that belong to no conversation."`
}

// Handoff is one hand-off that happened.
type Handoff struct {
	_            struct{}   `additionalProperties:"true"`
	Conversation string     `json:"conversation_id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02" doc:"Its conversation."`
	Ticket       string     `json:"ticket" example:"PSI-2026-000123" doc:"The ticket."`
	FromArea     string     `json:"from_area" example:"" doc:"The team that had it before."`
	Area         string     `json:"area" example:"admin" doc:"The team that got it."`
	Tag          string     `json:"tag" example:"pagos" doc:"What it is about."`
	Note         string     `json:"note" example:"Pide factura" doc:"Why, in somebody's words."`
	By           string     `json:"by" example:"router" doc:"Who did it."`
	At           *time.Time `json:"at" example:"2026-11-24T10:00:01Z" doc:"When."`
}

// Audit is one command that was carried out.
type Audit struct {
	_            struct{}   `additionalProperties:"true"`
	Conversation string     `json:"conversation_id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02" doc:"Its conversation."`
	Actor        string     `json:"actor" example:"crm" doc:"Who: a key's name, cli, timer."`
	Action       string     `json:"action" example:"close" doc:"What."`
	Detail       string     `json:"detail" example:"" doc:"More about it."`
	At           *time.Time `json:"at" example:"2026-11-24T10:00:01Z" doc:"When."`
}

// Record is an arrival that belongs to no conversation.
type Record struct {
	_          struct{}   `additionalProperties:"true"`
	ID         string     `json:"id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a05" doc:"Our id."`
	Kind       string     `json:"kind" example:"unknown" doc:"What it is: account, history, unknown…"`
	Line       string     `json:"line" example:"" doc:"The line, when it is one of ours."`
	LineRef    string     `json:"line_ref" example:"999999999999999" doc:"The line as WhatsApp names it."`
	ProviderID string     `json:"provider_id" example:"wamid.HBgNNTQ5MTE=" doc:"WhatsApp's id of it, or a hash of what came."`
	Reason     string     `json:"reason" example:"unknown_line" doc:"Why it is a record only; see /reasons."`
	Detail     string     `json:"detail" example:"" doc:"What was wrong with an invalid one."`
	Raw        any        `json:"raw,omitempty" doc:"As it came."`
	ReceivedAt *time.Time `json:"received_at" example:"2026-11-24T10:00:01Z" doc:"When it reached us."`
}

type byKey struct {
	Key string `path:"key" maxLength:"300" doc:"A message id (ours or WhatsApp's), a conversation id, a ticket, a user id or a phone; percent-encode a slash as %2F." example:"5491100000001"`
}

func (s *server) registerTrace() {
	register(s, operation{
		id: "trace", method: http.MethodGet, path: "/trace/{key}", tag: tagConversations, role: Viewer,
		summary: "Find everything about a key", errors: []int{404},
		about: "What happened to a message or a person, and why, in one answer.",
	}, func(ctx context.Context, actor caller, in *byKey) (*output[Trace], error) {
		if !isPrintable(in.Key) {
			return nil, notFound()
		}
		found, err := s.opts.Store.Trace(ctx, in.Key)
		if err != nil {
			return nil, err
		}
		t := s.traceView(actor, found)
		if len(t.Conversations)+len(t.Records) == 0 {
			return nil, notFound()
		}
		return &output[Trace]{t}, nil
	})
}

// traceView returns the part of a trace that the caller may see.
func (s *server) traceView(actor caller, found store.Trace) Trace {
	visible := make(map[string]bool)
	for _, c := range found.Conversations {
		visible[c.ID] = actor.sees(c.Line, c.Area)
	}
	return Trace{
		Conversations: views(found.Conversations, func(c store.Conversation) bool { return visible[c.ID] }, s.conversationView),
		Messages:      views(found.Messages, func(m store.Message) bool { return visible[m.Conversation] }, messageView),
		Handoffs:      views(found.Handoffs, func(h store.HandoffRow) bool { return visible[h.Conversation] }, handoffView),
		Audit:         views(found.Audit, func(a store.AuditRow) bool { return visible[a.Conversation] }, auditView),
		Records:       views(found.Records, func(r store.Record) bool { return actor.seesLane(r.Line) }, recordView),
	}
}

func handoffView(h store.HandoffRow) Handoff {
	return Handoff{
		Conversation: h.Conversation, Ticket: h.Ticket, FromArea: h.FromArea, Area: h.Area,
		Tag: h.Tag, Note: h.Note, By: h.By, At: timePtr(h.At),
	}
}

func recordView(r store.Record) Record {
	v := Record{
		ID: r.ID, Kind: string(r.Kind), Line: r.Line, LineRef: r.LineRef, Reason: string(r.Reason),
		ProviderID: r.ProviderID, Detail: r.Detail, ReceivedAt: timePtr(r.ReceivedAt),
	}
	if len(r.Raw) > 0 {
		v.Raw = jsonOrText(r.Raw)
	}
	return v
}
