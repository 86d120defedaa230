package sandbox

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// posted is a post that a webhook received.
type posted struct {
	body   []byte
	header http.Header
}

func hook(t *testing.T) (string, *posted) {
	t.Helper()
	got := &posted{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got.body, _ = io.ReadAll(r.Body)
		got.header = r.Header
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "té")
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

func TestPostFreshens(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	url, got := hook(t)
	for _, tt := range []struct {
		name string
		file string // a fixture, or JSON
		o    PostOptions
		want []string // must be in the body
		not  []string
		ids  int
	}{
		{
			"message", "in_text",
			PostOptions{PhoneNumberID: "42"},
			[]string{`"phone_number_id":"42"`, `"timestamp":"1800000000"`, `informaci\u00f3n \u00f1and\u00fa \ud83d\udc4b`},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRkI5QTNCQjQzREFGNzlEMzUxAA=="},
			1,
		},
		{
			"kept", "in_text",
			PostOptions{KeepID: true, KeepTime: true},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRkI5QTNCQjQzREFGNzlEMzUxAA==", `"timestamp":"1795000001"`, `"200000000000002"`},
			nil, 1,
		},
		{
			"a quote of something else stays", "in_text_reply",
			PostOptions{},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABEYEjg4Mjc0OEJFNzMzM0RBN0QyMwA="},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRkMyQUIxNzMxMEJBOTRDODQ2AA=="},
			1,
		},
		{
			"a status keeps its message", "st_read_no_pricing",
			PostOptions{},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABEYEjY2QUJBQzBEMTY3NjlBM0MyNgA=", `"timestamp":"1800000000"`},
			nil, 0,
		},
		{
			"n8n items", "n8n_whatsapp_trigger_items",
			PostOptions{PhoneNumberID: "42"},
			[]string{`"phone_number_id":"42"`, `"timestamp":"1800000000"`},
			[]string{"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBRkI5QTNCQjQzREFGNzlEMzUxAA=="},
			1,
		},
		{
			"evolution", "evo_messages_upsert_text",
			PostOptions{},
			[]string{`"messageTimestamp":1800000000`, `"id":"3EB0`},
			[]string{"AC00000000000000000000000000AAA1"},
			1,
		},
		{
			"distances stay", `{"messages":[{"id":"wamid.1","from":"1","type":"text","timestamp":"100"},{"id":"wamid.2","from":"1","type":"text","timestamp":"160","context":{"id":"wamid.1"}}]}`,
			PostOptions{},
			[]string{`"timestamp":"1799999940"`, `"timestamp":"1800000000"`},
			[]string{`"wamid.1"`, `"wamid.2"`},
			2,
		},
		{
			"milliseconds and big numbers", `{"from":"1","text":"hola","id":"x","timestamp":1795000001000,"message_template_id":12345678901234567890}`,
			PostOptions{},
			[]string{`"timestamp":1800000000000`, `12345678901234567890`},
			nil, 1,
		},
		{"not JSON", "hola{", PostOptions{}, []string{"hola{"}, nil, 0},
		{"raw", "in_text", PostOptions{Raw: true}, []string{"1795000001", "ñandú"}, nil, 0},
	} {
		o := tt.o
		o.File, o.URL, o.AppSecret, o.Now = []byte(tt.file), url, testAppSecret, func() time.Time { return now }
		if !strings.ContainsAny(tt.file, "{") {
			o.File = fixture(t, tt.file)
		}
		res, err := Post(t.Context(), o)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if res.Code != http.StatusTeapot || string(res.Answer) != "té" {
			t.Errorf("%s: answer %d %q", tt.name, res.Code, res.Answer)
		}
		if !whatsapp.NewSignature(testAppSecret).Verify(got.header.Get(whatsapp.SignatureHeader), got.body) {
			t.Errorf("%s: wrong signature", tt.name)
		}
		for _, want := range tt.want {
			if !strings.Contains(string(got.body), want) {
				t.Errorf("%s: no %s in %s", tt.name, want, got.body)
			}
		}
		for _, not := range tt.not {
			if strings.Contains(string(got.body), not) {
				t.Errorf("%s: still %s in %s", tt.name, not, got.body)
			}
		}
		if len(res.IDs) != tt.ids {
			t.Errorf("%s: ids %v, want %d", tt.name, res.IDs, tt.ids)
		}
	}
}

func TestPostFollowsIDsInsideThePayload(t *testing.T) {
	t.Parallel()
	url, got := hook(t)
	file := `{"messages":[{"id":"wamid.1","from":"1","type":"text","timestamp":"100"},{"id":"wamid.2","from":"1","type":"text","timestamp":"160","context":{"id":"wamid.1"}}]}`
	res, err := Post(t.Context(), PostOptions{File: []byte(file), URL: url})
	if err != nil {
		t.Fatal(err)
	}
	var body struct {
		Messages []struct {
			ID      string
			Context struct{ ID string }
		}
	}
	if err := json.Unmarshal(got.body, &body); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{body.Messages[0].ID, body.Messages[1].ID}, res.IDs); diff != "" || body.Messages[1].Context.ID != res.IDs[0] {
		t.Errorf("ids %v, quoted %s (-want +got):\n%s", res.IDs, body.Messages[1].Context.ID, diff)
	}
	if got.header.Get(whatsapp.SignatureHeader) != "" {
		t.Error("signed without a secret")
	}
}

func TestPostSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	if _, err := Post(t.Context(), PostOptions{File: []byte("{}")}); err == nil {
		t.Error("no URL: no error")
	}
	if _, err := Post(t.Context(), PostOptions{File: []byte("{}"), URL: "http://127.0.0.1:1/webhook"}); err == nil {
		t.Error("nobody there: no error")
	}
}
