package ingest_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/ingest"
)

func envelope(ref string, messages ...string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"phone_number_id":"` + ref + `"},"messages":[` + strings.Join(messages, ",") + `]}}]}]}`
}

func text(id, from, body string) string {
	return fmt.Sprintf(`{"from":%q,"id":%q,"timestamp":"1795000001","type":"text","text":{"body":%q}}`, from, id, body)
}

func evolutionText(instance, id string) string {
	return `{"event":"messages.upsert","instance":"` + instance + `","data":{"key":{"remoteJid":"5491100000001@s.whatsapp.net","id":"` + id + `"},"message":{"conversation":"hola"}}}`
}

const (
	flat = `{"telefono":"5491100000001","mensaje":"hola","messageId":"wamid.F"}`
	hola = "hola"
)

// TestCredentials: who may post, and to which line the arrivals belong.
func TestCredentials(t *testing.T) {
	t.Parallel()
	mine := envelope(lineRef, text("wamid.A", "549110", hola))
	tests := map[string]struct {
		request
		status int
		want   string // line, line_ref, quarantine of the first job
	}{
		"signed":                       {request{body: mine, sign: appSecret}, 200, "wsp4 " + lineRef + " "},
		"signed with the old secret":   {request{body: mine, sign: oldSecret}, 200, "wsp4 " + lineRef + " "},
		"second number of the app":     {request{body: envelope("200000000000003", text("w", "1", hola)), sign: appSecret}, 200, "ventas_api 200000000000003 "},
		"number of another app":        {request{body: mine, sign: pageSecret}, 200, " " + lineRef + " unknown_line"},
		"unknown number":               {request{body: envelope("123456123", text("ABGGFlA5Fpa", "16315551181", hola)), sign: appSecret}, 200, " 123456123 unknown_line"},
		"no number, several lines":     {request{body: `{"messages":[` + text("w", "1", hola) + `]}`, sign: appSecret}, 200, "  unknown_line"},
		"no number, one line":          {request{body: `{"messages":[` + text("w", "1", hola) + `]}`, sign: pageSecret}, 200, "page 300000000000001 "},
		"no number, path":              {request{path: "/webhook/ventas_api", body: `{"messages":[` + text("w", "1", hola) + `]}`, sign: appSecret}, 200, "ventas_api 200000000000003 "},
		"other number than the path's": {request{path: "/webhook/ventas_api", body: mine, sign: appSecret}, 200, "wsp4 " + lineRef + " "},
		"path of another app":          {request{path: "/webhook/page", body: mine, sign: appSecret}, 200, " " + lineRef + " unknown_line"},
		"unknown path":                 {request{path: "/webhook/nadie", body: mine, sign: appSecret}, 200, " " + lineRef + " unknown_line"},
		"slash at the end":             {request{path: "/webhook/", body: mine, sign: appSecret}, 200, "wsp4 " + lineRef + " "},

		"callback of an earlier router": {request{path: "/webhook/whatsapp", body: mine, sign: appSecret}, 200, "wsp4 " + lineRef + " "},
		"earlier, with its line":        {request{path: "/webhook/whatsapp/wsp4", body: mine, sign: appSecret}, 200, "wsp4 " + lineRef + " "},
		"earlier, Evolution":            {request{path: "/webhook/evolution/ventas/messages-upsert", body: flat, secret: evoSecret}, 200, "ventas linea-ventas "},

		"secret":                    {request{body: evolutionText("linea-ventas", "M"), secret: evoSecret}, 200, "ventas linea-ventas "},
		"bearer":                    {request{body: evolutionText("linea-ventas", "M"), bearer: evoSecret}, 200, "ventas linea-ventas "},
		"secret, path":              {request{path: "/webhook/ventas", body: evolutionText("linea-ventas", "M"), secret: evoSecret}, 200, "ventas linea-ventas "},
		"secret, path and event":    {request{path: "/webhook/ventas/messages-upsert", body: evolutionText("linea-ventas", "M"), secret: evoSecret}, 200, "ventas linea-ventas "},
		"path fixes free text":      {request{path: "/webhook/ventas", body: evolutionText("otro-nombre", "M"), secret: evoSecret}, 200, "ventas linea-ventas "},
		"unknown instance":          {request{body: evolutionText("otro-nombre", "M"), secret: evoSecret}, 200, " otro-nombre unknown_line"},
		"instance of another":       {request{body: evolutionText("linea-alumnos", "M"), secret: evoSecret}, 200, " linea-alumnos unknown_line"},
		"another's, path":           {request{path: "/webhook/ventas", body: evolutionText("linea-alumnos", "M"), secret: evoSecret}, 200, " linea-alumnos unknown_line"},
		"one secret, two lines":     {request{body: evolutionText("linea-comunidad", "M"), secret: "shared"}, 200, "comunidad linea-comunidad "},
		"two lines, none named":     {request{body: flat, secret: "shared"}, 200, "  unknown_line"},
		"two lines, path":           {request{path: "/webhook/alumnos", body: flat, secret: "shared"}, 200, "alumnos linea-alumnos "},
		"line of the secret":        {request{body: flat, secret: hopSecret}, 200, "wsp4 " + lineRef + " "},
		"line by its id":            {request{body: `{"linea":"Comunidad",` + flat[1:], secret: "shared"}, 200, "comunidad linea-comunidad "},
		"hop for Meta's number":     {request{body: `[{"json":` + mine + `}]`, secret: hopSecret}, 200, "wsp4 " + lineRef + " "},
		"hop for another number":    {request{body: envelope("200000000000003", text("w", "1", hola)), secret: hopSecret}, 200, " 200000000000003 unknown_line"},
		"bad signature, good hop":   {request{body: mine, secret: hopSecret, header: http.Header{"X-Hub-Signature-256": {"sha256=00"}}}, 200, "wsp4 " + lineRef + " "},
		"secret on another's path":  {request{path: "/webhook/wsp4", body: flat, secret: evoSecret}, 401, ""},
		"secret on an unknown path": {request{path: "/webhook/nadie", body: flat, secret: evoSecret}, 401, ""},
		"unsigned":                  {request{body: mine}, 401, ""},
		"signed by a stranger":      {request{body: mine, sign: "stranger"}, 401, ""},
		"unknown shared secret":     {request{body: mine, secret: "stranger"}, 401, ""},
		"app secret as shared":      {request{body: mine, secret: appSecret}, 401, ""},
		"signed with shared secret": {request{body: mine, sign: evoSecret}, 401, ""},
		"empty secret":              {request{body: mine, header: http.Header{"X-Webhook-Secret": {""}, "Authorization": {"Bearer "}}}, 401, ""},
		"sha1":                      {request{body: mine, header: http.Header{"X-Hub-Signature": {"sha1=00"}}}, 401, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{}
			status, answer := post(t, ingest.New(options(q)), test.request)
			if status != test.status {
				t.Fatalf("got %d %s, want %d", status, answer, test.status)
			}
			if status != http.StatusOK {
				if q.calls != 0 || answer != `{"error":"Unauthorized"}` {
					t.Errorf("%d enqueues, %s", q.calls, answer)
				}
				return
			}
			a := q.arrivals(t)[0]
			if got := a.Line + " " + a.LineRef + " " + a.Quarantine; got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
			if !a.ReceivedAt.Equal(received) {
				t.Errorf("received at %v", a.ReceivedAt)
			}
		})
	}
}

// TestForeignIDs: an id used in another scope is not used up for a later arrival.
func TestForeignIDs(t *testing.T) {
	t.Parallel()
	mine := envelope(lineRef, text("wamid.A", "549110", hola))
	read := envelope(lineRef, `{"id":"wamid.A","status":"read","recipient_id":"549110","timestamp":"1795000001"}`)
	read = strings.Replace(read, `"messages":[`, `"statuses":[`, 1)
	evo := evolutionText("linea-ventas", "wamid.A")
	group := strings.Replace(evo, "5491100000001@s.whatsapp.net", `1@g.us","participant":"5491100000001@s.whatsapp.net`, 1)
	tests := map[string]struct{ first, then request }{
		"another app":            {request{body: mine, sign: pageSecret}, request{body: mine, sign: appSecret}},
		"another app's own line": {request{body: envelope("300000000000001", text("wamid.A", "549110", hola)), sign: pageSecret}, request{body: mine, sign: appSecret}},
		"another line":           {request{body: envelope("200000000000003", text("wamid.A", "549110", hola)), sign: appSecret}, request{body: mine, sign: appSecret}},
		"another person":         {request{body: envelope(lineRef, text("wamid.A", "549111", hola)), sign: appSecret}, request{body: mine, sign: appSecret}},
		"a status of another's":  {request{body: read, sign: pageSecret}, request{body: read, sign: appSecret}},
		"another secret":         {request{body: evolutionText("linea-ventas", "wamid.A"), secret: "shared"}, request{body: evo, secret: evoSecret}},
		"a group":                {request{body: group, secret: evoSecret}, request{body: evo, secret: evoSecret}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{}
			door := ingest.New(options(q))
			for _, r := range []request{test.first, test.then, test.then} {
				if status, answer := post(t, door, r); status != http.StatusOK {
					t.Fatalf("%d %s", status, answer)
				}
			}
			if got := q.arrivals(t); len(got) != 2 || got[1].Quarantine != "" || got[1].ID != "wamid.A" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestLinesThatShareAName: two Evolution servers may have instances of the same name, and
// workflows may give lines any name.
func TestLinesThatShareAName(t *testing.T) {
	t.Parallel()
	for _, ref := range []string{"linea", ""} {
		q := &fakeQueue{}
		o := options(q)
		o.Lines = []ingest.Line{
			{ID: "norte", Provider: "evolution", Ref: ref, Secrets: []string{"norte"}},
			{ID: "sur", Provider: "evolution", Ref: ref, Secrets: []string{"sur"}},
		}
		door := ingest.New(o)
		for _, line := range []string{"norte", "sur", "sur"} {
			if status, answer := post(t, door, request{path: "/webhook/" + line, body: evolutionText("linea", "A"), secret: line}); status != http.StatusOK {
				t.Fatalf("%d %s", status, answer)
			}
		}
		if got := q.arrivals(t); len(got) != 2 || got[0].Line != "norte" || got[1].Line != "sur" {
			t.Errorf("named %q: got %+v", ref, got)
		}
	}
}

// TestIdentityChangesNeedALine: a change of identity or an opt-out belongs to a line.
func TestIdentityChangesNeedALine(t *testing.T) {
	t.Parallel()
	moved := `{"from":"549110","id":"wamid.M","timestamp":"1795000001","type":"system","system":{"type":"user_changed_number","wa_id":"549111"}}`
	for _, body := range []string{
		`{"messages":[` + moved + `]}`,
		`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"user_preferences","value":{"messaging_product":"whatsapp",` +
			`"user_preferences":[{"wa_id":"549110","category":"marketing_messages","value":"stop","timestamp":1795000001}]}}]}]}`,
	} {
		q := &fakeQueue{}
		if status, answer := post(t, ingest.New(options(q)), request{body: body, sign: appSecret}); status != http.StatusOK {
			t.Fatalf("%d %s", status, answer)
		}
		a := q.arrivals(t)[0]
		if a.Kind != inbound.Identity && a.Kind != inbound.Preference || a.Quarantine != "unknown_line" {
			t.Errorf("got %+v", a)
		}
	}
}

func TestInsecureOpensOnlyLinesWithoutSecrets(t *testing.T) {
	t.Parallel()
	o := options(&fakeQueue{})
	o.Lines = append(o.Lines, ingest.Line{ID: "abierta", Provider: "evolution", Ref: "x"})
	if status, _ := post(t, ingest.New(o), request{path: "/webhook/abierta", body: flat}); status != http.StatusUnauthorized {
		t.Errorf("not insecure: %d", status)
	}
	o.Insecure = true
	if status, _ := post(t, ingest.New(o), request{path: "/webhook/abierta", body: flat}); status != http.StatusOK {
		t.Errorf("open line: %d", status)
	}
	if status, _ := post(t, ingest.New(o), request{path: "/webhook/ventas", body: flat}); status != http.StatusUnauthorized {
		t.Errorf("line with a secret: %d", status)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	const query = "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	door := ingest.New(options(&fakeQueue{}))
	for path, want := range map[string]string{
		"/webhook" + query + "sandbox":                    "200 1158201444",
		"/webhook/" + query + "other":                     "200 1158201444",
		"/webhook/wsp4" + query + "sandbox":               "200 1158201444",
		"/webhook/wsp4" + query + "other":                 "403 forbidden\n",
		"/webhook/whatsapp" + query + "other":             "200 1158201444",
		"/webhook/whatsapp/wsp4" + query + "sandbox":      "200 1158201444",
		"/webhook/page" + query:                           "403 forbidden\n",
		"/webhook/nadie" + query + "sandbox":              "403 forbidden\n",
		"/webhook" + query + "Sandbox":                    "403 forbidden\n",
		"/webhook":                                        "403 forbidden\n",
		"/webhook?hub.mode=x&hub.verify_token=sandbox":    "403 forbidden\n",
		"/webhook?hub.mode=subscribe&hub.verify_token=no": "403 forbidden\n",
	} {
		w := httptest.NewRecorder()
		door.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if got := fmt.Sprintf("%d %s", w.Code, w.Body); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
		if got := w.Header().Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("%s: %s", path, got)
		}
	}
	w := httptest.NewRecorder()
	door.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/webhook", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", w.Code)
	}
}

// TestOddBodies: any signed body is stored.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	const invalid = `{"error":"Invalid payload"}`
	tests := map[string]struct {
		request
		status int
		answer string
		kept   string // raw of the only job, "" for no job
	}{
		"signed, unknown shape":  {request{body: ` {"a" : 1} `, sign: appSecret}, 200, `{"success":true,"queued":1}`, `{"a" : 1}`},
		"signed, empty list":     {request{body: `[]`, sign: appSecret}, 200, `{"success":true,"queued":1}`, `[]`},
		"signed, empty envelope": {request{body: `{"object":"x","entry":[]}`, sign: appSecret}, 200, `{"success":true,"queued":1}`, `{"object":"x","entry":[]}`},
		"signed, not JSON":       {request{body: "hola <b>ñ", sign: appSecret}, 400, invalid, `"hola \u003cb\u003eñ"`},
		"signed, not even text":  {request{body: "hola <b>\xff", sign: appSecret}, 400, invalid, `{"base64":"aG9sYSA8Yj7/"}`},
		"signed, nothing":        {request{body: "", sign: appSecret}, 400, invalid, `""`},
		"secret, unknown shape":  {request{body: `{"a":1}`, secret: evoSecret}, 400, invalid, ""},
		"secret, empty list":     {request{body: `[]`, secret: evoSecret}, 400, invalid, ""},
		"secret, not JSON":       {request{body: `telefono=1&mensaje=hola`, secret: evoSecret}, 400, invalid, ""},
		"secret, nothing":        {request{body: ``, secret: evoSecret}, 400, invalid, ""},
		"unsigned, not JSON":     {request{body: `hola`}, 401, `{"error":"Unauthorized"}`, ""},
		"any content type":       {request{body: flat, secret: evoSecret, header: http.Header{"Content-Type": {"text/plain"}}}, 200, `{"success":true,"queued":1}`, flat},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := &fakeQueue{}
			status, answer := post(t, ingest.New(options(q)), test.request)
			if status != test.status || answer != test.answer {
				t.Fatalf("got %d %s, want %d %s", status, answer, test.status, test.answer)
			}
			var kept string
			for _, a := range q.arrivals(t) {
				kept += string(a.Raw)
			}
			if kept != test.kept {
				t.Errorf("kept %s, want %s", kept, test.kept)
			}
		})
	}
}

// TestBatches: one enqueue, one job for each element, in their order.
func TestBatches(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 50, 1000} {
		var messages []string
		for i := range n {
			messages = append(messages, text(fmt.Sprintf("wamid.%d", i), fmt.Sprintf("54911%04d", i%7), "ñandú 👋"))
		}
		q := &fakeQueue{}
		status, answer := post(t, ingest.New(options(q)), request{body: envelope(lineRef, messages...), sign: appSecret})
		if want := fmt.Sprintf(`{"success":true,"queued":%d}`, n); status != http.StatusOK || answer != want {
			t.Fatalf("%d: got %d %s", n, status, answer)
		}
		if q.calls != 1 || len(q.jobs) != n {
			t.Fatalf("%d: %d calls, %d jobs", n, q.calls, len(q.jobs))
		}
		for i, a := range q.arrivals(t) {
			if a.ID != fmt.Sprintf("wamid.%d", i) || string(a.Raw) != messages[i] {
				t.Fatalf("%d: job %d is %s", n, i, a.ID)
			}
			if want := "wsp4:" + a.Person.Phone; q.jobs[i].Lane != want || q.jobs[i].Queue != "inbound" {
				t.Fatalf("lane: got %s, want %s", q.jobs[i].Lane, want)
			}
		}
	}
}

// TestTextsWithoutID: losing one of two equal texts is worse than storing a repeated delivery
// twice.
func TestTextsWithoutID(t *testing.T) {
	t.Parallel()
	o, q := options(nil), &fakeQueue{}
	o.Queue = q
	now := received
	o.Now = func() time.Time { now = now.Add(time.Millisecond); return now }
	door := ingest.New(o)
	for range 2 {
		post(t, door, request{body: `[{"from":"549110","message":"1"},{"from":"549110","message":"1"}]`, secret: evoSecret})
	}
	if len(q.jobs) != 4 {
		t.Errorf("got %d jobs, want 4", len(q.jobs))
	}
}

// TestFailuresOfTwoDays: the same failure of an account tomorrow is not a duplicate.
func TestFailuresOfTwoDays(t *testing.T) {
	t.Parallel()
	o, q := options(nil), &fakeQueue{}
	o.Queue = q
	now := received
	o.Now = func() time.Time { return now }
	door := ingest.New(o)
	body := `{"metadata":{"phone_number_id":"` + lineRef + `"},"messaging_product":"whatsapp","errors":[{"code":130429}]}`
	for range 2 {
		post(t, door, request{body: body, sign: appSecret})
		post(t, door, request{body: body, sign: appSecret})
		now = now.Add(24 * time.Hour)
	}
	if len(q.jobs) != 2 {
		t.Errorf("got %d jobs, want 2", len(q.jobs))
	}
}

// TestRawByteForByte: escapes, spaces and all.
func TestRawByteForByte(t *testing.T) {
	t.Parallel()
	message := `{ "from":"549110", "id":"wamid.A","timestamp":"1795000001","type":"text",` + "\n" +
		`"text":{"body":"ma\u00f1ana \ud83d\udc4b <b>50%<\/b> https:\/\/x \u2028 & \ud800"} }`
	q := &fakeQueue{}
	post(t, ingest.New(options(q)), request{body: envelope(lineRef, message), sign: appSecret})
	a := q.arrivals(t)[0]
	if string(a.Raw) != message {
		t.Errorf("got  %s\nwant %s", a.Raw, message)
	}
	if want := "mañana 👋 <b>50%</b> https://x \u2028 & \uFFFD"; a.Content.Text != want {
		t.Errorf("text: got %q, want %q", a.Content.Text, want)
	}
	want := a
	want.Raw = nil
	body, _ := json.Marshal(want)
	var again inbound.Arrival
	if err := json.Unmarshal(body, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(again, want); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
}
