package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/store"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	goleak.VerifyTestMain(m)
}

// row is a message of the fakeSendStore.
type row struct {
	id, conversation string
	status           store.Status
	token            string
	attempts         int
	result           store.SendResult
	claimed          time.Time
	claims           int
}

// fakeSendStore implements the store's contract in memory.
type fakeSendStore struct {
	mu     sync.Mutex
	rows   []*row
	claims int
	groups []int

	claimErr, recordErr error
	claimLost           int // claims that are committed but not answered
	claimCut            int // the same, and the store does not count as away
	claimPanics         int
	recordLost          int
	poison              string // message whose result cannot be written
	held                string // conversation whose contact another process has locked
	claimHeld           string // the same, while it is being claimed
	refused             string // conversation whose claims fail
	stuck               string // conversation whose claims take 5 s
	slow                time.Duration
}

func (s *fakeSendStore) add(conversation string, ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.rows = append(s.rows, &row{id: id, conversation: conversation, status: store.Queued})
	}
}

func (s *fakeSendStore) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// states lists the rows as "id status".
func (s *fakeSendStore) states() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for _, r := range s.rows {
		all = append(all, r.id+" "+string(r.status))
	}
	return all
}

func (s *fakeSendStore) find(id string) row {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.id == id {
			return *r
		}
	}
	return row{}
}

func (s *fakeSendStore) ClaimSends(_ context.Context, _ time.Time, token string, conversations []string) ([]store.SendClaim, error) {
	if s.slow > 0 {
		time.Sleep(s.slow)
	}
	if slices.Contains(conversations, s.stuck) {
		time.Sleep(5 * time.Second)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.claimErr != nil {
		return nil, s.claimErr
	}
	if s.claimPanics > 0 {
		s.claimPanics--
		panic("a bug")
	}
	if slices.Contains(conversations, s.refused) {
		return nil, errors.New("this one cannot be claimed")
	}
	s.claims++
	var all []store.SendClaim
	for _, c := range conversations {
		if c == s.claimHeld {
			all = append(all, store.SendClaim{Post: store.PostRow{Conversation: c}, Busy: true})
			continue
		}
		if r := s.oldest(c, token); r != nil {
			all = append(all, store.SendClaim{
				Post: store.PostRow{
					Post:         outbound.Post{ID: r.id, Line: "wsp4", To: outbound.Address{Phone: "5491100000" + c}},
					Conversation: c,
				},
				Token: token, MarkReadID: "in-" + r.id, Attempt: r.attempts,
			})
		}
	}
	if s.claimLost > 0 {
		s.claimLost--
		return nil, fmt.Errorf("answer lost: %w", store.ErrUnavailable)
	}
	if s.claimCut > 0 {
		s.claimCut--
		return nil, errors.New("answer lost")
	}
	return all, nil
}

func (s *fakeSendStore) oldest(conversation, token string) *row {
	for _, r := range s.rows {
		switch {
		case r.conversation != conversation:
		case r.status == store.Sending && r.token == token:
			return r
		case r.status == store.Sending:
			r.status = store.Uncertain
		case r.status == store.Queued:
			r.status, r.token, r.claimed = store.Sending, token, time.Now()
			r.claims++
			r.attempts++
			return r
		}
	}
	return nil
}

func (s *fakeSendStore) RecordSends(ctx context.Context, _ time.Time, results []store.SendResult) ([]store.Recorded, error) {
	if s.slow > 0 {
		time.Sleep(s.slow)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.recordErr != nil {
		return nil, s.recordErr
	}
	for _, res := range results {
		if res.MessageID == s.poison {
			return nil, errors.New("this one cannot be written")
		}
	}
	s.groups = append(s.groups, len(results))
	recorded := make([]store.Recorded, len(results))
	for i, res := range results {
		if res.Conversation == s.held {
			recorded[i].Busy = true
			continue
		}
		for _, r := range s.rows {
			if r.id == res.MessageID {
				if r.status == store.Sending && r.token == res.Token {
					r.status, r.token, r.result = res.Status, "", res
					if res.NotAttempted {
						r.attempts--
					}
				} else if res.ProviderID != "" {
					r.status, r.result = store.Sent, res
				}
			}
			recorded[i].More = recorded[i].More || r.conversation == res.Conversation && r.status == store.Queued
		}
	}
	if s.recordLost > 0 {
		s.recordLost--
		return nil, fmt.Errorf("answer lost: %w", store.ErrUnavailable)
	}
	return recorded, nil
}

// fakeSender is a sender with a script: the answer to a message's n-th post.
type fakeSender struct {
	mu     sync.Mutex
	posts  []string
	at     map[string][]time.Duration
	start  time.Time
	marked []string
	script func(id string, n int) error
	began  func(id string)
	took   func(id string) time.Duration
	now    int
	most   int
}

func (w *fakeSender) Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error) {
	w.mu.Lock()
	w.posts = append(w.posts, p.ID)
	w.at[p.ID] = append(w.at[p.ID], time.Since(w.start))
	n := len(w.at[p.ID])
	w.now++
	w.most = max(w.most, w.now)
	w.mu.Unlock()
	defer func() { w.mu.Lock(); w.now--; w.mu.Unlock() }()
	if w.began != nil {
		w.began(p.ID)
	}
	if w.took != nil {
		select {
		case <-time.After(w.took(p.ID)):
		case <-ctx.Done():
			return outbound.Accepted{}, &outbound.Failure{Class: outbound.Uncertain, Detail: "no answer in time", Err: ctx.Err()}
		}
	}
	if w.script != nil {
		if err := w.script(p.ID, n); err != nil {
			return outbound.Accepted{}, err
		}
	}
	return outbound.Accepted{ID: "wamid." + p.ID}, nil
}

func (w *fakeSender) MarkRead(_ context.Context, id string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.marked = append(w.marked, id)
	return errors.New("a receipt that fails changes nothing")
}

func (w *fakeSender) count(id string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.at[id])
}

