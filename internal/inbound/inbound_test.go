package inbound

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestKey: only these differences give two arrivals different keys.
func TestKey(t *testing.T) {
	t.Parallel()
	base := Arrival{Kind: Message, ID: "A", Line: "wsp4", LineRef: "2", Person: Person{Phone: "549110", Name: "Ana"}}
	with := func(change func(*Arrival)) Arrival {
		a := base
		change(&a)
		return a
	}
	for name, same := range map[string]Arrival{
		"later":         with(func(a *Arrival) { a.ReceivedAt = time.Unix(1, 0) }),
		"late":          with(func(a *Arrival) { a.Late, a.Spooled = true, true }),
		"another name":  with(func(a *Arrival) { a.Person.Name = "Anita" }),
		"line's number": with(func(a *Arrival) { a.LineRef = "3" }),
	} {
		if same.Key() != base.Key() {
			t.Errorf("%s: got %s, want %s", name, same.Key(), base.Key())
		}
	}
	seen := map[string]string{base.Key(): "itself"}
	for name, other := range map[string]Arrival{
		"line":                with(func(a *Arrival) { a.Line = "ventas" }),
		"person":              with(func(a *Arrival) { a.Person.Phone = "549111" }),
		"nobody":              with(func(a *Arrival) { a.Person = Person{} }),
		"id":                  with(func(a *Arrival) { a.ID = "B" }),
		"kind":                with(func(a *Arrival) { a.Kind = Echo }),
		"no line":             with(func(a *Arrival) { a.Line = "" }),
		"no line, same name":  with(func(a *Arrival) { a.Line, a.LineRef = "", "wsp4" }),
		"quarantine":          with(func(a *Arrival) { a.Quarantine = "group" }),
		"status":              with(func(a *Arrival) { a.Kind, a.Report = Status, &Report{Status: "read"} }),
		"another status":      with(func(a *Arrival) { a.Kind, a.Report = Status, &Report{Status: "sent"} }),
		"parts put otherwise": with(func(a *Arrival) { a.Person.Phone, a.ID = "", "549110:A" }),
	} {
		if twin, taken := seen[other.Key()]; taken {
			t.Errorf("another %s: %s, as %s", name, other.Key(), twin)
		}
		seen[other.Key()] = name
	}
}

func TestMarkSpooled(t *testing.T) {
	t.Parallel()
	a := Arrival{Kind: Message, ID: "wamid.1", Line: "wsp4", ReceivedAt: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Raw: json.RawMessage(`{"kind":"x"}`)}
	body, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	before := string(body)
	for range 2 { // twice is once
		body = MarkSpooled(body)
		var got Arrival
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		want := a
		want.Spooled = true
		if diff := cmp.Diff(got, want); diff != "" {
			t.Errorf("(-got +want)\n%s", diff)
		}
	}
	if want := `{"spooled":true,` + before[1:]; string(body) != want {
		t.Errorf("got %s, want %s", body, want)
	}
	for _, other := range []string{"", "{}", "[1]", `{"media":1}`} {
		if got := string(MarkSpooled([]byte(other))); got != other {
			t.Errorf("%q became %q", other, got)
		}
	}
}
