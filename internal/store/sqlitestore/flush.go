package sqlitestore

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// flush writes the unit. New rows get their keys first, so that everything may refer to
// them; deleted rows make room before others take their place.
func (tx *txState) flush() error {
	tx.unit.UpdateLeft()
	for _, step := range [...]struct {
		what string
		do   func() error
	}{
		{"assign keys", tx.assignKeys},
		{"merge conversations", tx.mergeConversations},
		{"merge contacts", tx.mergeContacts},
		{"write contacts", tx.writeContacts},
		{"write conversations", tx.writeConversations},
		{"write messages", tx.writeMessages},
		{"write events", tx.writeEvents},
		{"write tickets", tx.writeTickets},
		{"write timers", tx.writeTimers},
		{"write records", tx.writeRecords},
		{"write reports", tx.writeParked},
		{"write lines", tx.writeLines},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// assignKeys gives keys to new contacts and conversations: there is one writer.
func (tx *txState) assignKeys() error {
	var contacts, conversations bool
	for _, c := range tx.unit.Contacts {
		contacts = contacts || c.New
	}
	for _, conv := range tx.unit.Conversations {
		conversations = conversations || conv.New
	}
	var last int64
	if contacts {
		if _, err := tx.q.Row(`SELECT coalesce(max(n), 0) FROM contacts`, nil, &last); err != nil {
			return err
		}
		for _, c := range tx.unit.Contacts {
			if c.New && !c.Merged && c.Row == 0 {
				last++
				c.Row = last
			}
		}
	}
	if conversations {
		if _, err := tx.q.Row(`SELECT coalesce(max(n), 0) FROM conversations`, nil, &last); err != nil {
			return err
		}
		for _, conv := range tx.unit.Conversations {
			if conv.New && !conv.Merged && conv.Row == 0 {
				last++
				conv.Row = last
			}
		}
	}
	return nil
}

// mergeConversations moves everything of a conversation to the surviving one.
func (tx *txState) mergeConversations() error {
	for _, conv := range tx.unit.MergedConversations {
		into := conv.Survivor()
		if err := tx.exec(`INSERT INTO moved (id, conversation) VALUES (?, ?)`, conv.ID, into.Row); err != nil {
			return err
		}
		if conv.New {
			continue
		}
		if err := tx.exec(supersede, conv.Row); err != nil {
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
			if err := tx.exec(query, into.Row, conv.Row); err != nil {
				return err
			}
		}
		if err := tx.exec(`DELETE FROM conversations WHERE n = ?`, conv.Row); err != nil {
			return err
		}
	}
	return nil
}

func (tx *txState) mergeContacts() error {
	for _, c := range tx.unit.MergedContacts {
		if c.New {
			continue
		}
		if err := tx.exec(`UPDATE aliases SET contact = ? WHERE contact = ?`, c.Survivor().Row, c.Row); err != nil {
			return err
		}
		if err := tx.exec(`DELETE FROM contacts WHERE n = ?`, c.Row); err != nil {
			return err
		}
	}
	return nil
}

func (tx *txState) writeContacts() error {
	var fresh valuesBuilder
	for _, c := range tx.unit.Contacts {
		switch {
		case c.Merged:
		case c.New:
			fresh.add(c.Row, c.ID, c.Phone, c.UserID, c.Username, c.Name, c.Blocked, c.OptedOut, sqlrow.Micros(c.CreatedAt), c.BlockedHere, sqlrow.Micros(c.ChoseAt))
		case c.Changed:
			const query = `UPDATE contacts SET phone = ?, user_id = ?, username = ?, name = ?, blocked = ?, opted_out = ?, blocked_here = ?, chose_at = ? WHERE n = ?`
			if err := tx.exec(query, c.Phone, c.UserID, c.Username, c.Name, c.Blocked, c.OptedOut, c.BlockedHere, sqlrow.Micros(c.ChoseAt), c.Row); err != nil {
				return err
			}
		}
	}
	if err := tx.insert(insertContacts, &fresh); err != nil {
		return err
	}
	var bound valuesBuilder
	for alias, c := range tx.unit.AliasChanges {
		if c == nil {
			if err := tx.exec(`DELETE FROM aliases WHERE alias = ?`, alias); err != nil {
				return err
			}
			continue
		}
		bound.add(alias, c.Survivor().Row)
	}
	return tx.insert(upsertAliases, &bound)
}

func (tx *txState) writeConversations() error {
	var fresh valuesBuilder
	// In the order of the file: neighbours share a page.
	byRow := slices.SortedFunc(slices.Values(tx.unit.Conversations), func(a, b *unit.ConversationRow) int { return cmp.Compare(a.Row, b.Row) })
	for _, conv := range byRow {
		r, to := &conv.Conversation.Conversation, conv.Contact.Address
		contact := conv.ContactRow.Survivor().Row
		switch {
		case conv.Merged:
		case conv.New:
			fresh.add(conv.Row, conv.ID, contact, r.Line, string(r.State), r.Area, r.Tag, r.Menu, r.Epoch, r.Ticket, r.Invalid,
				r.Offered, sqlrow.Auto(r.Auto), sqlrow.Micros(r.LastInbound), sqlrow.Micros(r.LastHuman), sqlrow.Micros(r.TimeoutAt),
				to.Phone, to.UserID, to.ExternalID, conv.Seq, sqlrow.Micros(conv.LastMessageAt), sqlrow.Micros(conv.CreatedAt), sqlrow.Micros(conv.WaitingSince),
				conv.Opened, conv.LastArea, sqlrow.Micros(r.FileAt), sqlrow.Micros(conv.AskedAt), sqlrow.Micros(conv.AnsweredAt), sqlrow.Micros(conv.Left.Since), string(conv.Left.Reason), sqlrow.Micros(conv.ApologizedFor))
		case conv.Changed:
			if conv.ContactChanged {
				if err := tx.exec(`UPDATE conversations SET contact = ? WHERE n = ?`, contact, conv.Row); err != nil {
					return err
				}
			}
			if err := tx.exec(updateConversation, string(r.State), r.Area, r.Tag, r.Menu, r.Epoch, r.Ticket, r.Invalid,
				r.Offered, sqlrow.Auto(r.Auto), sqlrow.Micros(r.LastInbound), sqlrow.Micros(r.LastHuman), sqlrow.Micros(r.TimeoutAt),
				to.Phone, to.UserID, to.ExternalID, conv.Seq, sqlrow.Micros(conv.LastMessageAt), sqlrow.Micros(conv.CreatedAt), sqlrow.Micros(conv.WaitingSince),
				conv.Opened, conv.LastArea, sqlrow.Micros(r.FileAt), sqlrow.Micros(conv.AskedAt), sqlrow.Micros(conv.AnsweredAt), sqlrow.Micros(conv.Left.Since), string(conv.Left.Reason), sqlrow.Micros(conv.ApologizedFor), conv.Row); err != nil {
				return err
			}
		}
	}
	return tx.insert(insertConversations, &fresh)
}

func (tx *txState) writeMessages() error {
	// The order of the rows is the order of the conversation: kinds must not overtake each
	// other within it. Consecutive rows of one kind are written together.
	var in, out valuesBuilder
	flush := func() error {
		if err := tx.insert(insertInbound, &in); err != nil {
			return err
		}
		return tx.insert(insertReplies, &out)
	}
	last := map[*unit.ConversationRow]bool{} // conversations whose last row is in out
	for _, m := range tx.unit.Messages {
		conv := m.ConversationRow.Survivor()
		switch {
		case m.New && m.DedupKey != "":
			if last[conv] {
				if err := flush(); err != nil {
					return err
				}
				clear(last)
			}
			media, err := sqlrow.MediaJSON(m.Media)
			if err != nil {
				return err
			}
			in.add(m.ID, conv.Row, m.Direction, string(m.Author), m.Type, m.Text, media, m.ReplyID, m.QuotedID,
				sqlrow.ReactionsJSON(m), m.ProviderID, m.DedupKey, string(m.Status), string(m.Reason), m.ErrorCode, m.ErrorDetail,
				sqlrow.Micros(m.SentAt), sqlrow.Micros(m.ReceivedAt), sqlrow.Micros(m.EditedAt), sqlrow.Micros(m.RevokedAt), sqlrow.Micros(m.CreatedAt), []byte(m.Raw))
		case m.New:
			last[conv] = true
			body, err := sqlrow.BodyJSON(m.Body)
			if err != nil {
				return err
			}
			media, err := sqlrow.MediaJSON(m.Media)
			if err != nil {
				return err
			}
			out.add(m.ID, conv.Row, string(m.Author), m.Type, sqlrow.Text(m), body, media, m.QuotedID, string(m.Status), string(m.Reason), m.Epoch,
				m.MarkReadID, sqlrow.Micros(m.PendingSince), sqlrow.Micros(m.ExpiresAt), sqlrow.Micros(m.CreatedAt), sqlrow.NoticeLine(m), m.Marketing)
		case m.Changed:
			if err := tx.exec(updateMessage, sqlrow.Text(m), sqlrow.ReactionsJSON(m), nullable(m.ProviderID), string(m.Status),
				string(m.FailureReason), m.ErrorCode, m.ErrorDetail, m.Epoch, m.Attempts, m.Token, sqlrow.Micros(m.SentAt),
				sqlrow.Micros(m.EditedAt), sqlrow.Micros(m.RevokedAt), m.Row); err != nil {
				return err
			}
		}
	}
	return flush()
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}
