package ingest_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
)

// many returns a list of n elements.
func many(n int, element func(i int) string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = element(i)
	}
	return strings.Join(all, ",")
}

func same(element string) func(int) string { return func(int) string { return element } }

// change returns a body with one change.
func change(field, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"` + field + `","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"phone_number_id":"` + lineRef + `"},` + value + `}}]}]}`
}

func nested(open, inner, shut string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
}

// TestBeyondTheBounds: beyond the bounds of decoding, a body that Meta signed is kept whole as
// one arrival and answered 200, as Meta would repeat it for a week. A caller with a secret gets
// an error.
func TestBeyondTheBounds(t *testing.T) {
	t.Parallel()
	message := func(i int) string { return text(fmt.Sprint("wamid.", i), "549110", hola) }
	tests := map[string]struct {
		body, why string
	}{
		"deep arrays":             {nested("[", "1", "]", 65), "nested too deep"},
		"deep objects":            {nested(`{"a":`, "1", "}", 65), "nested too deep"},
		"deep within a message":   {envelope(lineRef, `{"from":"1","id":"w","type":"x","x":`+nested("[", "", "]", 64)+`}`), "nested too deep"},
		"as deep as a parser":     {nested("[", "", "]", 10_000), "nested too deep"},
		"deeper than a parser":    {nested("[", "", "]", 10_001), "nested too deep"},
		"deep and no text":        {nested("[", "\"\xff\"", "]", 70), "nested too deep"},
		"deep events":             {nested(`{"event":"messages.upsert","instance":"i","data":`, "1", "}", 65), "nested too deep"},
		"10,001 messages":         {envelope(lineRef, many(10_001, message)), "too many elements"},
		"10,001 of nothing":       {envelope(lineRef, many(10_001, same("0"))), "too many elements"},
		"10,001 statuses":         {change("messages", `"statuses":[`+many(10_001, same("{}"))+`]`), "too many elements"},
		"10,001 entries":          {`{"object":"x","entry":[` + many(10_001, same("{}")) + `]}`, "too many elements"},
		"10,001 changes":          {`{"object":"x","entry":[{"changes":[` + many(10_001, same("{}")) + `]}]}`, "too many elements"},
		"10,001 lists of one":     {change("messages", many(10_001, same(`"errors":[{}]`))), "too many elements"},
		"10,001 contacts":         {change("messages", `"contacts":[`+many(10_001, same(`{}`))+`],"messages":[`+message(1)+`]`), "too many elements"},
		"messages and contacts":   {change("messages", `"contacts":[`+many(6_000, same(`{}`))+`],"messages":[`+many(6_000, message)+`]`), "too many elements"},
		"10,001 events of n8n":    {`[` + many(10_001, same(flat)) + `]`, "too many elements"},
		"10,001 of Evolution":     {`{"event":"messages.upsert","instance":"i","data":[` + many(10_001, same("{}")) + `]}`, "too many elements"},
		"a text over 1 MiB":       {envelope(lineRef, text("w", "549110", strings.Repeat("a", 1<<20))), "an element is too large"},
		"a flat one over 1 MiB":   {`{"telefono":"549110","mensaje":"` + strings.Repeat("a", 1<<20) + `"}`, "an element is too large"},
		"an unknown part, 1 MiB":  {`[` + flat + `,{"x":"` + strings.Repeat("a", 1<<20) + `"}]`, "an element is too large"},
		"a status over 1 MiB":     {change("messages", `"statuses":[{"id":"w","status":"sent","x":"`+strings.Repeat("a", 1<<20)+`"}]`), "an element is too large"},
		"one large, others small": {envelope(lineRef, message(1), text("w", "549110", strings.Repeat("a", 1<<20)), message(2)), "an element is too large"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{}
			status, answer := post(t, ingest.New(options(q)), request{body: test.body, sign: appSecret})
			if status != http.StatusOK || answer != `{"success":true,"queued":1}` || len(q.jobs) != 1 {
				t.Fatalf("signed: %d %s, %d jobs", status, answer, len(q.jobs))
			}
			a, err := inbound.Decode(q.jobs[0].Body)
			if err != nil {
				t.Fatalf("the worker: %v", err)
			}
			if a.Kind != inbound.Unknown || a.Quarantine != "unknown_shape" || a.Detail != test.why {
				t.Errorf("got %s, %s: %s; want %s", a.Kind, a.Quarantine, a.Detail, test.why)
			}
			if got := whole(t, a.Raw); got != test.body {
				t.Errorf("not the body: %.80s", got)
			}
			q = &fakeQueue{}
			status, answer = post(t, ingest.New(options(q)), request{body: test.body, secret: evoSecret})
			if status != http.StatusBadRequest || len(q.jobs) != 0 {
				t.Errorf("by secret: %d %s, %d jobs", status, answer, len(q.jobs))
			}
		})
	}
}