// total is the number of posts.
func (w *fakeSender) total() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.posts)
}

func fail(class outbound.Class, code int) *outbound.Failure {
	return &outbound.Failure{Class: class, Code: code, Detail: "as scripted"}
}

// rig is one line's delivery over the model and the fake store, in a bubble.
type rig struct {
	*testing.T
	model  *queuetest.Model
	store  *fakeSendStore
	sender *fakeSender
	logs   *bytes.Buffer
	stop   func()
}

func newRig(t *testing.T, o delivery.SendOptions) *rig {
	t.Helper()
	r := &rig{
		T: t, model: queuetest.NewModel(time.Now), store: &fakeSendStore{}, logs: &bytes.Buffer{},
		sender: &fakeSender{at: map[string][]time.Duration{}, start: time.Now()},
	}
	o.Line, o.Store, o.Queue, o.Sender, o.Marker = "wsp4", r.store, r.model, r.sender, r.sender
	o.Log = slog.New(slog.NewTextHandler(r.logs, nil))
	o.Backoff.Rand = func() float64 { return 1 }
	r.run(delivery.NewSends(o))
	return r
}

func (r *rig) run(s *delivery.Sends) {
	ctx, cancel := context.WithCancel(r.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	r.stop = func() {
		cancel()
		if err := <-done; err != nil {
			r.Error(err)
		}
	}
}

// say adds rows and their wake-up.
func (r *rig) say(conversation string, ids ...string) {
	r.Helper()
	r.store.add(conversation, ids...)
	if _, err := r.model.Enqueue(r.Context(), []queue.Job{job.WakeSends("wsp4", conversation)}); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) stats() queue.Stats {
	r.Helper()
	all, err := r.model.Stats(context.WithoutCancel(r.Context()))
	if err != nil {
		r.Fatal(err)
	}
	for _, s := range all {
		if s.Name == "send:wsp4" {
			return s
		}
	}
	return queue.Stats{}
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

const second = time.Second

func TestSendsRowsInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.took = func(string) time.Duration { return 100 * time.Millisecond }
		r.store.slow = 20 * time.Millisecond
		var want []string
		for c := range 10 {
			ids := []string{fmt.Sprintf("%da", c), fmt.Sprintf("%db", c), fmt.Sprintf("%dc", c)}
			r.say(fmt.Sprint(c), ids...)
			for _, id := range ids {
				want = append(want, id+" sent")
			}
		}
		pass(10 * second)
		r.stop()
		if diff := cmp.Diff(r.store.states(), want); diff != "" {
			t.Error(diff)
		}
		// Within a conversation one after the other, conversations side by side.
		for c := range 10 {
			of := slices.DeleteFunc(slices.Clone(r.sender.posts), func(id string) bool { return id[0] != byte('0'+c) })
			if !slices.IsSorted(of) {
				t.Errorf("out of order: %v", of)
			}
		}
		if r.sender.most != 10 || r.sender.total() != 30 {
			t.Errorf("%d posts, at most %d at once", r.sender.total(), r.sender.most)
		}
		// Batches at every step: rows are claimed and recorded in few calls.
		if r.store.claims > 15 || len(r.store.groups) > 15 {
			t.Errorf("%d claims, groups %v", r.store.claims, r.store.groups)
		}
		if got := r.store.find("3b").result; got.ProviderID != "wamid.3b" || got.Token == "" {
			t.Errorf("recorded: %+v", got)
		}
		if len(r.sender.marked) != 30 || r.stats().Depth != 0 || r.stats().Dead != 0 {
			t.Errorf("%d marked, %+v", len(r.sender.marked), r.stats())
		}
		if strings.Contains(r.logs.String(), "54911") {
			t.Error("a phone is in the log")
		}
	})
}

