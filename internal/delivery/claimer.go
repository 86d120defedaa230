package delivery

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	// claimSize is how many conversations one claim asks about.
	claimSize = 256
	// maxClaims is how many claims are under way at most, and stuck is when one
	// is taken to wait for a contact in somebody else's hands: only then does the
	// next begin beside it, as many small claims cost a store more than a large one.
	maxClaims = 4
	stuck     = 1500 * time.Millisecond
	// claimEvery is how soon one claim follows another that few wait for.
	claimEvery = 40 * time.Millisecond
	// claimTimeout is how long the store may take.
	claimTimeout = 10 * time.Second
	// slotAhead is how soon a slot must be expected for a row that is claimed: with some
	// room in the time that it may wait.
	slotAhead = slotTimeout * 3 / 4
)

// claimer claims rows in groups: what comes while calls are under way, or soon after,
// gathers for the next. A slow store so costs each message time, and the line
// none of its rate. It claims no row that would wait for its slot, and none of a
// conversation that has one in hand. It is safe for concurrent use.
type claimer struct {
	s        *Sends
	pace     *pace
	runs     sync.WaitGroup
	mu       sync.Mutex
	waiting  []*ask
	running  int             // claims under way
	stuck    int             // those of them that have been so for long
	claiming int             // conversations in them
	ready    int             // rows that are claimed and wait for a slot
	claimed  map[string]bool // conversations whose row is claimed and not recorded
	slotTime time.Duration   // how long a slot is kept, lately; 0: nobody knows
}

// ask is one conversation that wants its next row.
type ask struct {
	conversation string
	gate         httpcall.Gate
	done         chan struct{} // closed once these are set:
	row          *store.SendClaim
	err          error
}

// ask starts claiming the next row of each conversation.
func (c *claimer) ask(ctx context.Context, gate httpcall.Gate, conversations []string) []*ask {
	asks := make([]*ask, len(conversations))
	for i, id := range conversations {
		asks[i] = &ask{conversation: id, gate: gate, done: make(chan struct{})}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting = append(c.waiting, asks...); len(c.waiting) >= cap(c.s.slots) {
		c.pace.enough()
	}
	c.begin(context.WithoutCancel(ctx))
	return asks
}

// begin starts claiming unless somebody does.
func (c *claimer) begin(ctx context.Context) {
	if len(c.waiting) > 0 && c.room() > 0 && c.running == c.stuck && c.running < maxClaims {
		c.running++
		c.runs.Go(func() { c.run(ctx) })
	}
}

// room is how many rows may be claimed now: as many as there are free slots, and as
// get free in time even if all of them were taken just now, as they are kept lately.
// Where posts take long that is none: who waits with a claimed row is overtaken by
// what its conversation becomes meanwhile.
func (c *claimer) room() int {
	slots := cap(c.s.slots)
	room := slots - len(c.s.slots)
	if c.slotTime > 0 {
		room += slots * int(slotAhead/c.slotTime)
	}
	return min(claimSize, room) - c.ready - c.claiming
}

// slotTaken says that a claimed row waits no longer.
func (c *claimer) slotTaken(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready--
	c.begin(context.WithoutCancel(ctx))
}

// slotTimedOut says that a claimed row waited in vain: slots are kept for longer than was
// thought.
func (c *claimer) slotTimedOut(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready--
	c.slotTime = max(2*c.slotTime, slotTimeout)
	c.begin(context.WithoutCancel(ctx))
}

// slotFreed says that a slot is, which was kept for so long.
func (c *claimer) slotFreed(ctx context.Context, kept time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch kept = max(kept, time.Millisecond); c.slotTime {
	case 0:
		c.slotTime = kept
	default:
		c.slotTime += (kept - c.slotTime) / 4
	}
	c.begin(context.WithoutCancel(ctx))
}

// rowRecorded says that the row of a conversation is in our hands no longer.
func (c *claimer) rowRecorded(conversation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.claimed, conversation)
}

