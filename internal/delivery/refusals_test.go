package delivery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// strange is a refusal whose fault is unknown.
func strange() error { return fail(outbound.Unknown, 999999) }

// TestUnknownRefusal: it proves nothing until another conversation's message is accepted
// after it; until then the line is held and no message fails.
func TestUnknownRefusal(t *testing.T) {
	type script = func(id string, n int, since time.Duration) error
	poisoned := func(ids ...string) script {
		return func(id string, _ int, _ time.Duration) error {
			for _, bad := range ids {
				if id == bad {
					return strange()
				}
			}
			return nil
		}
	}
	until := func(d time.Duration) script {
		return func(_ string, _ int, since time.Duration) error {
			if since < d {
				return strange()
			}
			return nil
		}
	}
	for name, tt := range map[string]struct {
		script script
		say    []string // "conversation: messages", all at once
		then   []string // the same, a minute later
		after  time.Duration
		states []string
		posts  map[string]int // most of each, where that matters
	}{
		"one message among others is its own": {
			poisoned("bad"),
			[]string{"1: bad next", "2: a", "3: b"}, // their posts may begin together: that shows nothing
			[]string{"4: c"},
			5 * time.Minute,
			[]string{"bad failed", "next sent", "a sent", "b sent", "c sent"},
			map[string]int{"bad": 30, "a": 1, "b": 1, "c": 1},
		},
		"one message after another of one conversation": {
			poisoned("bad", "worse"),
			[]string{"1: bad worse next", "2: a b c d e f g h"},
			[]string{"3: i"},
			5 * time.Minute,
			[]string{"bad failed", "worse failed", "next sent", "a sent", "b sent", "c sent", "d sent", "e sent", "f sent", "g sent", "h sent", "i sent"},
			nil,
		},
		"who was accepted before says nothing": {
			poisoned("bad"),
			[]string{"2: a"},
			[]string{"1: bad"},
			10 * time.Minute,
			[]string{"a sent", "bad queued"},
			map[string]int{"bad": 60},
		},
		"a later conversation shows it": {
			poisoned("bad"),
			[]string{"1: bad"},
			[]string{"2: a"},
			10 * time.Minute,
			[]string{"bad failed", "a sent"},
			nil,
		},
		"all of the line": {
			until(7 * time.Hour),
			[]string{"1: a", "2: b", "3: c"},
			[]string{"4: d"},
			8 * time.Hour,
			[]string{"a sent", "b sent", "c sent", "d sent"},
			map[string]int{"a": 500, "b": 500, "c": 500, "d": 500}, // in seven hours
		},
		"alone, for a while": {
			until(20 * time.Minute),
			[]string{"1: a b"},
			nil, time.Hour,
			[]string{"a sent", "b sent"},
			map[string]int{"a": 100},
		},
		"alone, for ever": {
			poisoned("bad"),
			[]string{"1: bad next"},
			nil, 24 * time.Hour,
			[]string{"bad queued", "next queued"},
			map[string]int{"bad": 24 * 240, "next": 0}, // half of the longest hold, at least, between two
		},
		"two of them, for ever": {
			poisoned("bad", "worse"),
			[]string{"1: bad"},
			[]string{"2: worse"},
			6 * time.Hour,
			[]string{"bad queued", "worse queued"},
			nil,
		},
		"a known trouble of the line meanwhile": {
			func(id string, n int, since time.Duration) error {
				switch {
				case since < time.Minute && (id != "bad" || n > 1):
					return fail(outbound.Throttle, 2)
				case id == "bad":
					return strange()
				}
				return nil
			},
			[]string{"1: bad", "2: a", "3: b"},
			nil, 10 * time.Minute,
			[]string{"bad failed", "a sent", "b sent"},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(id string, n int) error { return tt.script(id, n, time.Since(r.sender.start)) }
				say := func(list []string) {
					for _, s := range list {
						conversation, ids, _ := strings.Cut(s, ": ")
						r.say(conversation, strings.Fields(ids)...)
					}
				}
				say(tt.say)
				pass(time.Minute)
				say(tt.then)
				pass(tt.after)
				r.stop()
				if diff := cmp.Diff(r.store.states(), tt.states); diff != "" {
					t.Errorf("got(-) want(+):\n%s", diff)
				}
				for id, most := range tt.posts {
					if got := r.sender.count(id); got > most {
						t.Errorf("%s was posted %d times, want %d at most", id, got, most)
					}
				}
			})
		})
	}
}

// TestAloneUntilSomebodyWrites: a message that is refused alone, for however long, fails
// once somebody else's is accepted, and that one is the next probe. A message that expires
// meanwhile leaves its place to the next of its conversation.
func TestAloneUntilSomebodyWrites(t *testing.T) {
	for name, tt := range map[string]struct {
		poisoned []string
		expires  bool
		states   []string
	}{
		"it fails":             {[]string{"bad"}, false, []string{"bad failed", "next sent", "good sent"}},
		"so does what follows": {[]string{"bad", "next"}, false, []string{"bad failed", "next failed", "good sent", "more sent"}},
		"it expires":           {[]string{"bad"}, true, []string{"bad failed", "next sent", "good sent"}},
		"the next is as bad":   {[]string{"bad", "next"}, true, []string{"bad failed", "next failed", "good sent", "more sent"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(id string, _ int) error {
					if slices.Contains(tt.poisoned, id) {
						return strange()
					}
					return nil
				}
				r.say("1", "bad", "next")
				pass(30 * time.Hour)
				if got := r.store.find("bad").status; got != store.Queued {
					t.Fatalf("bad is %s", got)
				}
				if tt.expires {
					r.store.set(func() { r.store.rows[0].status = store.Failed })
					pass(time.Minute)
					if got := r.store.find("next").status; (got == store.Sent) != (len(tt.poisoned) == 1) {
						t.Errorf("next is %s", got)
					}
				}
				said := time.Since(r.sender.start)
				r.say("2", "good")
				pass(time.Minute)
				if waited := r.sender.at["good"][0] - said; waited > 32*second {
					t.Errorf("good waited %s", waited)
				}
				if len(tt.states) > 3 {
					r.say("3", "more")
				}
				pass(time.Minute)
				r.stop()
				if diff := cmp.Diff(r.store.states(), tt.states); diff != "" {
					t.Errorf("got(-) want(+):\n%s", diff)
				}
			})
		})
	}
}