// inSeconds rounds the pauses for batches away.
func inSeconds(times []time.Duration) []time.Duration {
	all := make([]time.Duration, len(times))
	for i, t := range times {
		all[i] = t.Round(second)
	}
	return all
}

// TestVerdicts: what each class of failure means for the row, for the next one of its
// conversation, and for the line.
func TestVerdicts(t *testing.T) {
	scripted := func(errs ...error) func(string, int) error {
		return func(id string, n int) error {
			if id != "a" || n > len(errs) {
				return nil
			}
			return errs[n-1]
		}
	}
	times := func(n int, err error) []error { return slices.Repeat([]error{err}, n) }
	for name, tt := range map[string]struct {
		script []error
		states []string
		at     []time.Duration // of a's posts
		held   bool            // the line was held
		next   time.Duration   // when b goes
	}{
		"accepted":  {nil, []string{"a sent", "b sent"}, []time.Duration{0}, false, 0},
		"permanent": {times(1, fail(outbound.Permanent, 131026)), []string{"a failed", "b sent"}, []time.Duration{0}, false, 0},
		"uncertain": {times(1, fail(outbound.Uncertain, 0)), []string{"a uncertain", "b sent"}, []time.Duration{0}, false, 0},
		"unknown":   {times(1, errors.New("what?")), []string{"a uncertain", "b sent"}, []time.Duration{0}, false, 0},
		"retry":     {times(2, fail(outbound.Retry, 131000)), []string{"a sent", "b sent"}, []time.Duration{0, 2 * second, 6 * second}, false, 6 * second},
		"retry with a hint": {
			times(1, &outbound.Failure{Class: outbound.Retry, Wait: time.Minute}),
			[]string{"a sent", "b sent"},
			[]time.Duration{0, time.Minute},
			false, time.Minute,
		},
		"retry for ever": {times(99, fail(outbound.Retry, 131000)), []string{"a failed", "b sent"}, []time.Duration{0, 2 * second, 6 * second}, false, 6 * second},
		"pair":           {times(5, fail(outbound.Pair, 131056)), []string{"a sent", "b sent"}, []time.Duration{0, second, 5 * second, 21 * second, 85 * second, 341 * second}, false, 341 * second},
		"pair with a hint": {
			times(2, &outbound.Failure{Class: outbound.Pair, Wait: time.Minute}),
			[]string{"a sent", "b sent"},
			[]time.Duration{0, time.Minute, 2 * time.Minute},
			false, 2 * time.Minute,
		},
		"throttle": {times(2, fail(outbound.Throttle, 130429)), []string{"a sent", "b sent"}, nil, true, 0},
		"auth":     {times(2, fail(outbound.Auth, 190)), []string{"a sent", "b sent"}, nil, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{MaxAttempts: 3})
				r.sender.script = scripted(tt.script...)
				r.say("1", "a", "b")
				pass(second / 2)
				if held := r.stats().HeldUntil.After(time.Now()); held != tt.held {
					t.Errorf("held: %v, want %v", held, tt.held)
				}
				pass(20 * time.Minute)
				r.stop()
				if diff := cmp.Diff(r.store.states(), tt.states); diff != "" {
					t.Error(diff)
				}
				if tt.at != nil {
					if diff := cmp.Diff(inSeconds(r.sender.at["a"]), tt.at); diff != "" {
						t.Error(diff)
					}
					if diff := cmp.Diff(inSeconds(r.sender.at["b"]), []time.Duration{tt.next}); diff != "" {
						t.Error(diff)
					}
				}
				if got := r.stats(); got.Depth != 0 || got.Dead != 0 || got.Stalled != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

// TestPairDelaysOnePerson: others on the line go on meanwhile.
func TestPairDelaysOnePerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(id string, n int) error {
			if id == "a" && n < 4 {
				return fail(outbound.Pair, 131056)
			}
			return nil
		}
		r.say("1", "a")
		for i := range 20 {
			pass(second)
			r.say(fmt.Sprint(2+i), fmt.Sprintf("x%d", i))
		}
		pass(10 * second)
		r.stop()
		for i := range 20 {
			id := fmt.Sprintf("x%d", i)
			if got, want := r.sender.at[id], []time.Duration{time.Duration(i+1) * second}; !slices.Equal(got, want) {
				t.Errorf("%s went at %v, want %v", id, got, want)
			}
		}
	})
}

