package delivery

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/batch"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// claimSize is how many conversations one claim covers.
	claimSize = 256
	// maxClaims is how many claims run at once. Another one starts only if the others have
	// lasted claimStuckAfter: they wait for a contact that another process has locked.
	maxClaims       = 4
	claimStuckAfter = 1500 * time.Millisecond
	// claimEvery is the shortest time between two claims of few rows.
	claimEvery = 40 * time.Millisecond
	// claimTimeout is how long a call of the store may take.
	claimTimeout = 10 * time.Second
	// slotAhead is how soon a claimed row must be able to expect a slot; it leaves a margin
	// to slotTimeout.
	slotAhead = slotTimeout * 3 / 4
)

// claimer claims rows in batches: a slow store then delays messages but does not lower the
// line's rate. It claims no row that would wait for a slot, and none of a conversation that
// has a row in hand. It is safe for concurrent use.
type claimer struct {
	s     *Sends
	batch *batch.Batcher[*claimRequest, *store.SendClaim]

	mu       sync.Mutex
	ready    int             // claimed rows that wait for a slot
	claimed  map[string]bool // conversations with a row that is being claimed, posted or recorded
	slotTime time.Duration   // how long recent posts held their slot; 0 is unknown
}

// claimRequest asks for the next row of a conversation. claimedRow is that row, nil if
// there is none.
type (
	claimRequest struct {
		conversation string
		gate         httpcall.Gate
		token        string // of the first call
	}
	claimedRow = batch.Pending[*claimRequest, *store.SendClaim]
)

func newClaimer(s *Sends) *claimer {
	c := &claimer{s: s, claimed: map[string]bool{}}
	c.batch = batch.New(batch.Options[*claimRequest, *store.SendClaim]{
		Call: c.claim, Split: func(err error) bool { return !storeDown(err) },
		Max: claimSize, Every: claimEvery, Full: cap(s.slots),
		Parallel: maxClaims, StuckAfter: claimStuckAfter, Room: c.room,
	})
	return c
}

// request starts to claim the next row of each conversation. The caller says when a row
// gets its slot and when it is recorded. It has to post each row: a claimed row without a
// post would be marked uncertain.
func (c *claimer) request(gate httpcall.Gate, conversations []string) []*claimedRow {
	reqs := make([]*claimRequest, len(conversations))
	for i, id := range conversations {
		reqs[i] = &claimRequest{conversation: id, gate: gate}
	}
	return c.batch.SubmitAll(reqs...)
}

// room returns how many rows may be claimed now: one for each slot that is free, or will be
// in time even if all were taken just now. That is none while posts take long: the
// conversation of a waiting row may change before its post.
func (c *claimer) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	slots := cap(c.s.slots)
	room := slots - len(c.s.slots)
	if c.slotTime > 0 {
		room += slots * int(slotAhead/c.slotTime)
	}
	return min(claimSize, room) - c.ready
}

// slotTaken says that a claimed row has its slot.
func (c *claimer) slotTaken() { c.makeRoom(func() { c.ready-- }) }

// slotTimedOut says that a claimed row got no slot: posts take longer than before.
func (c *claimer) slotTimedOut() {
	c.makeRoom(func() {
		c.ready--
		c.slotTime = max(2*c.slotTime, slotTimeout)
	})
}

// slotFreed says that a slot is free again, and how long a post held it.
func (c *claimer) slotFreed(kept time.Duration) {
	c.makeRoom(func() {
		switch kept = max(kept, time.Millisecond); c.slotTime {
		case 0:
			c.slotTime = kept
		default:
			c.slotTime += (kept - c.slotTime) / 4
		}
	})
}

func (c *claimer) makeRoom(change func()) {
	c.mu.Lock()
	change()
	c.mu.Unlock()
	c.batch.Wake()
}

// rowRecorded lets a conversation be claimed again.
func (c *claimer) rowRecorded(conversation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.claimed, conversation)
}

// claim answers a batch. If the store refuses a batch and it is split, its requests keep
// their token.
func (c *claimer) claim(ctx context.Context, reqs []*claimRequest) (results []batch.Result[*store.SendClaim], err error) {
	results = make([]batch.Result[*store.SendClaim], len(reqs))
	token := cmp.Or(reqs[0].token, rand.Text())
	var conversations []string
	for i, r := range reqs {
		r.token = token
		if results[i].Err = c.admit(r); results[i].Err == nil {
			conversations = append(conversations, r.conversation)
		}
	}
	if len(conversations) == 0 {
		return results, nil
	}
	var rows map[string]store.SendClaim
	defer func() { c.claimedRows(conversations, rows) }()
	if rows, err = c.call(ctx, token, conversations); err != nil {
		return nil, err
	}
	for i, r := range reqs {
		row, found := rows[r.conversation]
		switch {
		case results[i].Err != nil || !found:
		case row.Busy:
			results[i].Err = fmt.Errorf("claim sends: %w", store.ErrBusy)
		default:
			results[i].Value = &row
		}
	}
	return results, nil
}

// admit refuses a caller whose lease ended while it waited, or whose line is held by now:
// its claim would make a successor's post uncertain. It also refuses a conversation with a
// row in hand: the store would take that row for one of a lost sender.
func (c *claimer) admit(r *claimRequest) error {
	if err := r.gate(); err != nil {
		return fmt.Errorf("claim sends: %w: %w", httpcall.ErrNotBegun, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.claimed[r.conversation] {
		return fmt.Errorf("claim sends: its row is in hand: %w", store.ErrBusy)
	}
	c.claimed[r.conversation] = true
	return nil
}

// claimedRows notes which of the conversations now have a row in hand.
func (c *claimer) claimedRows(conversations []string, rows map[string]store.SendClaim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range conversations {
		if row, found := rows[id]; found && !row.Busy {
			c.ready++
		} else {
			delete(c.claimed, id)
		}
	}
}

// call repeats a claim once, under the same token, if the store did not answer. The first
// call may have claimed rows, and another token would mark them uncertain.
func (c *claimer) call(ctx context.Context, token string, conversations []string) (map[string]store.SendClaim, error) {
	call := stallLease(claimTimeout)
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	for again := false; ; again = true {
		claims, err := c.s.opts.Store.ClaimSends(ctx, c.s.opts.Now(), token, conversations)
		if err == nil {
			rows := make(map[string]store.SendClaim, len(claims))
			for _, row := range claims {
				rows[row.Post.Conversation] = row
			}
			return rows, nil
		}
		err = fmt.Errorf("claim sends: %w", err)
		if call.Left() <= 0 { // not the store's fault
			err = fmt.Errorf("%w: this process stalled: %w", httpcall.ErrNotBegun, err)
		}
		if again || !storeDown(err) || !sleep(ctx, outageDelay/5) {
			return nil, err
		}
	}
}
