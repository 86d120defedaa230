package pgstore

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

// stamp and instant convert times: zero is NULL, or the epoch in columns that are sorted
// by.
func stamp(t time.Time) pgtype.Timestamptz {
	return pgtype.Timestamptz{Time: t, Valid: !t.IsZero()}
}

func instant(t pgtype.Timestamptz) time.Time {
	if !t.Valid || t.Time.Equal(epoch()) {
		return time.Time{}
	}
	return t.Time.UTC()
}

// epoch stands for never in a column that is sorted by.
func epoch() time.Time { return time.Unix(0, 0).UTC() }

func orEpoch(t time.Time) pgtype.Timestamptz {
	if t.IsZero() {
		t = epoch()
	}
	return stamp(t)
}

const conversationColumns = sqlrow.ConversationColumns + `,
	(SELECT count(*) FROM (SELECT doubt, notice FROM psi_router.pending WHERE conversation = t.n OFFSET 0) o WHERE NOT o.doubt AND o.notice = '')`

const messageColumns = sqlrow.MessageColumns + `, m.body::text, m.media::text, m.reactions::text`

type (
	contactRow      = sqlrow.Contact[pgtype.Timestamptz]
	conversationRow = sqlrow.Conversation[pgtype.Timestamptz]
)

// messageRow is a message, and what is known of its conversation before that is loaded.
type messageRow struct {
	sqlrow.Message[pgtype.Timestamptz]
	contact int64 // 0 if it was not selected
	line    string
	pending bool // its conversation has rows to send
}

// scanMessage reads a row. The caller sets its ConversationRow.
func scanMessage(rows pgx.Rows, more ...any) (*messageRow, error) {
	m := &messageRow{}
	if err := scan(rows, append(m.Dest(), more...)...); err != nil {
		return nil, err
	}
	return m, m.Finish(instant)
}

func scanPair(rows pgx.Rows, into map[string]int64) error {
	var alias string
	var contact int64
	err := scan(rows, &alias, &contact)
	into[alias] = contact
	return err
}

// col returns a column of rows.
func col[T, V any](rows []T, get func(T) V) []V {
	out := make([]V, len(rows))
	for i, r := range rows {
		out[i] = get(r)
	}
	return out
}