// TestLongWaitIsOfItsOwn: a message that is refused for an hour waits alone, however many
// there are; the others leave at once.
func TestLongWaitIsOfItsOwn(t *testing.T) {
	for _, class := range []outbound.Class{outbound.Pair, outbound.Retry, outbound.Unknown} {
		t.Run(string(class), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(id string, _ int) error {
					if strings.HasPrefix(id, "template") && time.Since(r.sender.start) < time.Hour {
						return &outbound.Failure{Class: class, Code: 131064, Wait: time.Hour}
					}
					return nil
				}
				for c := range 5 {
					r.say(fmt.Sprint(c), fmt.Sprintf("template%d", c))
				}
				for c := range 20 {
					pass(time.Minute)
					r.say(fmt.Sprint(10+c), fmt.Sprintf("reply%d", c))
				}
				pass(2 * time.Hour)
				r.stop()
				for c := range 20 {
					id, said := fmt.Sprintf("reply%d", c), time.Duration(c+1)*time.Minute
					if at := r.sender.at[id]; len(at) != 1 || at[0]-said > 2*second {
						t.Errorf("%s, said at %s, went at %v", id, said, at)
					}
				}
				for c := range 5 {
					if id := fmt.Sprintf("template%d", c); r.store.find(id).status != store.Sent || r.sender.count(id) > 3 {
						t.Errorf("%s is %s after %d posts", id, r.store.find(id).status, r.sender.count(id))
					}
				}
			})
		})
	}
}

