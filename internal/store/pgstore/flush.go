package pgstore

import (
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// flush queues the statements that write the unit. New rows get their keys first, so that
// everything may refer to them; deleted rows make room before others take their place.
func (tx *txState) flush(b *pgx.Batch) error {
	tx.unit.UpdateLeft()
	if err := tx.assignKeys(); err != nil {
		return err
	}
	tx.mergeConversations(b)
	tx.mergeContacts(b)
	tx.writeContacts(b)
	tx.writeConversations(b)
	if err := tx.writeMessages(b); err != nil {
		return err
	}
	tx.writeEvents(b)
	tx.writeTickets(b)
	tx.writeRecords(b)
	return nil
}

// assignKeys gives keys to new contacts and conversations. A contact gets the key that one
// of its aliases was claimed for: that alias is written already.
func (tx *txState) assignKeys() error {
	for alias, c := range tx.unit.AliasChanges {
		key := tx.claimedAliases[alias]
		if c == nil || key == 0 {
			continue
		}
		if c = c.Survivor(); c.New && c.Row == 0 && !tx.usedKeys[key] {
			c.Row = key
			tx.usedKeys[key] = true
		}
	}
	for _, c := range tx.unit.Contacts {
		if c.New && !c.Merged && c.Row == 0 {
			if c.Row = tx.nextKey(); c.Row == 0 {
				return errOutOfKeys
			}
		}
	}
	for _, conv := range tx.unit.Conversations {
		if conv.New && !conv.Merged && conv.Row == 0 {
			if conv.Row = tx.nextKey(); conv.Row == 0 {
				return errOutOfKeys
			}
		}
	}
	return nil
}

var errOutOfKeys = fmt.Errorf("more new rows than arrivals")

// nextKey returns an unused key, 0 if there is none. Keys without a claimed alias come
// last.
func (tx *txState) nextKey() int64 {
	for i := len(tx.rowKeys) - 1; i >= 0; i-- {
		if key := tx.rowKeys[i]; !tx.usedKeys[key] {
			tx.usedKeys[key] = true
			return key
		}
	}
	return 0
}

// unusedKeys returns the keys that no row got.
func (tx *txState) unusedKeys() (rest []int64) {
	for _, key := range tx.rowKeys {
		if !tx.usedKeys[key] {
			rest = append(rest, key)
		}
	}
	return rest
}

// releaseAliases deletes claimed aliases that no contact got.
func (tx *txState) releaseAliases(b *pgx.Batch) {
	var free []string
	for alias := range tx.claimedAliases {
		if c, given := tx.unit.AliasChanges[alias]; !given || c == nil {
			free = append(free, alias)
		}
	}
	if len(free) > 0 {
		queue(b, `DELETE FROM psi_router.aliases WHERE alias = ANY ($1::text[])`, free)
	}
}

// mergeConversations moves everything of a conversation to the surviving one.
func (tx *txState) mergeConversations(b *pgx.Batch) {
	for _, conv := range tx.unit.MergedConversations {
		into := conv.Survivor()
		queue(b, `INSERT INTO psi_router.moved (id, conversation) VALUES ($1, $2)`, conv.ID, into.Row)
		if conv.New {
			continue
		}
		queue(b, supersede, conv.Row)
		for _, query := range [...]string{
			`UPDATE psi_router.messages SET conversation = $1 WHERE conversation = $2`,
			`UPDATE psi_router.pending SET conversation = $1 WHERE conversation = $2`,
			`UPDATE psi_router.handoffs SET conversation = $1 WHERE conversation = $2`,
			`UPDATE psi_router.audit SET conversation = $1 WHERE conversation = $2`,
			`UPDATE psi_router.tickets SET conversation = $1 WHERE conversation = $2`,
			`UPDATE psi_router.moved SET conversation = $1 WHERE conversation = $2`,
			moveTimers,
		} {
			queue(b, query, into.Row, conv.Row)
		}
		queue(b, `DELETE FROM psi_router.conversations WHERE n = $1`, conv.Row)
	}
}

func (tx *txState) mergeContacts(b *pgx.Batch) {
	for _, c := range tx.unit.MergedContacts {
		if !c.New {
			queue(b, `UPDATE psi_router.aliases SET contact = $1 WHERE contact = $2`, c.Survivor().Row, c.Row)
			queue(b, `DELETE FROM psi_router.contacts WHERE n = $1`, c.Row)
		}
	}
}

// split returns the new and the changed rows.
func split[T any](all []T, fresh, changed func(T) bool) (news, changes []T) {
	for _, x := range all {
		switch {
		case fresh(x):
			news = append(news, x)
		case changed(x):
			changes = append(changes, x)
		}
	}
	return news, changes
}

func (tx *txState) writeContacts(b *pgx.Batch) {
	type row = *unit.ContactRow
	news, changes := split(tx.unit.Contacts,
		func(c row) bool { return c.New && !c.Merged }, func(c row) bool { return c.Changed && !c.New && !c.Merged })
	columns := func(list []row) []any {
		return []any{
			col(list, func(c row) int64 { return c.Row }),
			col(list, func(c row) string { return c.Phone }),
			col(list, func(c row) string { return c.UserID }),
			col(list, func(c row) string { return c.Username }),
			col(list, func(c row) string { return c.Name }),
			col(list, func(c row) bool { return c.Blocked }),
			col(list, func(c row) bool { return c.OptedOut }),
			col(list, func(c row) bool { return c.BlockedHere }),
			col(list, func(c row) pgtype.Timestamptz { return stamp(c.ChoseAt) }),
		}
	}
	if len(news) > 0 {
		queue(b, insertContacts, append(columns(news),
			col(news, func(c row) string { return c.ID }),
			col(news, func(c row) pgtype.Timestamptz { return stamp(c.CreatedAt) }))...)
	}
	if len(changes) > 0 {
		queue(b, updateContacts, columns(changes)...)
	}
	var aliases, gone []string
	var owners []int64
	for alias, c := range tx.unit.AliasChanges {
		switch {
		case c == nil:
			gone = append(gone, alias)
		case tx.claimedAliases[alias] != c.Survivor().Row:
			aliases, owners = append(aliases, alias), append(owners, c.Survivor().Row)
		}
	}
	if len(gone) > 0 {
		queue(b, `DELETE FROM psi_router.aliases WHERE alias = ANY ($1::text[])`, gone)
	}
	if len(aliases) > 0 {
		queue(b, upsertAliases, aliases, owners)
	}
}

func (tx *txState) writeConversations(b *pgx.Batch) {
	type row = *unit.ConversationRow
	news, changes := split(tx.unit.Conversations,
		func(t row) bool { return t.New && !t.Merged }, func(t row) bool { return t.Changed && !t.New && !t.Merged })
	columns := func(list []row) []any {
		return []any{
			col(list, func(t row) int64 { return t.Row }),
			col(list, func(t row) int64 { return t.ContactRow.Survivor().Row }),
			col(list, func(t row) string { return string(t.State) }),
			col(list, func(t row) string { return t.Area }),
			col(list, func(t row) string { return t.Tag }),
			col(list, func(t row) string { return t.Menu }),
			col(list, func(t row) int64 { return t.Epoch }),
			col(list, func(t row) string { return t.Ticket }),
			col(list, func(t row) int64 { return int64(t.Invalid) }),
			col(list, func(t row) bool { return t.Offered }),
			col(list, func(t row) string { return sqlrow.Auto(t.Auto) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.LastInbound) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.LastHuman) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.TimeoutAt) }),
			col(list, func(t row) string { return t.Contact.Address.Phone }),
			col(list, func(t row) string { return t.Contact.Address.UserID }),
			col(list, func(t row) string { return t.Contact.Address.ExternalID }),
			col(list, func(t row) int64 { return t.Seq }),
			col(list, func(t row) pgtype.Timestamptz { return orEpoch(t.LastMessageAt) }),
			col(list, func(t row) pgtype.Timestamptz { return orEpoch(t.CreatedAt) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.WaitingSince) }),
			col(list, func(t row) bool { return t.Opened }),
			col(list, func(t row) string { return t.LastArea }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.FileAt) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.AskedAt) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.AnsweredAt) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.Left.Since) }),
			col(list, func(t row) string { return string(t.Left.Reason) }),
			col(list, func(t row) pgtype.Timestamptz { return stamp(t.ApologizedFor) }),
		}
	}
	if len(news) > 0 {
		queue(b, insertConversations, append(columns(news),
			col(news, func(t row) string { return t.ID }),
			col(news, func(t row) string { return t.Line }))...)
	}
	if len(changes) > 0 {
		queue(b, updateConversations, columns(changes)...)
	}
}