// TestUnknownRefusalHoldsTheLine: the hold shows the refusal, and so does a message that
// fails for it.
func TestUnknownRefusalHoldsTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(id string, _ int) error {
			if id == "bad" {
				return &outbound.Failure{Class: outbound.Unknown, Code: 400, Detail: "words of theirs"}
			}
			return nil
		}
		r.say("1", "bad")
		pass(second / 2)
		if got := r.stats(); !got.HeldUntil.After(time.Now()) || !strings.Contains(got.HeldReason, "words of theirs (code 400)") {
			t.Errorf("not held: %+v", got)
		}
		if got := r.store.find("bad"); got.status != "queued" || got.result.Detail != "words of theirs" {
			t.Errorf("got %+v", got)
		}
		r.say("2", "a")
		pass(time.Minute)
		r.stop()
		if got := r.store.find("bad").result; got.Code != 400 || got.Detail != "words of theirs" || got.Reason != "refused" {
			t.Errorf("got %+v", got)
		}
	})
}

// TestManyPoisonedMessages: a line goes on among a hundred of them, whether they come
// together or one by one, and a healthy message waits for one probe.
func TestManyPoisonedMessages(t *testing.T) {
	const bad, good = 100, 100
	for name, c := range map[string]struct{ pause, wait time.Duration }{
		"together":   {0, 2 * bad * second}, // one probe each, and chance in each hold
		"one by one": {2 * second, 15 * second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, delivery.SendOptions{})
				r.sender.script = func(id string, _ int) error {
					if strings.HasPrefix(id, "bad") {
						return strange()
					}
					return nil
				}
				said := map[string]time.Duration{}
				for i := range bad {
					id := fmt.Sprintf("good%d", i)
					said[id] = time.Since(r.sender.start)
					r.say(fmt.Sprintf("b%d", i), fmt.Sprintf("bad%d", i))
					r.say(fmt.Sprintf("g%d", i), id)
					pass(c.pause)
				}
				pass(2 * time.Minute)
				r.say("1", "goodbye") // nobody came after the newest of the others
				pass(time.Minute)
				r.stop()
				for _, s := range r.store.states() {
					id, status, _ := strings.Cut(s, " ")
					if want := map[bool]string{true: "failed", false: "sent"}[strings.HasPrefix(id, "bad")]; status != want {
						t.Errorf("%s, want %s", s, want)
					}
				}
				for id, at := range said {
					if waited := r.sender.at[id][0] - at; waited > c.wait {
						t.Errorf("%s waited %s", id, waited)
					}
				}
				if total := r.sender.total(); total > good+3*bad {
					t.Errorf("%d posts", total)
				}
			})
		})
	}
}

// TestProbeIsNoRefusal: a new message on a line that is held for a hundred refusals is the
// next probe, and shows that they are at fault.
func TestProbeIsNoRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(id string, _ int) error {
			if strings.HasPrefix(id, "bad") {
				return strange()
			}
			return nil
		}
		for i := range 100 {
			r.say(fmt.Sprintf("b%d", i), fmt.Sprintf("bad%d", i))
		}
		pass(30 * time.Minute)
		if got := r.stats(); !got.HeldUntil.After(time.Now()) {
			t.Errorf("not held: %+v", got)
		}
		r.say("g", "good")
		pass(time.Minute)
		r.stop()
		if waited := r.sender.at["good"][0] - 30*time.Minute; waited > 32*second {
			t.Errorf("good waited %s", waited)
		}
		for _, s := range r.store.states()[:100] {
			if !strings.HasSuffix(s, " failed") {
				t.Error(s)
			}
		}
	})
}

// TestRefusalsOfSeveralProcesses: each knows its own refusals, and a new one knows none; a
// poisoned message fails all the same, and no other does.
func TestRefusalsOfSeveralProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, delivery.SendOptions{})
		r.sender.script = func(id string, _ int) error {
			if strings.HasPrefix(id, "bad") {
				return strange()
			}
			return nil
		}
		options := delivery.SendOptions{Line: "wsp4", Store: r.store, Queue: r.model, Sender: r.sender}
		first := r.stop
		r.run(delivery.NewSends(options))
		second := r.stop
		for c := range 10 {
			r.say(fmt.Sprintf("b%d", c), fmt.Sprintf("bad%d", c))
		}
		pass(time.Minute)
		first() // its refusals are forgotten
		r.run(delivery.NewSends(options))
		for c := range 60 {
			r.say(fmt.Sprintf("g%d", c), fmt.Sprintf("good%d", c))
			pass(10 * time.Second)
		}
		pass(10 * time.Minute)
		second()
		r.stop()
		for _, s := range r.store.states() {
			id, status, _ := strings.Cut(s, " ")
			if want := map[bool]string{true: "failed", false: "sent"}[strings.HasPrefix(id, "bad")]; status != want {
				t.Errorf("%s, want %s", s, want)
			}
		}
	})
}
