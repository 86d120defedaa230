package sqlitestore

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// flush writes the unit. New rows get their keys first, so that everything may
// refer to them; rows that go make room before others take their place.
func (p *page) flush() error {
	p.book.UpdateLeft()
	for _, step := range [...]struct {
		what string
		do   func() error
	}{
		{"number rows", p.number},
		{"join conversations", p.fold},
		{"join contacts", p.merge},
		{"write contacts", p.writeContacts},
		{"write conversations", p.writeTalks},
		{"write messages", p.writeMessages},
		{"write events", p.writeEvents},
		{"write tickets", p.writeTickets},
		{"write timers", p.writeTimers},
		{"write records", p.writeRecords},
		{"write reports", p.writeParked},
		{"write lines", p.writeLines},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// number gives keys to new contacts and conversations: there is one writer.
func (p *page) number() error {
	var contacts, talks bool
	for _, c := range p.book.Contacts {
		contacts = contacts || c.New
	}
	for _, t := range p.book.Conversations {
		talks = talks || t.New
	}
	var last int64
	if contacts {
		if _, err := p.tx.Row(`SELECT coalesce(max(n), 0) FROM contacts`, nil, &last); err != nil {
			return err
		}
		for _, c := range p.book.Contacts {
			if c.New && !c.Merged && c.Row == 0 {
				last++
				c.Row = last
			}
		}
	}
	if talks {
		if _, err := p.tx.Row(`SELECT coalesce(max(n), 0) FROM conversations`, nil, &last); err != nil {
			return err
		}
		for _, t := range p.book.Conversations {
			if t.New && !t.Merged && t.Row == 0 {
				last++
				t.Row = last
			}
		}
	}
	return nil
}

// exec runs one statement.
func (p *page) exec(query string, args ...any) error {
	_, err := p.tx.Exec(query, args...)
	return err
}

// fold moves all that belongs to a conversation to the one that survives.
func (p *page) fold() error {
	for _, t := range p.book.MergedConversations {
		into := t.Survivor()
		if err := p.exec(`INSERT INTO moved (id, conversation) VALUES (?, ?)`, t.ID, into.Row); err != nil {
			return err
		}
		if t.New {
			continue
		}
		if err := p.exec(supersede, t.Row); err != nil {
			return err
		}
		for _, query := range [...]string{
			`UPDATE messages SET conversation = ? WHERE conversation = ?`,
			`UPDATE handoffs SET conversation = ? WHERE conversation = ?`,
			`UPDATE audit SET conversation = ? WHERE conversation = ?`,
			`UPDATE tickets SET conversation = ? WHERE conversation = ?`,
			`UPDATE moved SET conversation = ? WHERE conversation = ?`,
			`UPDATE OR REPLACE timers SET conversation = ? WHERE conversation = ?`,
		} {
			if err := p.exec(query, into.Row, t.Row); err != nil {
				return err
			}
		}
		if err := p.exec(`DELETE FROM conversations WHERE n = ?`, t.Row); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) merge() error {
	for _, c := range p.book.MergedContacts {
		if c.New {
			continue
		}
		if err := p.exec(`UPDATE aliases SET contact = ? WHERE contact = ?`, c.Survivor().Row, c.Row); err != nil {
			return err
		}
		if err := p.exec(`DELETE FROM contacts WHERE n = ?`, c.Row); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) writeContacts() error {
	var fresh rows
	for _, c := range p.book.Contacts {
		switch {
		case c.Merged:
		case c.New:
			fresh.add(c.Row, c.ID, c.Phone, c.UserID, c.Username, c.Name, c.Blocked, c.OptedOut, micros(c.CreatedAt), c.BlockedHere, micros(c.ChoseAt))
		case c.Changed:
			const query = `UPDATE contacts SET phone = ?, user_id = ?, username = ?, name = ?, blocked = ?, opted_out = ?, blocked_here = ?, chose_at = ? WHERE n = ?`
			if err := p.exec(query, c.Phone, c.UserID, c.Username, c.Name, c.Blocked, c.OptedOut, c.BlockedHere, micros(c.ChoseAt), c.Row); err != nil {
				return err
			}
		}
	}
	if err := p.insert(insertContacts, &fresh); err != nil {
		return err
	}
	var given rows
	for alias, c := range p.book.AliasChanges {
		if c == nil {
			if err := p.exec(`DELETE FROM aliases WHERE alias = ?`, alias); err != nil {
				return err
			}
			continue
		}
		given.add(alias, c.Survivor().Row)
	}
	return p.insert(insertAliases, &given)
}

func (p *page) writeTalks() error {
	var fresh rows
	// In the order of the file: neighbours share a page.
	byRow := slices.SortedFunc(slices.Values(p.book.Conversations), func(a, b *store.ConversationRow) int { return cmp.Compare(a.Row, b.Row) })
	for _, t := range byRow {
		r, to := &t.Conversation.Conversation, t.Contact.Address
		who := t.ContactRow.Survivor().Row
		switch {
		case t.Merged:
		case t.New:
			fresh.add(t.Row, t.ID, who, r.Line, string(r.State), r.Area, r.Tag, r.Menu, r.Epoch, r.Ticket, r.Invalid,
				r.Offered, writeAuto(r.Auto), micros(r.LastInbound), micros(r.LastHuman), micros(r.TimeoutAt),
				to.Phone, to.UserID, to.ExternalID, t.Seq, micros(t.LastMessageAt), micros(t.CreatedAt), micros(t.WaitingSince),
				t.Opened, t.LastArea, micros(r.FileAt), micros(t.AskedAt), micros(t.AnsweredAt), micros(t.Left.Since), string(t.Left.Reason), micros(t.ApologizedFor))
		case t.Changed:
			if t.ContactChanged {
				if err := p.exec(`UPDATE conversations SET contact = ? WHERE n = ?`, who, t.Row); err != nil {
					return err
				}
			}
			if err := p.exec(updateTalk, string(r.State), r.Area, r.Tag, r.Menu, r.Epoch, r.Ticket, r.Invalid,
				r.Offered, writeAuto(r.Auto), micros(r.LastInbound), micros(r.LastHuman), micros(r.TimeoutAt),
				to.Phone, to.UserID, to.ExternalID, t.Seq, micros(t.LastMessageAt), micros(t.CreatedAt), micros(t.WaitingSince),
				t.Opened, t.LastArea, micros(r.FileAt), micros(t.AskedAt), micros(t.AnsweredAt), micros(t.Left.Since), string(t.Left.Reason), micros(t.ApologizedFor), t.Row); err != nil {
				return err
			}
		}
	}
	return p.insert(insertTalks, &fresh)
}

func (p *page) writeMessages() error {
	// The order of the rows is the order of the conversation, so kinds may not
	// overtake each other within it; runs of one kind go together.
	var in, out rows
	flush := func() error {
		if err := p.insert(insertInbound, &in); err != nil {
			return err
		}
		return p.insert(insertReplies, &out)
	}
	last := map[*store.ConversationRow]bool{} // conversations whose last row is in out
	for _, m := range p.book.Messages {
		t := m.ConversationRow.Survivor()
		switch {
		case m.New && m.DedupKey != "":
			if last[t] {
				if err := flush(); err != nil {
					return err
				}
				clear(last)
			}
			media, err := mediaText(m.Media)
			if err != nil {
				return err
			}
			in.add(m.ID, t.Row, m.Direction, string(m.Author), m.Type, m.Text, media, m.ReplyID, m.QuotedID,
				reactions(m), m.ProviderID, m.DedupKey, string(m.Status), string(m.Reason), m.ErrorCode, m.ErrorDetail,
				micros(m.SentAt), micros(m.ReceivedAt), micros(m.EditedAt), micros(m.RevokedAt), micros(m.CreatedAt), []byte(m.Raw))
		case m.New:
			last[t] = true
			body, err := bodyText(m.Body)
			if err != nil {
				return err
			}
			media, err := mediaText(m.Media)
			if err != nil {
				return err
			}
			out.add(m.ID, t.Row, string(m.Author), m.Type, text(m), body, media, m.QuotedID, string(m.Status), string(m.Reason), m.Epoch,
				m.MarkReadID, micros(m.PendingSince), micros(m.ExpiresAt), micros(m.CreatedAt), notice(m), m.Marketing)
		case m.Changed:
			if err := p.exec(updateMessage, text(m), reactions(m), null(m.ProviderID), string(m.Status),
				string(m.FailureReason), m.ErrorCode, m.ErrorDetail, m.Epoch, m.Attempts, m.Token, micros(m.SentAt),
				micros(m.EditedAt), micros(m.RevokedAt), m.Row); err != nil {
				return err
			}
		}
	}
	return flush()
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// notice is the line of a notice, by which the feeder finds it.
func notice(m *store.MessageRow) string {
	if !m.Notice {
		return ""
	}
	return m.ConversationRow.Survivor().Line
}

// text is the text of a message that its body does not hold already.
func text(m *store.MessageRow) string {
	if m.Body.Reply != nil {
		return ""
	}
	return m.Text
}

func bodyText(b outbound.Body) (string, error) {
	if b.Reply == nil && b.Cloud == nil {
		return "", nil
	}
	out, err := json.Marshal(b)
	return string(out), err
}

func mediaText(m *store.Media) (string, error) {
	if m == nil {
		return "", nil
	}
	out, err := json.Marshal(m)
	return string(out), err
}

func reactions(m *store.MessageRow) string {
	if len(m.Reactions) == 0 {
		return ""
	}
	out, err := json.Marshal(m.Reactions)
	if err != nil {
		return "" // strings always marshal
	}
	return string(out)
}

func (p *page) writeEvents() error {
	var all rows
	for i := range p.book.Events {
		e := &p.book.Events[i]
		all.add(e.ID, e.Conversation, e.Type, e.Seq, micros(e.CreatedAt), []byte(e.Data))
	}
	return p.insert(insertEvents, &all)
}

func (p *page) writeTickets() error {
	var opened, handed, audited rows
	now := micros(p.book.Now)
	for _, t := range p.book.OpenedTickets {
		opened.add(t.Ticket, t.Conversation.Survivor().Row, t.Area, t.Tag, now)
	}
	if len(p.book.OpenedTickets) > 0 {
		const query = `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
		p.given[p.ticketCounter()] = p.book.LastTicket
		if err := p.exec(query, p.ticketCounter(), p.book.LastTicket); err != nil {
			return err
		}
	}
	if err := p.insert(insertTickets, &opened); err != nil {
		return err
	}
	for _, ticket := range p.book.ResolvedTickets {
		if err := p.exec(`UPDATE tickets SET resolved_at = ? WHERE ticket = ? AND resolved_at = 0`, now, ticket); err != nil {
			return err
		}
	}
	for _, h := range p.book.Handoffs {
		handed.add(h.Conversation.Survivor().Row, h.Row.Ticket, h.Row.FromArea, h.Row.Area, h.Row.Tag, h.Row.Note, h.Row.By, micros(h.Row.At))
	}
	if err := p.insert(insertHandoffs, &handed); err != nil {
		return err
	}
	for _, a := range p.book.Audit {
		audited.add(a.Conversation.Survivor().Row, a.Row.Actor, a.Row.Action, a.Row.Detail, micros(a.Row.At))
	}
	return p.insert(insertAudit, &audited)
}

// timerHandoff is the end of a hand-off that nobody answers. Its row is not
// touched by every message: when it fires too early it is set anew.
const timerHandoff = "handoff"

// timerLeft is when who was left without an answer gets what the flow says. Each word
// that is left begins it anew.
const timerLeft = "left"

func (p *page) writeTimers() error {
	var all rows
	for _, t := range p.book.Conversations {
		if t.ArmTimer && !t.Merged {
			all.add(t.Row, timerHandoff, micros(t.TimeoutAt))
		}
		if !t.ApologyDue.IsZero() && !t.Merged {
			all.add(t.Row, timerLeft, micros(t.ApologyDue))
		}
	}
	return p.insert(insertTimers, &all)
}

func (p *page) writeRecords() error {
	var all rows
	for _, r := range p.book.Records {
		all.add(r.ID, r.Key, string(r.Kind), r.Line, r.LineRef, r.ProviderID, r.Person, string(r.Reason), r.Detail,
			micros(r.ReceivedAt), []byte(r.Raw))
	}
	return p.insert(insertRecords, &all)
}

func (p *page) writeParked() error {
	var all rows
	for _, r := range p.book.NewlyParked {
		all.add(r.ID, r.Line, r.Person, r.Status, r.Code, r.Detail, micros(r.At), micros(r.ExpiresAt))
	}
	if err := p.insert(insertParked, &all); err != nil {
		return err
	}
	for _, r := range p.book.Unparked {
		const query = `DELETE FROM parked WHERE provider_id = ? AND line = ? AND person = ? AND status = ?`
		if err := p.exec(query, r.ID, r.Line, r.Person, r.Status); err != nil {
			return err
		}
	}
	return nil
}

func (p *page) writeLines() error {
	var all rows
	for line, at := range p.book.LastInboundByLine {
		all.add(line, micros(at))
	}
	return p.insert(insertLines, &all)
}
