package whatsapp_test

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// graph is a Graph API whose answers the test sets.
func graph(t *testing.T, handle http.HandlerFunc) (*whatsapp.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{
		BaseURL: server.URL + "/v26.0/", PhoneNumberID: "200", Tokens: []string{"old", "new"}, Timeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func reply(text string) outbound.Post {
	return outbound.Post{
		ID: "out:1", To: outbound.Address{Phone: "5491100000001"},
		Body: outbound.Body{Reply: &router.Reply{Text: text, Style: flow.StyleText}},
	}
}

func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func classOf(t *testing.T, err error) *outbound.Failure {
	t.Helper()
	var f *outbound.Failure
	if !errors.As(err, &f) {
		t.Fatalf("got %T %v, want a Failure", err, err)
	}
	return f
}

// TestVerdicts: every answer has a class.
func TestVerdicts(t *testing.T) {
	t.Parallel()
	meta := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
	}
	code := func(status, code int, more string) http.HandlerFunc {
		return meta(status, `{"error":{"code":`+strconv.Itoa(code)+`,"message":"m"`+more+`}}`)
	}
	file := func(name string, status int) http.HandlerFunc { return meta(status, string(fixture(t, name))) }
	// hang reads the request, and answers only after the caller has given up.
	hang := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	tests := map[string]struct {
		handle http.HandlerFunc
		class  outbound.Class
		code   int
		wait   time.Duration
	}{
		"invalid parameter":     {file("snd_error_100_http400.json", 400), outbound.Permanent, 100, 0},
		"throughput":            {file("snd_error_130429_http400.json", 400), outbound.Throttle, 130429, 2 * time.Second},
		"something went wrong":  {file("snd_error_131000_http500.json", 500), outbound.Retry, 131000, 0},
		"not in the test list":  {file("snd_error_131030_http400.json", 400), outbound.Permanent, 131030, 0},
		"window closed":         {file("snd_error_131047_http400.json", 400), outbound.Permanent, 131047, 0},
		"token":                 {file("snd_error_190_http401.json", 401), outbound.Auth, 190, 0},
		"pair":                  {code(400, 131056, ""), outbound.Pair, 131056, 0},
		"messaging limit":       {code(400, 131064, ""), outbound.Pair, 131064, time.Hour},
		"flow throttled":        {code(400, 132069, ""), outbound.Pair, 132069, time.Hour},
		"pair with 403":         {code(403, 131056, ""), outbound.Pair, 131056, 0},
		"permission":            {code(403, 10, ""), outbound.Auth, 10, 0},
		"permission, 2xx":       {code(403, 230, ""), outbound.Auth, 230, 0},
		"app limit":             {code(403, 4, ""), outbound.Throttle, 4, time.Minute},
		"account limit":         {code(400, 80007, ""), outbound.Throttle, 80007, time.Minute},
		"undeliverable":         {code(400, 131026, ""), outbound.Permanent, 131026, 0},
		"undeliverable for now": {code(400, 131026, `,"is_transient":true`), outbound.Retry, 131026, 0},
		"not the owner":         {code(400, 131070, ""), outbound.Permanent, 131070, 0},
		"unknown code":          {code(400, 999999, ""), outbound.Unknown, 999999, 0},
		"unknown code, 500":     {code(500, 999999, ""), outbound.Retry, 999999, 0},
		"unknown code, 429":     {code(429, 999999, ""), outbound.Throttle, 999999, 0},
		"unknown code, for now": {code(400, 999999, `,"is_transient":true`), outbound.Retry, 999999, 0},
		"200 with an error":     {code(200, 131026, ""), outbound.Permanent, 131026, 0},
		"200 with both":         {meta(200, `{"messages":[{"id":"wamid.X"}],"error":{"code":131026}}`), outbound.Permanent, 131026, 0},
		"200 without an id":     {meta(200, `{"messages":[]}`), outbound.Uncertain, 0, 0},
		"200 without JSON":      {meta(200, `ok`), outbound.Uncertain, 0, 0},
		"500 as a page":         {meta(500, `<html>5491100000001</html>`), outbound.Uncertain, 0, 0},
		"502 empty":             {meta(502, ``), outbound.Uncertain, 0, 0},
		"429 empty": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(http.StatusTooManyRequests)
		}, outbound.Throttle, 0, 7 * time.Second},
		"404 of another server": {meta(404, `not found`), outbound.Auth, 0, 0},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, outbound.Auth, 0, 0},
		"413":                {meta(413, ``), outbound.Permanent, 0, 0},
		"reset after accept": {func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); reset(w) }, outbound.Uncertain, 0, 0},
		"hang":               {hang, outbound.Uncertain, 0, 0},
		"cut off in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "99")
			io.WriteString(w, `{"mes`)
		}, outbound.Uncertain, 0, 0},
		"minutes until access": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Business-Use-Case-Usage", `{"1":[{"estimated_time_to_regain_access":5}]}`)
			code(400, 80007, "")(w, r)
		}, outbound.Throttle, 80007, 5 * time.Minute},
		"an unreasonable header": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "99999999")
			code(400, 4, "")(w, r)
		}, outbound.Throttle, 4, time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := graph(t, test.handle)
			accepted, err := client.Send(t.Context(), reply("hola"))
			f := classOf(t, err)
			if accepted != (outbound.Accepted{}) || f.Class != test.class || f.Code != test.code || f.Wait != test.wait {
				t.Errorf("got %+v %s %d %v, want %s %d %v (%s)", accepted, f.Class, f.Code, f.Wait, test.class, test.code, test.wait, f.Detail)
			}
			if f.Detail == "" || strings.Contains(f.Error(), "5491100000001") || strings.Contains(f.Error(), "hola") {
				t.Errorf("detail %q", f.Detail)
			}
		})
	}
}