func (tx *txState) writeMessages(b *pgx.Batch) error {
	type row = *unit.MessageRow
	news, changes := split(tx.unit.Messages, func(m row) bool { return m.New }, func(m row) bool { return m.Changed })
	if len(news) > 0 {
		if err := queueNewMessages(b, news); err != nil {
			return err
		}
	}
	if len(changes) == 0 {
		return nil
	}
	var uncertain, ended, tried []row
	for _, m := range changes {
		switch {
		case m.Direction == "inbound":
		case m.Status == store.Queued, m.Status == store.Sending:
			if m.Notice {
				tried = append(tried, m)
			}
		case m.Status == store.Uncertain:
			uncertain = append(uncertain, m)
		default:
			ended = append(ended, m)
		}
	}
	queue(b, updateMessages,
		col(changes, func(m row) string { return m.ID }),
		col(changes, sqlrow.Text),
		rawTexts(col(changes, sqlrow.ReactionsJSON)),
		col(changes, func(m row) string { return m.ProviderID }),
		col(changes, func(m row) string { return string(m.Status) }),
		col(changes, func(m row) string { return string(m.FailureReason) }),
		col(changes, func(m row) int64 { return int64(m.ErrorCode) }),
		col(changes, func(m row) string { return m.ErrorDetail }),
		col(changes, func(m row) int64 { return m.Epoch }),
		col(changes, func(m row) int64 { return int64(m.Attempts) }),
		col(changes, func(m row) string { return m.Token }),
		col(changes, func(m row) pgtype.Timestamptz { return stamp(m.SentAt) }),
		col(changes, func(m row) pgtype.Timestamptz { return stamp(m.EditedAt) }),
		col(changes, func(m row) pgtype.Timestamptz { return stamp(m.RevokedAt) }))
	for _, x := range [...]struct {
		rows  []row
		query string
	}{{tried, markPendingTried}, {uncertain, markPendingUncertain}, {ended, deletePending}} {
		if len(x.rows) > 0 {
			queue(b, x.query,
				col(x.rows, func(m row) int64 { return m.ConversationRow.Survivor().Row }),
				col(x.rows, func(m row) int64 { return m.Row }))
		}
	}
	return nil
}