// whole returns the body that a Raw holds.
func whole(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var kept string
	var coded struct {
		Base64 []byte `json:"base64"`
	}
	switch {
	case json.Unmarshal(raw, &kept) == nil:
		return kept
	case json.Unmarshal(raw, &coded) == nil && coded.Base64 != nil:
		return string(coded.Base64)
	}
	return string(raw)
}

// TestLegalIsRead: legal bodies of Meta, Evolution and n8n are within the bounds.
func TestLegalIsRead(t *testing.T) {
	t.Parallel()
	const longest = 64 << 10 // characters in WhatsApp's longest text
	escaped := strings.Repeat(`\ud83d\udc4b`, longest)
	message := func(i int) string { return text(fmt.Sprint("wamid.", i), fmt.Sprint("54911", i), hola) }
	contact := func(i int) string {
		return fmt.Sprintf(`{"wa_id":"54911%d","user_id":"AR.%d","profile":{"name":"Persona %d"}}`, i, i, i)
	}
	old := func(i int) string {
		return fmt.Sprintf(`{"from":"549110","id":"wamid.%d","timestamp":"1795000001","type":"text","text":{"body":%q}}`, i, strings.Repeat("hola ", 40))
	}
	history := `"history":[{"metadata":{"phase":0,"chunk_order":1,"progress":50},"threads":[{"id":"549110","messages":[` + many(11_000, old) + `]}]}]`
	file := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("file"), 1<<20))
	upsert := func(message string) string {
		return `{"event":"messages.upsert","instance":"linea-ventas","data":{"key":{"remoteJid":"5491100000001@s.whatsapp.net","id":"M"},"message":` + message + `}}`
	}
	tests := map[string]struct {
		request
		jobs int
		last func(a inbound.Arrival) bool
	}{
		"1,000 messages and contacts": {
			request{body: change("messages", `"contacts":[`+many(1000, contact)+`],"messages":[`+many(1000, message)+`]`), sign: appSecret},
			1000,
			func(a inbound.Arrival) bool { return a.Person.Name == "Persona 999" && a.Person.UserID == "AR.999" },
		},
		"the longest text, escaped": {
			request{body: envelope(lineRef, `{"from":"549110","id":"w","timestamp":"1795000001","type":"text","text":{"body":"`+escaped+`"}}`), sign: appSecret},
			1,
			func(a inbound.Arrival) bool { return a.Content.Text == strings.Repeat("👋", longest) },
		},
		"60 deep": {
			request{body: envelope(lineRef, `{"from":"1","id":"w","type":"x","x":`+nested("[", "", "]", 50)+`}`), sign: appSecret},
			1,
			func(a inbound.Arrival) bool { return a.Kind == inbound.Message },
		},
		"a chunk of history": {
			request{body: change("history", history), sign: appSecret},
			1,
			func(a inbound.Arrival) bool { return a.Kind == inbound.History && len(a.Raw) > 2<<20 },
		},
		"20,000 contacts of the phone": {
			request{body: change("smb_app_state_sync", `"state_sync":[`+many(20_000, same(`{"type":"contact","contact":{"full_name":"Ana","phone_number":"549110"},"action":"add"}`))+`]`), sign: appSecret},
			1,
			func(a inbound.Arrival) bool { return a.Kind == inbound.Account },
		},
		"history of Evolution": {
			request{body: `{"event":"messages.set","instance":"linea-ventas","data":[` + many(20_000, same(`{"key":{"id":"M","remoteJid":"1@s.whatsapp.net"},"message":{"conversation":"hola, hola, hola"}}`)) + `]}`, secret: evoSecret},
			1,
			func(a inbound.Arrival) bool { return a.Kind == inbound.History },
		},
		"a file of Evolution": {
			request{body: upsert(`{"imageMessage":{"mimetype":"image/png"},"base64":"` + file + `"}`), secret: evoSecret},
			1,
			func(a inbound.Arrival) bool { return a.Content.Media.Inline == file && len(a.Raw) < 1000 },
		},
		"a file of a new type": {
			request{body: upsert(`{"lottieStickerMessage":{"a":1},"base64":"` + file + `"}`), secret: evoSecret},
			1,
			func(a inbound.Arrival) bool {
				return a.Content.Type == "lottieStickerMessage" && a.Content.Media.Inline == file && len(a.Raw) < 1000
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{}
			status, answer := post(t, ingest.New(options(q)), test.request)
			if status != http.StatusOK || len(q.jobs) != test.jobs {
				t.Fatalf("got %d %s, %d jobs, want %d", status, answer, len(q.jobs), test.jobs)
			}
			for i, j := range q.jobs {
				if a, err := inbound.Decode(j.Body); err != nil || a.Quarantine != "" || i == test.jobs-1 && !test.last(a) {
					t.Fatalf("job %d: %v, %s %s: %.300s", i, err, a.Kind, a.Quarantine, j.Body)
				}
			}
		})
	}
}