// TestDeadToken: the line is held with the reason, only one message at a time probes it, no
// attempt is counted, and once a person has acted everything leaves.
func TestDeadToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{MaxAttempts: 2})
		valid := false
		var mu sync.Mutex
		r.sender.script = func(string, int) error {
			mu.Lock()
			defer mu.Unlock()
			if !valid {
				return fail(outbound.Auth, 190)
			}
			return nil
		}
		for c := range 40 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		pass(10 * second)
		first := r.sender.total()
		if got := r.stats(); !strings.Contains(got.HeldReason, "code 190") || !got.HeldUntil.After(time.Now()) {
			t.Errorf("not held: %+v", got)
		}
		pass(6 * time.Hour)
		probes := r.sender.total() - first
		if first > 32 || probes < 10 || probes > 60 {
			t.Errorf("%d posts at first, %d probes in 6 hours", first, probes)
		}
		if n := strings.Count(r.logs.String(), "queue is held"); n != 1 {
			t.Errorf("told %d times", n)
		}
		mu.Lock()
		valid = true
		mu.Unlock()
		pass(11 * time.Minute)
		r.stop()
		for _, s := range r.store.states() {
			if !strings.HasSuffix(s, " sent") {
				t.Error(s)
			}
		}
		if got := r.stats(); got.Retried != 0 || got.Depth != 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// TestLineThatDoesNotAnswer: if no answers come, few messages become uncertain, not all.
func TestLineThatDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Posts: 4})
		r.sender.took = func(string) time.Duration { return time.Hour }
		for c := range 100 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		pass(5 * time.Minute)
		// The four that hang first, the next four that start when those end, and the probes
		// of five minutes, which hang too.
		hung := r.sender.total()
		if hung > 20 {
			t.Errorf("%d messages became uncertain", hung)
		}
		r.sender.mu.Lock()
		r.sender.took = func(string) time.Duration { return 0 }
		r.sender.mu.Unlock()
		pass(5 * time.Minute)
		r.stop()
		count := map[string]int{}
		for _, s := range r.store.states() {
			count[strings.Fields(s)[1]]++
		}
		if count["uncertain"]+count["sent"] != 100 || count["sent"] < 80 || r.sender.total() != 100 {
			t.Errorf("%v, %d posts", count, r.sender.total())
		}
	})
}

// TestOutageOfManyIsNotTheirFault: even if a sender calls it a Retry.
func TestOutageOfManyIsNotTheirFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{MaxAttempts: 3})
		r.sender.script = func(string, int) error {
			if time.Since(r.sender.start) < time.Hour {
				return fail(outbound.Retry, 2)
			}
			return nil
		}
		for c := range 10 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		pass(2 * time.Hour)
		r.stop()
		for _, s := range r.store.states() {
			if !strings.HasSuffix(s, " sent") {
				t.Error(s)
			}
		}
	})
}

// TestHangingPost: a post without an answer is uncertain after its timeout, delays no
// other, and is not repeated.
func TestHangingPost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Posts: 2})
		r.sender.took = func(id string) time.Duration {
			if id == "hang" {
				return time.Hour
			}
			return 0
		}
		r.say("1", "hang", "next")
		for c := range 10 {
			r.say(fmt.Sprint(10+c), fmt.Sprintf("m%d", c))
		}
		pass(second)
		if got := r.sender.total(); got != 11 {
			t.Errorf("%d posts beside the hanging one, want 10", got-1)
		}
		pass(time.Minute)
		r.stop()
		if got := r.store.states()[:2]; got[0] != "hang uncertain" || got[1] != "next sent" {
			t.Errorf("got %v", got)
		}
		if got := r.sender.at["next"]; !slices.Equal(got, []time.Duration{15 * second}) {
			t.Errorf("next went at %v", got)
		}
	})
}

func TestSenderThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(id string, _ int) error {
			if id == "a" {
				panic("a bug")
			}
			return nil
		}
		r.say("1", "a", "b")
		pass(second)
		r.stop()
		if diff := cmp.Diff(r.store.states(), []string{"a uncertain", "b sent"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestStoreAwayAfterThePost: the provider has taken the message and the store is down: the
// id is kept until the store is back, and nothing is posted twice.
func TestStoreAwayAfterThePost(t *testing.T) {
	for name, away := range map[string]time.Duration{"within the lease": 5 * second, "beyond the lease": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.took = func(string) time.Duration { return second }
				r.say("1", "a", "b")
				pass(second / 2)
				r.store.set(func() { r.store.recordErr = fmt.Errorf("down: %w", store.ErrUnavailable) })
				r.store.set(func() { r.store.claimErr = r.store.recordErr })
				pass(away)
				r.store.set(func() { r.store.claimErr, r.store.recordErr = nil, nil })
				pass(2 * time.Minute)
				r.stop()
				if diff := cmp.Diff(r.store.states(), []string{"a sent", "b sent"}); diff != "" {
					t.Error(diff)
				}
				if got := r.store.find("a").result.ProviderID; got != "wamid.a" {
					t.Errorf("provider id %q", got)
				}
				if r.sender.count("a") != 1 || r.sender.count("b") != 1 {
					t.Errorf("posts: %v", r.sender.posts)
				}
			})
		})
	}
}