// wait returns the row that was asked for, or nil when there is none; who gets one
// tells when it is seated, and when it is over. When ctx ends it gives up what was not begun; a claim that
// is under way is waited for, as a row that nobody posts would be taken for a lost one.
func (c *claimer) wait(ctx context.Context, a *ask) (*store.SendClaim, error) {
	select {
	case <-a.done:
		return a.row, a.err
	case <-ctx.Done():
	}
	if c.drop(a) {
		return nil, fmt.Errorf("claim sends: %w", context.Cause(ctx))
	}
	<-a.done
	return a.row, a.err
}

func (c *claimer) drop(a *ask) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, other := range c.waiting {
		if other == a {
			c.waiting = append(c.waiting[:i:i], c.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// run claims until nobody waits.
func (c *claimer) run(ctx context.Context) {
	for {
		c.pace.rest(ctx)
		group := c.take()
		if len(group) == 0 {
			return
		}
		taken := len(group)
		if group = pass(group); len(group) > 0 {
			c.pace.begin()
			late := time.AfterFunc(stuck, func() { c.late(ctx, 1) })
			c.claim(ctx, rand.Text(), group)
			if !late.Stop() {
				c.late(ctx, -1)
			}
		}
		c.mu.Lock()
		c.claiming -= taken
		c.mu.Unlock()
	}
}

// pass lets go who lost his lease while he waited, or whose line is held by now: a
// claim of his would make a successor's post uncertain.
func pass(group []*ask) (left []*ask) {
	for _, a := range group {
		if err := a.gate(); err != nil {
			a.err = fmt.Errorf("claim sends: %w: %w", httpcall.ErrNotBegun, err)
			close(a.done)
			continue
		}
		left = append(left, a)
	}
	return left
}

// late counts a claim that has lasted long, and no more once it is over.
func (c *claimer) late(ctx context.Context, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck += n
	c.begin(ctx)
}

// take returns the next group: no conversation twice, as both would post its row, and
// none that has a row in hand, which would be taken for one of a lost sender.
func (c *claimer) take() (group []*ask) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room := c.room()
	var rest []*ask
	taken := map[string]bool{}
	for _, a := range c.waiting {
		if c.claimed[a.conversation] {
			a.err = fmt.Errorf("claim sends: its row is in hand: %w", store.ErrBusy)
			close(a.done)
			continue
		}
		if len(group) >= room || taken[a.conversation] {
			rest = append(rest, a)
			continue
		}
		taken[a.conversation] = true
		group = append(group, a)
	}
	c.waiting = rest
	c.claiming += len(group)
	if len(group) == 0 {
		c.running--
	}
	return group
}

// claim answers a group. What the store refuses for a reason of its own is asked in
// halves, until the one that it is about stands alone.
func (c *claimer) claim(ctx context.Context, token string, group []*ask) {
	rows, err := c.call(ctx, token, group)
	if err != nil && len(group) > 1 && !storeDown(err) {
		half := len(group) / 2
		c.claim(ctx, token, group[:half])
		c.claim(ctx, token, group[half:])
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range group {
		a.err = err
		if row, ok := rows[a.conversation]; row.Busy {
			a.err = fmt.Errorf("claim sends: %w", store.ErrBusy)
		} else if ok {
			a.row = &row
			c.ready++
			c.claimed[a.conversation] = true
		}
		close(a.done)
	}
}

// call asks a second time, under the same token, when the store did not answer:
// rows that it has given us already would else be taken for lost ones.
func (c *claimer) call(ctx context.Context, token string, group []*ask) (map[string]store.SendClaim, error) {
	call := stallLease(claimTimeout)
	ctx, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	conversations := make([]string, len(group))
	for i, a := range group {
		conversations[i] = a.conversation
	}
	for again := false; ; again = true {
		claims, err := c.s.Store.ClaimSends(ctx, c.s.Now(), token, conversations)
		if err == nil {
			rows := make(map[string]store.SendClaim, len(claims))
			for _, row := range claims {
				rows[row.Post.Conversation] = row
			}
			return rows, nil
		}
		err = fmt.Errorf("claim sends: %w", err)
		if call.Left() <= 0 { // not the store's fault
			err = fmt.Errorf("%w: this process stood still: %w", httpcall.ErrNotBegun, err)
		}
		if again || !storeDown(err) {
			return nil, err
		}
		select {
		case <-time.After(outageDelay / 5):
		case <-ctx.Done():
			return nil, err
		}
	}
}
