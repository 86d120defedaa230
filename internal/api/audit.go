package api

import (
	"context"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/store"
)

// AuditPage is a page of the audit.
type AuditPage struct {
	_          struct{} `additionalProperties:"true"`
	Items      []Audit  `json:"items" nullable:"false" doc:"What was done, newest first."`
	NextCursor *string  `json:"next_cursor" example:"1042" doc:"cursor of the next page; null after the last."`
}

func (s *server) registerAudit() {
	register(s, operation{
		id: "listAudit", method: http.MethodGet, path: "/audit", tag: tagAudit, role: Admin,
		summary: "List what was done, newest first",
		about: "Every write that had an effect: messages of people, commands, paused queues, redriven or dropped dead letters. " +
			"A row about no conversation has an empty conversation_id; only keys without a scope see it.",
	}, func(ctx context.Context, actor caller, in *Page) (*output[AuditPage], error) {
		items, next, err := scan(actor, in.Limit, in.Cursor, func(before string, most int) ([]store.AuditEntry, error) {
			return s.opts.Store.Audit(ctx, before, most)
		}, func(a store.AuditEntry) (Audit, string, bool) {
			return auditView(a.AuditRow), a.Cursor, actor.unscoped() || a.Conversation != "" && actor.sees(a.Line, a.Area)
		})
		return &output[AuditPage]{AuditPage{Items: items, NextCursor: next}}, err
	})
}

func auditView(a store.AuditRow) Audit {
	return Audit{Conversation: a.Conversation, Actor: a.Actor, Action: a.Action, Detail: a.Detail, At: timePtr(a.At)}
}

// recordAudit writes an audit row about queues. Operators need queues most while the store
// is down: a row that cannot be written is logged, and the command goes on.
func (s *server) recordAudit(ctx context.Context, actor caller, action, detail string) {
	s.opts.Log.Info(action, "detail", detail, "actor", actor.name)
	err := s.opts.Store.AddAudit(context.WithoutCancel(ctx), store.AuditRow{Actor: actor.name, Action: action, Detail: detail, At: s.opts.Now()})
	if err != nil {
		s.opts.Log.Error("audit row lost", "action", action, "detail", detail, "actor", actor.name, "error", err)
	}
}