// queueNewMessages writes new messages in the order of their conversation.
func queueNewMessages(b *pgx.Batch, news []*unit.MessageRow) error {
	type row = *unit.MessageRow
	bodies, media := make([]string, len(news)), make([]string, len(news))
	for i, m := range news {
		var err error
		if bodies[i], err = sqlrow.BodyJSON(m.Body); err == nil {
			media[i], err = sqlrow.MediaJSON(m.Media)
		}
		if err != nil {
			return fmt.Errorf("message %s: %w", m.ID, err)
		}
	}
	queue(b, insertMessages,
		col(news, func(m row) int64 { return m.ConversationRow.Survivor().Row }),
		col(news, func(m row) string { return m.ID }),
		col(news, func(m row) string { return m.Direction }),
		col(news, func(m row) string { return string(m.Author) }),
		col(news, func(m row) string { return m.Type }),
		col(news, sqlrow.Text),
		rawTexts(bodies),
		rawTexts(media),
		col(news, func(m row) string { return m.ReplyID }),
		col(news, func(m row) string { return m.QuotedID }),
		rawTexts(col(news, sqlrow.ReactionsJSON)),
		col(news, func(m row) string { return m.ProviderID }),
		col(news, func(m row) string { return m.DedupKey }),
		col(news, func(m row) string { return string(m.Status) }),
		col(news, func(m row) string { return string(m.Reason) }),
		col(news, func(m row) string { return string(m.FailureReason) }),
		col(news, func(m row) int64 { return int64(m.ErrorCode) }),
		col(news, func(m row) string { return m.ErrorDetail }),
		col(news, func(m row) int64 { return m.Epoch }),
		col(news, func(m row) string { return m.MarkReadID }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.PendingSince) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.ExpiresAt) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.SentAt) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.ReceivedAt) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.EditedAt) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.RevokedAt) }),
		col(news, func(m row) pgtype.Timestamptz { return stamp(m.CreatedAt) }),
		col(news, func(m row) []byte { return m.Raw }),
		col(news, sqlrow.NoticeLine),
		col(news, func(m row) bool { return m.Marketing }))
	return nil
}
