package inbound

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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
