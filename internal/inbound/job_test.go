package inbound

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestJobs: an arrival survives Encode and Decode, its raw JSON byte for byte.
func TestJobs(t *testing.T) {
	t.Parallel()
	want := Arrival{
		Kind: Message, ID: "wamid.1", Line: "wsp4", ReceivedAt: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC),
		Content: &Content{Type: "text", Text: "<ñ> & \u2028"}, Raw: json.RawMessage("{ \"x\" : \"\\u00f1<\xff>\" }"),
	}
	body, err := Encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(body)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for _, body := range []string{"", "{", "{}", "null", "[]", `{"kind":7}`, `{"kind":"message","sent_at":"mañana"}`} {
		if a, err := Decode([]byte(body)); err == nil {
			t.Errorf("%q: got %+v", body, a)
		}
	}
}

// TestUnreadable: any bytes fit into a job and can be recovered from it.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "hola <b>", "\x00\xff", `{"a":1}`, strings.Repeat("[", 50_000)} {
		a := Unreadable([]byte(body), errors.New("why"))
		job, err := Encode(a)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Decode(job)
		if err != nil || got.Kind != Unknown || got.Quarantine != "unknown_shape" || got.Detail != "why" || got.ID == "" {
			t.Fatalf("%.20q: %v, %+v", body, err, got)
		}
		var text string
		if json.Unmarshal(got.Raw, &text) != nil {
			var coded struct{ Base64 []byte }
			if err := json.Unmarshal(got.Raw, &coded); err != nil {
				t.Fatal(err)
			}
			text = string(coded.Base64)
		}
		if text != body {
			t.Errorf("%.20q became %.20q", body, text)
		}
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		text, want string
		cut        bool
	}{{"", "", false}, {"hola", "hola", false}, {"ñandú", "ñand", true}, {"👋👋👋👋", "👋👋👋👋", false}, {"\xff\xff\xff\xff\xff", "\xff\xff\xff\xff", true}} {
		if got, cut := Truncate(test.text, 4); got != test.want || cut != test.cut {
			t.Errorf("%q: got %q, %v", test.text, got, cut)
		}
	}
}
