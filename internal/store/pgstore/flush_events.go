package pgstore

import (
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

func (tx *txState) writeEvents(b *pgx.Batch) {
	events := tx.unit.Events
	if len(events) == 0 {
		return
	}
	type row = store.Event
	queue(b, insertEvents, len(events),
		col(events, func(e row) string { return e.ID }),
		col(events, func(e row) string { return e.Conversation }),
		col(events, func(e row) string { return e.Type }),
		col(events, func(e row) int64 { return e.Seq }),
		col(events, func(e row) pgtype.Timestamptz { return stamp(e.CreatedAt) }),
		rawTexts(col(events, func(e row) string { return string(e.Data) })))
}

func (tx *txState) writeTickets(b *pgx.Batch) {
	now := stamp(tx.unit.Now)
	if list := tx.unit.OpenedTickets; len(list) > 0 {
		type row = unit.TicketRow
		queue(b, insertTickets, now,
			col(list, func(t row) string { return t.Ticket }),
			col(list, func(t row) int64 { return t.Conversation.Survivor().Row }),
			col(list, func(t row) string { return t.Area }),
			col(list, func(t row) string { return t.Tag }))
	}
	if list := tx.unit.ResolvedTickets; len(list) > 0 {
		queue(b, `UPDATE psi_router.tickets SET resolved_at = $1 WHERE ticket = ANY ($2::text[]) AND resolved_at IS NULL`, now, list)
	}
	if list := tx.unit.Handoffs; len(list) > 0 {
		type row = unit.Owned[store.HandoffRow]
		queue(b, insertHandoffs,
			col(list, func(h row) int64 { return h.Conversation.Survivor().Row }),
			col(list, func(h row) string { return h.Row.Ticket }),
			col(list, func(h row) string { return h.Row.FromArea }),
			col(list, func(h row) string { return h.Row.Area }),
			col(list, func(h row) string { return h.Row.Tag }),
			col(list, func(h row) string { return h.Row.Note }),
			col(list, func(h row) string { return h.Row.By }),
			col(list, func(h row) pgtype.Timestamptz { return stamp(h.Row.At) }))
	}
	if list := tx.unit.Audit; len(list) > 0 {
		type row = unit.Owned[store.AuditRow]
		queue(b, insertAudit,
			col(list, func(a row) int64 { return a.Conversation.Survivor().Row }),
			col(list, func(a row) string { return a.Row.Actor }),
			col(list, func(a row) string { return a.Row.Action }),
			col(list, func(a row) string { return a.Row.Detail }),
			col(list, func(a row) pgtype.Timestamptz { return stamp(a.Row.At) }))
	}
	tx.writeTimers(b)
}

func (tx *txState) writeTimers(b *pgx.Batch) {
	type row = *unit.ConversationRow
	armed, _ := split(tx.unit.Conversations, func(t row) bool { return t.ArmTimer && !t.Merged }, func(row) bool { return false })
	if len(armed) > 0 {
		queue(b, insertTimers, sqlrow.TimerHandoff,
			col(armed, func(t row) int64 { return t.Row }),
			col(armed, func(t row) pgtype.Timestamptz { return stamp(t.TimeoutAt) }))
	}
	left, _ := split(tx.unit.Conversations, func(t row) bool { return !t.ApologyDue.IsZero() && !t.Merged }, func(row) bool { return false })
	if len(left) > 0 {
		queue(b, insertTimers, sqlrow.TimerLeft,
			col(left, func(t row) int64 { return t.Row }),
			col(left, func(t row) pgtype.Timestamptz { return stamp(t.ApologyDue) }))
	}
}

// writeRecords writes records, parked reports and the lines' last messages.
func (tx *txState) writeRecords(b *pgx.Batch) {
	if list := tx.unit.Records; len(list) > 0 {
		type row = unit.RecordRow
		queue(b, insertRecords,
			col(list, func(r row) string { return r.ID }),
			col(list, func(r row) string { return r.Key }),
			col(list, func(r row) string { return string(r.Kind) }),
			col(list, func(r row) string { return r.Line }),
			col(list, func(r row) string { return r.LineRef }),
			col(list, func(r row) string { return r.ProviderID }),
			col(list, func(r row) string { return r.Person }),
			col(list, func(r row) string { return string(r.Reason) }),
			col(list, func(r row) string { return r.Detail }),
			col(list, func(r row) pgtype.Timestamptz { return stamp(r.ReceivedAt) }),
			col(list, func(r row) []byte { return r.Raw }))
	}
	if list := tx.unit.NewlyParked; len(list) > 0 {
		type row = unit.ParkedReport
		queue(b, insertParked,
			col(list, func(r row) string { return r.ID }),
			col(list, func(r row) string { return r.Line }),
			col(list, func(r row) string { return r.Person }),
			col(list, func(r row) string { return r.Status }),
			col(list, func(r row) int64 { return int64(r.Code) }),
			col(list, func(r row) string { return r.Detail }),
			col(list, func(r row) pgtype.Timestamptz { return orEpoch(r.At) }),
			col(list, func(r row) pgtype.Timestamptz { return stamp(r.ExpiresAt) }))
	}
	if list := tx.unit.Unparked; len(list) > 0 {
		type row = unit.ParkedReport
		queue(b, deleteParked,
			col(list, func(r row) string { return r.ID }),
			col(list, func(r row) string { return r.Line }),
			col(list, func(r row) string { return r.Person }))
	}
	for _, line := range slices.Sorted(maps.Keys(tx.unit.LastInboundByLine)) {
		at := orEpoch(tx.unit.LastInboundByLine[line])
		if !tx.isKnownLine(line) {
			queue(b, insertLine, line, at)
		}
		queue(b, updateLine, line, at)
	}
}
