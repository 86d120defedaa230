package sandbox

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Sent is one message that the Graph API accepted.
type Sent struct {
	ID   string    `json:"id"`            // its wamid
	To   string    `json:"to"`            // digits or user id, as requested
	Ref  string    `json:"ref,omitempty"` // biz_opaque_callback_data
	Type string    `json:"type"`
	Text string    `json:"text,omitempty"` // body, caption or template name
	At   time.Time `json:"at"`
}

// Counts are totals since the start.
type Counts struct {
	Accepted int64 `json:"accepted"` // messages
	Refused  int64 `json:"refused"`  // messages answered with an error or not at all
	Cut      int64 `json:"cut"`      // messages accepted but never answered
	Reads    int64 `json:"reads"`    // read receipts
	Blocked  int64 `json:"blocked"`  // blocks of people
	Posted   int64 `json:"posted"`   // webhook posts answered 200
	Failed   int64 `json:"failed"`   // webhook posts that were not
	Dropped  int64 `json:"dropped"`  // events dropped for lack of room or age
}

// record keeps the newest accepted messages, up to limit, in order of acceptance.
type record struct {
	mu     sync.Mutex
	limit  int
	ring   []Sent
	next   int // where the next goes once the ring is full
	counts Counts
}

func newRecord(limit int) *record { return &record{limit: limit} }

func (r *record) add(s Sent) (number int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ring) < r.limit {
		r.ring = append(r.ring, s)
	} else {
		r.ring[r.next] = s
		r.next = (r.next + 1) % r.limit
	}
	r.counts.Accepted++
	return r.counts.Accepted
}

func (r *record) count(f func(*Counts)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.counts)
}

// Sent returns the accepted messages that are still kept, oldest first.
func (r *record) Sent() []Sent {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]Sent, 0, len(r.ring))
	all = append(all, r.ring[r.next:]...)
	return append(all, r.ring[:r.next]...)
}

// SentTo returns what was accepted for one recipient, oldest first.
func (r *record) SentTo(to string) []Sent {
	var some []Sent
	for _, m := range r.Sent() {
		if m.To == to {
			some = append(some, m)
		}
	}
	return some
}

// Counts returns the totals.
func (r *record) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// listSent answers with the totals, how many each recipient got, and the newest
// messages (limit, 100 by default; to= for one recipient).
func (pg *page) listSent(w http.ResponseWriter, r *http.Request) {
	items := pg.record.Sent()
	per := make(map[string]int)
	for _, m := range items {
		per[m.To]++
	}
	if to := r.FormValue("to"); to != "" {
		items = pg.record.SentTo(to)
	}
	limit, err := strconv.Atoi(r.FormValue("limit"))
	if err != nil || limit < 0 {
		limit = 100
	}
	items = items[max(0, len(items)-limit):]
	writeJSON(w, http.StatusOK, map[string]any{"counts": pg.record.Counts(), "recipients": per, "items": items})
}