// TestShortBodiesMakeShortJobs: a value that many messages share (a name, a number, an event) is
// not copied to each in full length.
func TestShortBodiesMakeShortJobs(t *testing.T) {
	t.Parallel()
	const long = 1 << 20
	long1 := strings.Repeat("a", long)
	message := func(i int) string { return fmt.Sprintf(`{"from":"1","id":"w%d","type":"x"}`, i) }
	tests := map[string]string{
		"a long name": change("messages", `"contacts":[{"wa_id":"1","profile":{"name":"`+long1+`","username":"`+long1+`"}}],"messages":[`+many(5000, message)+`]`),
		"a long number": `{"object":"x","entry":[{"changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"` + long1 +
			`"},"messages":[` + many(5000, message) + `]}}]}]}`,
		"a long entry":          `{"object":"x","entry":[{"changes":[{"field":"messages","value":{"errors":[` + many(5000, same(`{}`)) + `]}}],"time":"` + long1 + `","id":"` + long1 + `"}]}`,
		"a long instance":       `{"event":"messages.upsert","instance":"` + long1 + `","data":[` + many(5000, same(`{"key":{"remoteJid":"1@s.whatsapp.net","id":"M"},"message":{"conversation":"x"}}`)) + `]}`,
		"nulls of a long event": `{"event":"messages.upsert","instance":"i","data":[` + many(5000, same(`null`)) + `],"x":"` + strings.Repeat("a", long/2) + `"}`,
		"standby again and again": `{"object":"x","entry":[{"changes":[{"field":"messages","value":{"standby":{"messages":[` + many(3000, message) + `]},` +
			many(3000, same(`"standby":{}`)) + `}}]}]}`,
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var kept []int
			q := &fakeQueue{}
			if status, answer := post(t, ingest.New(options(q)), request{body: body, sign: appSecret}); status != http.StatusOK {
				t.Fatal(status, answer)
			}
			total := 0
			for _, j := range q.jobs {
				total += len(j.Body) + len(j.ID) + len(j.Lane)
				kept = append(kept, len(j.Body))
			}
			if total > 20*len(body) {
				t.Errorf("a body of %d bytes became %d jobs of %d, the longest of %d", len(body), len(q.jobs), total, slices.Max(kept))
			}
		})
	}
}
