package sqlitequeue

import (
	"math"
	"time"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// never is later than every moment.
const never = math.MaxInt64

// row is a queue's row while a transaction changes it: loaded once and written
// once, however many callers share the transaction.
type row struct {
	queue.Stats // without OldestAge
	id          int64
	heldUntil   int64
	tat         int64
	last        int64
	dropped     int64
}

// book holds the rows that a transaction has loaded.
type book struct {
	tx    *sqlite.Tx
	rows  map[string]*row
	fresh map[hash]int64 // IDs that came, with their generation
	pages int64          // in use, 0 until somebody asked
}

func (e *Engine) book(tx *sqlite.Tx) *book {
	if b, ok := tx.Scratch.(*book); ok {
		return b
	}
	b := &book{tx: tx, rows: map[string]*row{}}
	tx.Scratch = b
	tx.BeforeCommit(b.flush)
	return b
}

const rowColumns = `id, name, paused, held_until, held_for, rate, burst, tat, last, depth, in_flight, dead,
	enqueued, duplicates, done, retried, refused, stalled, dropped`

func (r *row) fields() []any {
	return []any{
		&r.id, &r.Name, &r.Paused, &r.heldUntil, &r.HeldReason, &r.Limit.Rate, &r.Limit.Burst, &r.tat, &r.last,
		&r.Depth, &r.InFlight, &r.Dead, &r.Enqueued, &r.Duplicates, &r.Done, &r.Retried, &r.Refused, &r.Stalled, &r.dropped,
	}
}

// find returns the queue's row, nil when there is none.
func (b *book) find(name string) (*row, error) {
	if r := b.rows[name]; r != nil {
		return r, nil
	}
	r := &row{}
	found, err := b.tx.Row(`SELECT `+rowColumns+` FROM queue WHERE name = ?`, []any{name}, r.fields()...)
	if err != nil || !found {
		return nil, err
	}
	b.rows[name] = r
	return r, nil
}

// make returns the queue's row, and makes it when there is none.
func (b *book) make(name string) (*row, error) {
	r, err := b.find(name)
	if r != nil || err != nil {
		return r, err
	}
	if _, err := b.tx.Exec(`INSERT INTO queue (name) VALUES (?)`, name); err != nil {
		return nil, err
	}
	return b.find(name)
}

func (b *book) flush() error {
	for _, r := range b.rows {
		_, err := b.tx.Exec(`UPDATE queue SET paused = ?, held_until = ?, held_for = ?, rate = ?, burst = ?, tat = ?, last = ?,
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

// arrival is the limit's theoretical arrival time. A clock or a limit that has
// changed must not put it further away than a burst.
func (r *row) arrival(now int64) int64 {
	_, burst := r.Limit.Spacing()
	return min(r.tat, now+int64(burst))
}

// opens is when the queue as a whole may hand out, whatever its lanes say.
func (r *row) opens(now int64) int64 {
	if r.Paused {
		return never
	}
	t := r.heldUntil
	if gap, burst := r.Limit.Spacing(); gap > 0 {
		t = max(t, r.arrival(now)+int64(gap-burst))
	}
	return t
}

// allowance is how many of want the limit lets out now.
func (r *row) allowance(now int64, want int) int {
	if r.opens(now) > now {
		return 0
	}
	gap, burst := r.Limit.Spacing()
	if gap == 0 {
		return want
	}
	return min(want, int((now+int64(burst)-max(r.tat, now))/int64(gap)))
}

// charge pays for jobs that were handed out.
func (r *row) charge(now int64, n int) {
	if gap, _ := r.Limit.Spacing(); gap > 0 {
		r.tat = max(r.tat, now) + int64(n)*int64(gap)
	}
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func moment(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}