func TestNothingWasSent(t *testing.T) {
	t.Parallel()
	client, server := graph(t, nil)
	server.Close()
	_, err := client.Send(t.Context(), reply("hola"))
	if f := classOf(t, err); f.Class != outbound.Throttle {
		t.Errorf("connection refused: got %s", f.Class)
	}
	for name, p := range map[string]outbound.Post{
		"nobody":      {Body: outbound.Body{Reply: &router.Reply{Text: "x"}}},
		"evolution":   {To: outbound.Address{ExternalID: "77@lid"}, Body: outbound.Body{Reply: &router.Reply{Text: "x"}}},
		"no text":     reply(" "),
		"no body":     {To: outbound.Address{Phone: "1"}},
		"no type":     {To: outbound.Address{Phone: "1"}, Body: outbound.Body{Cloud: json.RawMessage(`{"text":{"body":"x"}}`)}},
		"other type":  {To: outbound.Address{Phone: "1"}, Body: outbound.Body{Cloud: json.RawMessage(`{"type":"image","text":{"body":"x"}}`)}},
		"not an dict": {To: outbound.Address{Phone: "1"}, Body: outbound.Body{Cloud: json.RawMessage(`["type"]`)}},
	} {
		_, err := client.Send(t.Context(), p)
		if f := classOf(t, err); f.Class != outbound.Permanent {
			t.Errorf("%s: got %s", name, f.Class)
		}
	}
}

// TestTokens: a call with a refused token sent nothing, so the next token is tried.
func TestTokens(t *testing.T) {
	t.Parallel()
	var seen []string
	client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		seen = append(seen, token)
		if token == "old" {
			w.WriteHeader(http.StatusUnauthorized)
			w.Write(fixture(t, "snd_error_190_http401.json"))
			return
		}
		w.Write(fixture(t, "snd_response_phone.json"))
	})
	for range 2 {
		if got, err := client.Send(t.Context(), reply("hola")); err != nil || !strings.HasPrefix(got.ID, "wamid.") || got.WaID != "5491100000001" {
			t.Fatalf("got %+v, %v", got, err)
		}
	}
	if diff := cmp.Diff(seen, []string{"old", "new", "new"}); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
}

