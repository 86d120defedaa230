package delivery

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// firstProbe is how soon a line is probed after a first refusal: by a conversation that was
// not refused, if there is one.
var firstProbe = queue.Backoff{Base: outageDelay, Cap: outageDelay}

// refusalMemory is how long a refusal is remembered without another one: longer than a
// provider may ask a message to wait.
const refusalMemory = 2 * time.Hour

// refusals are the conversations of a line whose oldest row was refused, with the fault not
// known. Only this process knows them: forgetting them costs a probe each.
type refusals struct {
	mu             sync.Mutex
	known          map[string]refusal
	newestAccepted time.Time // when the newest post began that was accepted
}

// refusal is the refusal of one row.
type refusal struct {
	row         string
	first, last time.Time // of its refusals
}

// judgeRefusal judges a refusal that may be the row's fault or the line's. A row is at
// fault if it is refused again after the line took another conversation's message. Until
// then the line is held and no row fails, however long it takes. The hold gets longer once
// everybody who waits has been refused.
func (s *Sends) judgeRefusal(ctx context.Context, lane, row string, f *outbound.Failure, r postResult) postResult {
	again, cleared := s.refusals.add(lane, row, time.Now())
	if cleared {
		r.status, r.reason = store.Failed, router.Refused
		return r
	}
	probe := queue.Backoff{}
	if !again {
		probe = firstProbe
	}
	r.lane = s.holdLine(ctx, f, "a message was refused, and the next one shows whether it is the line", probe)
	return r
}

// add notes a refusal of a row at the given time. It returns whether the row was refused
// before, and whether the line has accepted a post that began after its first refusal.
func (s *refusals) add(lane, row string, now time.Time) (again, cleared bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = map[string]refusal{}
	}
	for other, o := range s.known {
		if now.Sub(o.last) > refusalMemory { // another process finished it
			delete(s.known, other)
		}
	}
	ref := s.known[lane]
	if again = ref.row == row; !again {
		ref = refusal{row: row, first: now}
	}
	ref.last = now
	s.known[lane] = ref
	return again, s.newestAccepted.After(ref.first)
}

// accepted notes that the line took a message whose post began at the given time.
func (s *refusals) accepted(began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if began.After(s.newestAccepted) {
		s.newestAccepted = began
	}
}

// forget forgets a conversation whose row is over.
func (s *refusals) forget(lane string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, lane)
}

// refusedLast moves the refused lanes of a batch behind the others.
func (s *refusals) refusedLast(batch []queue.Claim, settle func(int, queue.Outcome)) ([]queue.Claim, func(int, queue.Outcome)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.known) == 0 {
		return batch, settle
	}
	var order, behind []int
	for i, c := range batch {
		if _, known := s.known[c.Lane]; known {
			behind = append(behind, i)
		} else {
			order = append(order, i)
		}
	}
	order = slices.Concat(order, behind)
	sorted := make([]queue.Claim, len(batch))
	for to, from := range order {
		sorted[to] = batch[from]
	}
	return sorted, func(i int, o queue.Outcome) { settle(order[i], o) }
}
