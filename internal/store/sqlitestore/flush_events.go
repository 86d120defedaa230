package sqlitestore

import (
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

func (tx *txState) writeEvents() error {
	var all valuesBuilder
	for i := range tx.unit.Events {
		e := &tx.unit.Events[i]
		all.add(e.ID, e.Conversation, e.Type, e.Seq, sqlrow.Micros(e.CreatedAt), []byte(e.Data))
	}
	return tx.insert(insertEvents, &all)
}

func (tx *txState) writeTickets() error {
	var opened, handed, audited valuesBuilder
	now := sqlrow.Micros(tx.unit.Now)
	for _, t := range tx.unit.OpenedTickets {
		opened.add(t.Ticket, t.Conversation.Survivor().Row, t.Area, t.Tag, now)
	}
	if len(tx.unit.OpenedTickets) > 0 {
		const query = `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
		tx.issued[sqlrow.TicketCounter(tx.unit.Year())] = tx.unit.LastTicket
		if err := tx.exec(query, sqlrow.TicketCounter(tx.unit.Year()), tx.unit.LastTicket); err != nil {
			return err
		}
	}
	if err := tx.insert(insertTickets, &opened); err != nil {
		return err
	}
	for _, ticket := range tx.unit.ResolvedTickets {
		if err := tx.exec(`UPDATE tickets SET resolved_at = ? WHERE ticket = ? AND resolved_at = 0`, now, ticket); err != nil {
			return err
		}
	}
	for _, h := range tx.unit.Handoffs {
		handed.add(h.Conversation.Survivor().Row, h.Row.Ticket, h.Row.FromArea, h.Row.Area, h.Row.Tag, h.Row.Note, h.Row.By, sqlrow.Micros(h.Row.At))
	}
	if err := tx.insert(insertHandoffs, &handed); err != nil {
		return err
	}
	for _, a := range tx.unit.Audit {
		audited.add(a.Conversation.Survivor().Row, a.Row.Actor, a.Row.Action, a.Row.Detail, sqlrow.Micros(a.Row.At))
	}
	return tx.insert(insertAudit, &audited)
}

func (tx *txState) writeTimers() error {
	var all valuesBuilder
	for _, conv := range tx.unit.Conversations {
		if conv.ArmTimer && !conv.Merged {
			all.add(conv.Row, sqlrow.TimerHandoff, sqlrow.Micros(conv.TimeoutAt))
		}
		if !conv.ApologyDue.IsZero() && !conv.Merged {
			all.add(conv.Row, sqlrow.TimerLeft, sqlrow.Micros(conv.ApologyDue))
		}
	}
	return tx.insert(insertTimers, &all)
}

func (tx *txState) writeRecords() error {
	var all valuesBuilder
	for _, r := range tx.unit.Records {
		all.add(r.ID, r.Key, string(r.Kind), r.Line, r.LineRef, r.ProviderID, r.Person, string(r.Reason), r.Detail,
			sqlrow.Micros(r.ReceivedAt), []byte(r.Raw))
	}
	return tx.insert(insertRecords, &all)
}

func (tx *txState) writeParked() error {
	var all valuesBuilder
	for _, r := range tx.unit.NewlyParked {
		all.add(r.ID, r.Line, r.Person, r.Status, r.Code, r.Detail, sqlrow.Micros(r.At), sqlrow.Micros(r.ExpiresAt))
	}
	if err := tx.insert(insertParked, &all); err != nil {
		return err
	}
	for _, r := range tx.unit.Unparked {
		const query = `DELETE FROM parked WHERE provider_id = ? AND line = ? AND person = ? AND status = ?`
		if err := tx.exec(query, r.ID, r.Line, r.Person, r.Status); err != nil {
			return err
		}
	}
	return nil
}

func (tx *txState) writeLines() error {
	var all valuesBuilder
	for line, at := range tx.unit.LastInboundByLine {
		all.add(line, sqlrow.Micros(at))
	}
	return tx.insert(insertLines, &all)
}
