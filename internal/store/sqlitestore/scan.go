package sqlitestore

import (
	"database/sql"
	"encoding/json"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// instant returns a stored time: see sqlrow.Micros.
func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// texts, pairs and numbers return lists as json_each reads them.
func texts[T string | [2]string](list []T) string {
	out, err := json.Marshal(list)
	if err != nil {
		return "[]" // strings always marshal
	}
	return string(out)
}

// pairs returns lines and ids, each pair once.
func pairs(list []unit.ProviderID) string {
	seen := make(map[unit.ProviderID]bool, len(list))
	rest := make([][2]string, 0, len(list))
	for _, p := range list {
		if !seen[p] {
			seen[p] = true
			rest = append(rest, [2]string{p.Line, p.ID})
		}
	}
	return texts(rest)
}

func numbers[V any](set map[int64]V) string {
	out := make([]byte, 0, 2+8*len(set))
	out = append(out, '[')
	for n := range set {
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = strconv.AppendInt(out, n, 10)
	}
	return string(append(out, ']'))
}

const conversationColumns = sqlrow.ConversationColumns + `,
	(SELECT count(*) FROM messages o WHERE o.conversation = t.n AND o.status IN ('queued', 'sending') AND o.notice = '')`

const messageColumns = sqlrow.MessageColumns + `, m.body, m.media, m.reactions`

type (
	contactRow      = sqlrow.Contact[int64]
	conversationRow = sqlrow.Conversation[int64]
	messageRow      = sqlrow.Message[int64]
)

// scanMessage reads a row. The caller sets its ConversationRow.
func scanMessage(rows *sql.Rows, more ...any) (*messageRow, error) {
	m := &messageRow{}
	if err := rows.Scan(append(m.Dest(), more...)...); err != nil {
		return nil, err
	}
	return m, m.Finish(instant)
}
