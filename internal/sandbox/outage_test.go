package sandbox

import (
	"net/http"
	"testing"
)

// TestInjectedFaultHitsEverySend: an injected fault hits all numbers and texts, and ends at once.
func TestInjectedFaultHitsEverySend(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoStatuses: true, NoFaults: true, NoPhones: true})
	for word, want := range map[string]int{"190": 190, "130429": 130429, "131000": 131000} {
		if err := s.InjectFault(word); err != nil {
			t.Fatal(err)
		}
		for _, to := range []string{"5491155550001", "5491155550002"} {
			if _, answer := s.send(text(to, "hola")); code(answer) != want {
				t.Errorf("%s: got %v, want code %d", word, answer, want)
			}
		}
	}
	s.ClearFault()
	if status, answer := s.send(text("5491155550001", "hola")); status != http.StatusOK {
		t.Errorf("after Mend: got %d %v", status, answer)
	}
	if err := s.InjectFault("nada"); err == nil {
		t.Error("an unknown word breaks nothing, and says nothing")
	}
	if got := s.PendingEvents(); got != 0 {
		t.Errorf("%d events wait, want none", got)
	}
}

// TestInjectFaultEvery: a cut message was accepted, and the others get their
// answers.
func TestInjectFaultEvery(t *testing.T) {
	t.Parallel()
	s := newHarness(t, Options{NoFaults: true, NoPhones: true, NoStatuses: true})
	if err := s.InjectFaultEvery("corte", 3); err != nil {
		t.Fatal(err)
	}
	answered := 0
	for range 7 {
		if status, _ := s.send(text("5491155550001", "hola")); status == http.StatusOK {
			answered++
		}
	}
	if c := s.Counts(); answered != 5 || c.Accepted != 7 || c.Cut != 2 {
		t.Errorf("%d were answered, of %+v: want 5, of 7 accepted and 2 cut", answered, c)
	}
}
