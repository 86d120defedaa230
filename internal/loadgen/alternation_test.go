package loadgen

import (
	"testing"
	"time"
)

func TestAlternation(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name               string
		turns              Alternation
		writing, at, spent time.Duration
	}{
		{"alone", Alternation{}, 7 * s, 7 * s, 7 * s},
		{"the first one begins at once", Alternation{Slice: 5 * s}, 0, 0, 0},
		{"within its turn", Alternation{Slice: 5 * s}, 3 * s, 3 * s, 3 * s},
		{"rests after it", Alternation{Slice: 5 * s}, 5 * s, 10 * s, 5 * s},
		{"within its third", Alternation{Slice: 5 * s}, 12 * s, 22 * s, 12 * s},
		{"the second one waits", Alternation{Slice: 5 * s, Second: true}, 0, 5 * s, 0},
		{"within its second", Alternation{Slice: 5 * s, Second: true}, 6 * s, 16 * s, 6 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			if at := c.turns.wallTime(c.writing); at != c.at {
				t.Errorf("after %v of writing it is %v, want %v", c.writing, at, c.at)
			}
			if spent := c.turns.activeTime(c.at); spent != c.spent {
				t.Errorf("of %v it wrote %v, want %v", c.at, spent, c.spent)
			}
		})
	}
}

// TestTwoRunsTakeTurns checks each moment of a minute: exactly one of the two runs writes,
// and both write for the same time.
func TestTwoRunsTakeTurns(t *testing.T) {
	first, second := Alternation{Slice: 4 * time.Second}, Alternation{Slice: 4 * time.Second, Second: true}
	const step = 100 * time.Millisecond
	var counted [2]int
	for at := time.Duration(0); at < 64*time.Second; at += step {
		one := first.activeTime(at+step) - first.activeTime(at)
		other := second.activeTime(at+step) - second.activeTime(at)
		if one+other != step || min(one, other) != 0 {
			t.Fatalf("at %v one writes for %v and the other for %v", at, one, other)
		}
		if one > 0 && first.settled(at) {
			counted[0]++
		}
		if other > 0 && second.settled(at) {
			counted[1]++
		}
	}
	if first.activeTime(64*time.Second) != 32*time.Second || second.activeTime(64*time.Second) != 32*time.Second {
		t.Error("one writes longer than the other")
	}
	if want := 8 * 28; counted[0] != want || counted[1] != want { // 8 turns of 4 s without the first 0.8 s and the last 0.4 s, 10 times a second
		t.Errorf("%v moments count, want %d each", counted, want)
	}
}