// TestLostAnswersOfTheStore: a commit whose answer was lost can be repeated without harm.
func TestLostAnswersOfTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.store.claimLost, r.store.recordLost = 1, 1
		r.say("1", "a", "b")
		pass(time.Minute)
		r.stop()
		if diff := cmp.Diff(r.store.states(), []string{"a sent", "b sent"}); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(r.sender.posts, []string{"a", "b"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestResultThatCannotBeWritten: one row's failure is not its batch's.
func TestResultThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.store.poison = "bad"
		r.sender.took = func(string) time.Duration { return second }
		for c := range 5 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		r.say("9", "bad", "next")
		pass(time.Minute)
		r.stop()
		want := []string{"m0 sent", "m1 sent", "m2 sent", "m3 sent", "m4 sent", "bad uncertain", "next sent"}
		if diff := cmp.Diff(r.store.states(), want); diff != "" {
			t.Error(diff)
		}
		if r.sender.count("bad") != 1 {
			t.Errorf("posted %d times", r.sender.count("bad"))
		}
	})
}

// TestHeldContact: a contact that is locked for long delays no other results, and costs its
// own neither the provider id nor an attempt.
func TestHeldContact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{MaxAttempts: 2})
		r.store.held = "9"
		r.sender.took = func(string) time.Duration { return second }
		r.say("9", "held")
		for c := range 5 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		pass(3 * time.Second)
		want := []string{"held sending", "m0 sent", "m1 sent", "m2 sent", "m3 sent", "m4 sent"}
		if diff := cmp.Diff(r.store.states(), want); diff != "" {
			t.Error(diff)
		}
		pass(15 * time.Second)
		r.store.set(func() { r.store.held = "" })
		pass(time.Minute)
		if got := r.store.find("held"); got.status != store.Sent || got.result.ProviderID != "wamid.held" {
			t.Errorf("got %+v", got)
		}
		if r.stats().Retried != 0 || r.sender.count("held") != 1 {
			t.Errorf("got %+v, %d posts", r.stats(), r.sender.count("held"))
		}

		// A claim that has to wait does not count either.
		r.store.set(func() { r.store.claimErr = fmt.Errorf("claim: %w", store.ErrBusy) })
		r.say("1", "later")
		pass(time.Minute)
		r.store.set(func() { r.store.claimErr = nil })
		pass(10 * time.Second) // the longest back-off, and a post
		if got := r.store.find("later"); got.status != store.Sent || r.stats().Retried != 0 {
			t.Errorf("got %+v, %+v", got, r.stats())
		}

		// A row that is claimed beside a locked one leaves.
		r.store.set(func() { r.store.claimHeld = "3" })
		r.say("3", "waits")
		r.say("4", "goes")
		pass(10 * time.Second)
		if r.sender.count("waits") != 0 || r.sender.count("goes") != 1 {
			t.Errorf("posted %d times while held, its neighbour %d times", r.sender.count("waits"), r.sender.count("goes"))
		}
		r.store.set(func() { r.store.claimHeld = "" })
		pass(10 * time.Second)
		if got := r.store.find("waits"); got.status != store.Sent || r.stats().Retried != 0 {
			t.Errorf("got %+v, %+v", got, r.stats())
		}
		r.stop()
	})
}

// TestHeldContactAtTheEnd: a process that stops does not wait for another's lock.
func TestHeldContactAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Drain: 5 * time.Second})
		r.store.held = "9"
		r.say("9", "held")
		pass(3 * time.Second)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
		if !strings.Contains(r.logs.String(), "could not be recorded") {
			t.Errorf("nothing was said:\n%s", r.logs)
		}
	})
}