// sent returns the request body of a Post.
func sent(t *testing.T, p outbound.Post) map[string]any {
	t.Helper()
	var body map[string]any
	client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != "/v26.0/200/messages" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s %v", r.Method, r.URL.Path, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		w.Write(fixture(t, "snd_response_bsuid.json"))
	})
	if _, err := client.Send(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	return body
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func options(n int) []router.Option {
	var list []router.Option
	for i := range n {
		c := strconv.Itoa(i + 1)
		list = append(list, router.Option{ID: "m/" + c + "/0", Code: c, Title: "Opción " + c})
	}
	return list
}

func TestBodies(t *testing.T) {
	t.Parallel()
	to := outbound.Address{Phone: "5491100000001", UserID: "AR.1"}
	const head = `"messaging_product":"whatsapp","recipient_type":"individual","to":"+5491100000001"`
	long := strings.Repeat("ñ👋", 2000)
	tests := map[string]struct {
		post outbound.Post
		want string
	}{
		"text": {
			outbound.Post{ID: "out:01J0000000000000000000000A", To: to, Body: outbound.Body{Reply: &router.Reply{Text: "Hola! Elegi una opcion", Style: flow.StyleText}}},
			string(fixture(t, "snd_text_request.json")),
		},
		"text to a user id": {
			outbound.Post{To: outbound.Address{UserID: "AR.10000000000000000001"}, Body: outbound.Body{Reply: &router.Reply{Text: "Hola!"}}},
			string(fixture(t, "snd_text_request_bsuid.json")),
		},
		"quote": {
			outbound.Post{To: to, QuotedID: "wamid.Q", Body: outbound.Body{Reply: &router.Reply{Text: "sí"}}},
			`{` + head + `,"type":"text","text":{"preview_url":false,"body":"sí"},"context":{"message_id":"wamid.Q"}}`,
		},
		"menu as text": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleText, Options: options(2)}}},
			`{` + head + `,"type":"text","text":{"preview_url":false,"body":"¿Qué?\n\n*1* · Opción 1\n*2* · Opción 2"}}`,
		},
		"buttons": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleButtons, Footer: "pie", Options: options(2)}}},
			`{` + head + `,"type":"interactive","interactive":{"type":"button","body":{"text":"¿Qué?"},"footer":{"text":"pie"},"action":{"buttons":[` +
				`{"type":"reply","reply":{"id":"m/1/0","title":"Opción 1"}},{"type":"reply","reply":{"id":"m/2/0","title":"Opción 2"}}]}}}`,
		},
		"list": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleList, Button: "Ver  áreas", Options: []router.Option{
				{ID: "a", Code: "1", Title: "Una opción con un título larguísimo", Description: strings.Repeat("d", 80)}, {ID: "b", Code: "2"},
			}}}},
			`{` + head + `,"type":"interactive","interactive":{"type":"list","body":{"text":"¿Qué?"},"action":{"button":"Ver áreas","sections":[{"rows":[` +
				`{"id":"a","title":"Una opción con un títul…","description":"1 · ` + strings.Repeat("d", 67) + `…"},{"id":"b","title":"2","description":"2"}]}]}}}`,
		},
		"too many buttons": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleButtons, Options: options(4)}}},
			`{` + head + `,"type":"interactive","interactive":{"type":"list","body":{"text":"¿Qué?"},"action":{"button":"Ver opciones","sections":[{"rows":[` +
				`{"id":"m/1/0","title":"Opción 1","description":"1"},{"id":"m/2/0","title":"Opción 2","description":"2"},{"id":"m/3/0","title":"Opción 3","description":"3"},{"id":"m/4/0","title":"Opción 4","description":"4"}]}]}}}`,
		},
		"ids twice": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleButtons, Options: []router.Option{{ID: "a", Code: "1", Title: "x"}, {ID: "a", Code: "2", Title: "y"}}}}},
			`{` + head + `,"type":"text","text":{"preview_url":false,"body":"¿Qué?\n\n*1* · x\n*2* · y"}}`,
		},
		"too many rows": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: "¿Qué?", Style: flow.StyleList, Options: options(11)}}},
			`{` + head + `,"type":"text","text":{"preview_url":false,"body":"` + strings.ReplaceAll((router.Reply{Text: "¿Qué?", Options: options(11)}).Plain(), "\n", `\n`) + `"}}`,
		},
		"long text": {
			outbound.Post{To: to, Body: outbound.Body{Reply: &router.Reply{Text: long}}},
			`{` + head + `,"type":"text","text":{"preview_url":false,"body":"` + strings.Repeat("ñ👋", 1365) + `…"}}`,
		},
		"as it is": {
			outbound.Post{ID: "out:2", To: to, QuotedID: "wamid.Q", Body: outbound.Body{Cloud: json.RawMessage(`{"to":"666","recipient":"AR.9","messaging_product":"x","type":"image","image":{"link":"https://x/y","caption":"<b>"},"context":{"message_id":"ours"},"status":"read","extra":[1]}`)}},
			`{` + head + `,"type":"image","image":{"link":"https://x/y","caption":"<b>"},"context":{"message_id":"wamid.Q"},"biz_opaque_callback_data":"out:2","extra":[1]}`,
		},
		"reaction": {
			outbound.Post{To: to, QuotedID: "wamid.Q", Body: outbound.Body{Cloud: json.RawMessage(`{"type":"reaction","reaction":{"message_id":"wamid.A","emoji":"👍"}}`)}},
			`{` + head + `,"type":"reaction","reaction":{"message_id":"wamid.A","emoji":"👍"}}`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(sent(t, test.post), object(t, test.want)); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
	for _, name := range []string{"snd_buttons_request", "snd_list_request", "snd_template_request", "snd_location_request", "snd_cta_url_request", "snd_media_request"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := object(t, string(fixture(t, name+".json")))
			delete(want, "context")
			got := sent(t, outbound.Post{To: to, Body: outbound.Body{Cloud: fixture(t, name+".json")}})
			if diff := cmp.Diff(got, want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

func TestMarkRead(t *testing.T) {
	t.Parallel()
	var got map[string]any
	client, server := graph(t, func(w http.ResponseWriter, r *http.Request) {
		json.NewDecoder(r.Body).Decode(&got)
		w.Write(fixture(t, "snd_read_response.json"))
	})
	want := object(t, string(fixture(t, "snd_read_and_typing_request.json")))
	if err := client.MarkRead(t.Context(), want["message_id"].(string)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got(-) want(+):\n%s", diff)
	}
	server.Close()
	classOf(t, client.MarkRead(t.Context(), "wamid.X"))
}

// TestFetch: files come from WhatsApp's hosts only, and our token goes nowhere else.
func TestFetch(t *testing.T) {
	t.Parallel()
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the thief was asked") }))
	t.Cleanup(thief.Close)
	var address string
	client, server := graph(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" || r.Header.Get("User-Agent") == "" {
			t.Errorf("%s: headers %v", r.URL, r.Header)
		}
		switch r.URL.Path {
		case "/v26.0/77":
			if r.URL.Query().Get("phone_number_id") != "200" {
				t.Errorf("asked with %s", r.URL.RawQuery)
			}
			json.NewEncoder(w).Encode(map[string]string{"url": address, "mime_type": "image/jpeg"})
		case "/file":
			io.WriteString(w, "bytes")
		case "/moved":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/stolen":
			http.Redirect(w, r, thief.URL, http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/private":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.WriteHeader(http.StatusNotFound)
			w.Write(fixture(t, "snd_error_100_http400.json"))
		}
	})
	read := func(m inbound.Media) string {
		body, mime, err := client.Fetch(t.Context(), m)
		if err != nil {
			return string(classOf(t, err).Class)
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text) + " " + mime
	}
	for path, want := range map[string]string{
		server.URL + "/file":  "bytes image/jpeg",
		server.URL + "/moved": "bytes image/jpeg",
		server.URL + "/gone":  "retry", server.URL + "/busy": "throttle", server.URL + "/private": "auth",
		server.URL + "/stolen": "permanent", server.URL + "/loop": "permanent", thief.URL + "/file": "permanent",
		"file:///etc/passwd": "permanent", "http://lookaside.fbsbx.com/x": "permanent", "https://lookaside.fbsbx.com.evil.example/x": "permanent",
		"https://fbcdn.net.evil.example/": "permanent", "https://evilfbcdn.net/": "permanent", "https://169.254.169.254/": "permanent",
		"https://me@lookaside.fbsbx.com/": "permanent", "https://lookaside.fbsbx.com:8443/x": "permanent", "": "retry", "::": "permanent",
	} {
		address = path
		if got := read(inbound.Media{ID: "77"}); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	for m, want := range map[inbound.Media]string{
		{URL: server.URL + "/file", MIME: "audio/ogg"}: "bytes audio/ogg",
		{URL: thief.URL}:                         "permanent",
		{ID: "../78"}:                            "permanent",
		{ID: "78"}:                               "permanent", // Meta says 100
		{}:                                       "permanent",
		{Inline: "Ynl0ZXM=", MIME: "text/plain"}: "bytes text/plain",
	} {
		if got := read(m); got != want {
			t.Errorf("%+v: got %s, want %s", m, got, want)
		}
	}
	server.Close()
	if got := read(inbound.Media{ID: "77"}); got != "throttle" {
		t.Errorf("unreachable: got %s", got)
	}
}

func TestNewClientRefuses(t *testing.T) {
	t.Parallel()
	for _, o := range []whatsapp.ClientOptions{
		{},
		{BaseURL: "graph.facebook.com", PhoneNumberID: "1", Tokens: []string{"x"}},
		{BaseURL: "ftp://x", PhoneNumberID: "1", Tokens: []string{"x"}},
		{BaseURL: "https://x", Tokens: []string{"x"}},
	} {
		if _, err := whatsapp.NewClient(o); err == nil {
			t.Errorf("%+v: accepted", o)
		}
	}
}

// TestWithoutToken: a line may lack its token if insecure is set. Its sends are held until
// it gets one, and no call is made.
func TestWithoutToken(t *testing.T) {
	t.Parallel()
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{BaseURL: "http://127.0.0.1:1/v26.0", PhoneNumberID: "200", Tokens: []string{""}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(t.Context(), reply("hola"))
	if f := classOf(t, err); f.Class != outbound.Auth || !strings.Contains(f.Detail, "no token") {
		t.Errorf("send: got %v", f)
	}
	if err := client.MarkRead(t.Context(), "wamid.1"); err == nil {
		t.Error("marked as read")
	}
	for _, m := range []inbound.Media{{ID: "77"}, {URL: "https://lookaside.fbsbx.com/x"}} {
		_, _, err = client.Fetch(t.Context(), m)
		if f := classOf(t, err); f.Class != outbound.Auth {
			t.Errorf("%+v: got %v", m, f)
		}
	}
}

// TestCodes: every code has a class and words.
func TestCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]outbound.Class{
		130429: outbound.Throttle, 80007: outbound.Throttle, 4: outbound.Throttle, 131056: outbound.Pair, 190: outbound.Auth, 10: outbound.Auth,
		200: outbound.Auth, 299: outbound.Auth, 131047: outbound.Permanent, 131026: outbound.Permanent, 131000: outbound.Retry, 368: outbound.Auth,
		131043: outbound.Permanent, 131058: outbound.Permanent, 131201: outbound.Permanent, 131215: outbound.Permanent,
		134011: outbound.Permanent, 134100: outbound.Permanent, 134101: outbound.Permanent, 134102: outbound.Permanent,
		138006: outbound.Permanent, 138009: outbound.Permanent, 139000: outbound.Permanent, 147000: outbound.Permanent,
	} {
		if got, known := whatsapp.Class(code); !known || got != want {
			t.Errorf("%d: got %s %v, want %s", code, got, known, want)
		}
	}
	for _, code := range []int{300, 80015, 131300, 134200, 137999, 140000} {
		if _, known := whatsapp.Class(code); known {
			t.Errorf("%d is known", code)
		}
	}
}
