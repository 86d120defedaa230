package sqlitequeue

import (
	"math"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// never is later than any time.
const never = math.MaxInt64

// queueRow is a queue's row during a transaction: loaded once and written once, however
// many callers share the transaction.
type queueRow struct {
	queue.Stats // without OldestAge
	id          int64
	heldUntil   int64
	tat         int64
	last        int64
	dropped     int64
}

// txState holds the rows that a transaction has loaded.
type txState struct {
	tx        *sqlite.Tx
	rows      map[string]*queueRow
	newIDs    map[hash]int64 // new IDs with their generation
	usedPages int64          // in use, 0 until needed
}

func (e *Engine) state(tx *sqlite.Tx) *txState {
	if st, ok := tx.Scratch.(*txState); ok {
		return st
	}
	st := &txState{tx: tx, rows: map[string]*queueRow{}}
	tx.Scratch = st
	tx.BeforeCommit(st.flush)
	return st
}

const rowColumns = `id, name, paused, held_until, held_for, rate, burst, tat, last, depth, in_flight, dead,
	enqueued, duplicates, done, retried, refused, stalled, dropped`

func (r *queueRow) fields() []any {
	return []any{
		&r.id, &r.Name, &r.Paused, &r.heldUntil, &r.HeldReason, &r.Limit.Rate, &r.Limit.Burst, &r.tat, &r.last,
		&r.Depth, &r.InFlight, &r.Dead, &r.Enqueued, &r.Duplicates, &r.Done, &r.Retried, &r.Refused, &r.Stalled, &r.dropped,
	}
}

// load returns the queue's row, nil if there is none.
func (st *txState) load(name string) (*queueRow, error) {
	if r := st.rows[name]; r != nil {
		return r, nil
	}
	r := &queueRow{}
	found, err := st.tx.Row(`SELECT `+rowColumns+` FROM queue WHERE name = ?`, []any{name}, r.fields()...)
	if err != nil || !found {
		return nil, err
	}
	st.rows[name] = r
	return r, nil
}

// loadOrCreate returns the queue's row and creates it if there is none.
func (st *txState) loadOrCreate(name string) (*queueRow, error) {
	r, err := st.load(name)
	if r != nil || err != nil {
		return r, err
	}
	if _, err := st.tx.Exec(`INSERT INTO queue (name) VALUES (?)`, name); err != nil {
		return nil, err
	}
	return st.load(name)
}

func (st *txState) flush() error {
	for _, r := range st.rows {
		_, err := st.tx.Exec(`UPDATE queue SET paused = ?, held_until = ?, held_for = ?, rate = ?, burst = ?, tat = ?, last = ?,
			depth = ?, in_flight = ?, dead = ?, enqueued = ?, duplicates = ?, done = ?, retried = ?, refused = ?, stalled = ?,
			dropped = ? WHERE id = ?`,
			r.Paused, r.heldUntil, r.HeldReason, r.Limit.Rate, r.Limit.Burst, r.tat, r.last,
			r.Depth, r.InFlight, r.Dead, r.Enqueued, r.Duplicates, r.Done, r.Retried, r.Refused, r.Stalled,
			r.dropped, r.id)
		if err != nil {
			return err
		}
	}
	return nil
}

// arrival returns the limit's theoretical arrival time. After a change of the clock or of
// the limit it is no more than a burst away.
func (r *queueRow) arrival(now int64) int64 {
	_, burst := r.Limit.Spacing()
	return min(r.tat, now+int64(burst))
}

// opensAt returns when the queue as a whole may hand out jobs, whatever its lanes say.
func (r *queueRow) opensAt(now int64) int64 {
	if r.Paused {
		return never
	}
	t := r.heldUntil
	if gap, burst := r.Limit.Spacing(); gap > 0 {
		t = max(t, r.arrival(now)+int64(gap-burst))
	}
	return t
}

// allowance returns how many of want jobs the limit allows now.
func (r *queueRow) allowance(now int64, want int) int {
	if r.opensAt(now) > now {
		return 0
	}
	gap, burst := r.Limit.Spacing()
	if gap == 0 {
		return want
	}
	return min(want, int((now+int64(burst)-max(r.tat, now))/int64(gap)))
}

// charge charges the limit for n jobs handed out.
func (r *queueRow) charge(now int64, n int) {
	if gap, _ := r.Limit.Spacing(); gap > 0 {
		r.tat = max(r.tat, now) + int64(n)*int64(gap)
	}
}

func toNanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNanos(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