// TestKilledWhilePosting: the row of a sender that died is uncertain and not posted again;
// the next one leaves.
func TestKilledWhilePosting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, sendStore := queuetest.NewModel(time.Now), &fakeSendStore{}
		sendStore.add("1", "a", "b")
		if _, err := model.Enqueue(t.Context(), []queue.Job{job.WakeSends("wsp4", "1")}); err != nil {
			t.Fatal(err)
		}
		if _, err := model.Exchange(t.Context(), "send:wsp4", nil, 1, 30*second); err != nil {
			t.Fatal(err)
		}
		if _, err := sendStore.ClaimSends(t.Context(), time.Now(), "dead", []string{"1"}); err != nil {
			t.Fatal(err)
		}
		w := &fakeSender{at: map[string][]time.Duration{}, start: time.Now()}
		r := &rig{T: t, model: model, store: sendStore, sender: w}
		r.run(delivery.NewSends(delivery.SendOptions{Line: "wsp4", Store: sendStore, Queue: model, Sender: w}))
		pass(time.Minute)
		r.stop()
		if diff := cmp.Diff(sendStore.states(), []string{"a uncertain", "b sent"}); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(w.posts, []string{"b"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestDrainKeepsThePost: a post that runs when the process is told to stop finishes and is
// recorded; no other begins.
func TestDrainKeepsThePost(t *testing.T) {
	for name, drain := range map[string]time.Duration{"in time": 25 * second, "cut": 5 * second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{Drain: drain})
				r.sender.took = func(string) time.Duration { return 7 * second }
				r.say("1", "a", "b")
				pass(second)
				r.stop()
				if diff := cmp.Diff(r.store.states(), []string{"a sent", "b queued"}); diff != "" {
					t.Error(diff)
				}
				if got := r.stats(); got.Depth != 1 || got.InFlight != 0 {
					t.Errorf("got %+v", got)
				}
			})
		})
	}
}

func TestRateOfTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{Rate: queue.Limit{Rate: 10, Burst: 1}})
		for c := range 50 {
			r.say(fmt.Sprint(c), fmt.Sprintf("m%d", c))
		}
		pass(2050 * time.Millisecond)
		if got := r.sender.total(); got < 18 || got > 22 {
			t.Errorf("%d posts in 2 s at 10/s", got)
		}
		pass(10 * second)
		r.stop()
		if got := r.sender.total(); got != 50 {
			t.Errorf("%d posts, want 50", got)
		}
	})
}

// TestNewTokenAfterRestart: a person who fixes the token and restarts does not wait for the
// former process' hold.
func TestNewTokenAfterRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(string, int) error { return fail(outbound.Auth, 190) }
		r.say("1", "a")
		pass(second)
		r.stop()
		if got := r.stats(); !got.HeldUntil.After(time.Now()) {
			t.Fatalf("not held: %+v", got)
		}
		r.sender.script = nil
		r.run(delivery.NewSends(delivery.SendOptions{Line: "wsp4", Store: r.store, Queue: r.model, Sender: r.sender}))
		pass(2 * second)
		r.stop()
		if diff := cmp.Diff(r.store.states(), []string{"a sent"}); diff != "" {
			t.Error(diff)
		}
	})
}

// TestQueueAwayAtStart: the sends wait for their queue.
func TestQueueAwayAtStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		model, sendStore, w := queuetest.NewModel(time.Now), &fakeSendStore{}, &fakeSender{at: map[string][]time.Duration{}, start: time.Now()}
		model.Break(queue.ErrUnavailable)
		r := &rig{T: t, model: model, store: sendStore, sender: w}
		r.run(delivery.NewSends(delivery.SendOptions{Line: "wsp4", Store: sendStore, Queue: model, Sender: w}))
		pass(time.Hour)
		model.Break(nil)
		r.say("1", "a")
		pass(10 * second)
		r.stop()
		if diff := cmp.Diff(sendStore.states(), []string{"a sent"}); diff != "" {
			t.Error(diff)
		}
	})
}
