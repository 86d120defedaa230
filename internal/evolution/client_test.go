package evolution_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/router"
)

func server(t *testing.T, handle http.HandlerFunc) (*evolution.Client, *httptest.Server) {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	client, err := evolution.NewClient(evolution.ClientOptions{BaseURL: s.URL + "/", Instance: "linea ventas", APIKey: "key", Timeout: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return client, s
}

func text(s string) outbound.Post {
	return outbound.Post{To: outbound.Address{Phone: "5491100000001"}, Body: outbound.Body{Reply: &router.Reply{Text: s}}}
}

func TestSend(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		post outbound.Post
		want map[string]any
	}{
		"text": {text("Hola!"), map[string]any{"number": "5491100000001", "text": "Hola!"}},
		"menu": {
			outbound.Post{To: outbound.Address{ExternalID: "77@lid"}, QuotedID: "Q1", Body: outbound.Body{Reply: &router.Reply{
				Text: "¿Qué?", Style: flow.StyleList, Options: []router.Option{{ID: "a", Code: "1", Title: "Ventas"}},
			}}},
			map[string]any{"number": "77@lid", "text": "¿Qué?\n\n*1* · Ventas", "quoted": map[string]any{"key": map[string]any{"id": "Q1"}}},
		},
		"of the API": {
			outbound.Post{To: outbound.Address{Phone: "1"}, Body: outbound.Body{Cloud: json.RawMessage(`{"type":"text","text":{"body":"hola"}}`)}},
			map[string]any{"number": "1", "text": "hola"},
		},
	}
	cloud := func(body string) outbound.Post {
		return outbound.Post{To: outbound.Address{Phone: "1"}, QuotedID: "Q", Body: outbound.Body{Cloud: json.RawMessage(body)}}
	}
	quoted := map[string]any{"key": map[string]any{"id": "Q"}}
	files := map[string]struct {
		post outbound.Post
		want map[string]any
	}{
		"sendMedia": {
			cloud(`{"type":"document","document":{"link":"https://x/a.pdf","caption":"el programa","filename":"a.pdf"}}`),
			map[string]any{"number": "1", "mediatype": "document", "media": "https://x/a.pdf", "caption": "el programa", "fileName": "a.pdf", "quoted": quoted},
		},
		"sendWhatsAppAudio": {
			cloud(`{"type":"audio","audio":{"link":"https://x/a.ogg"}}`), map[string]any{"number": "1", "audio": "https://x/a.ogg", "quoted": quoted},
		},
	}
	for path, file := range files {
		tests[path] = file
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got map[string]any
			client, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
				path := "sendText"
				if _, file := files[name]; file {
					path = name
				}
				if r.URL.Path != "/message/"+path+"/linea ventas" || r.Header.Get("apikey") != "key" {
					t.Errorf("%s %v", r.URL.Path, r.Header)
				}
				json.NewDecoder(r.Body).Decode(&got)
				w.WriteHeader(http.StatusCreated)
				w.Write(fixture(t, "evo_send_text_response.json"))
			})
			accepted, err := client.Send(t.Context(), test.post)
			if want := (outbound.Accepted{ID: "3EB0000000000000000005", WaID: "5491100000001"}); err != nil || accepted != want {
				t.Fatalf("got %+v, %v", accepted, err)
			}
			if diff := cmp.Diff(got, test.want); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); io.WriteString(w, body) }
	}
	// hang reads the request, and answers only after the caller has given up.
	hang := func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	tests := map[string]struct {
		handle http.HandlerFunc
		want   outbound.Class
	}{
		"not on WhatsApp":   {answer(400, `{"status":400,"response":{"message":[{"exists":false,"jid":"x","number":"1"}]}}`), outbound.Permanent},
		"bad request":       {answer(400, `{"response":{"message":["text is required"]}}`), outbound.Permanent},
		"key":               {answer(401, `{"error":"Unauthorized"}`), outbound.Auth},
		"instance":          {answer(404, `{"response":{"message":["The \"x\" instance does not exist"]}}`), outbound.Auth},
		"phone is off":      {answer(500, `{"response":{"message":"Error: Connection Closed"}}`), outbound.Throttle},
		"too many":          {answer(429, ``), outbound.Throttle},
		"broken":            {answer(500, `{}`), outbound.Uncertain},
		"201 without an id": {answer(201, `{}`), outbound.Uncertain},
		"redirect":          {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusTemporaryRedirect) }, outbound.Auth},
		"hang":              {hang, outbound.Uncertain},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := server(t, test.handle)
			_, err := client.Send(t.Context(), text("hola"))
			var f *outbound.Failure
			if !errors.As(err, &f) || f.Class != test.want || f.Detail == "" {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
	client, s := server(t, nil)
	s.Close()
	for name, test := range map[string]struct {
		post outbound.Post
		want outbound.Class
	}{
		"unreachable": {text("hola"), outbound.Throttle},
		"no text":     {text(" "), outbound.Permanent},
		"user id":     {outbound.Post{To: outbound.Address{UserID: "AR.1"}, Body: text("x").Body}, outbound.Permanent},
		"template":    {outbound.Post{To: outbound.Address{Phone: "1"}, Body: outbound.Body{Cloud: json.RawMessage(`{"type":"template","template":{}}`)}}, outbound.Permanent},
	} {
		_, err := client.Send(t.Context(), test.post)
		var f *outbound.Failure
		if !errors.As(err, &f) || f.Class != test.want {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	status, body := 201, `{"base64":"Ynl0ZXM=","mimetype":"image/png"}`
	client, s := server(t, func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			Message struct{ Key struct{ ID string } }
		}
		json.NewDecoder(r.Body).Decode(&ask)
		if r.URL.Path != "/chat/getBase64FromMediaMessage/linea ventas" || ask.Message.Key.ID != "M1" {
			t.Errorf("%s %+v", r.URL.Path, ask)
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
	read := func(m inbound.Media) string {
		file, mime, err := client.Fetch(t.Context(), m)
		var f *outbound.Failure
		if errors.As(err, &f) {
			return string(f.Class)
		} else if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		got, err := io.ReadAll(file)
		if err != nil {
			t.Fatal(err)
		}
		return string(got) + " " + mime
	}
	one := inbound.Media{ID: "M1", MIME: "image/jpeg", URL: "http://169.254.169.254/"}
	if got, want := read(one), "bytes image/png"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	body = `{"base64":"data:image/png;base64,Ynl0ZXM="}`
	if got, want := read(one), "bytes image/jpeg"; got != want {
		t.Errorf("data: got %s, want %s", got, want)
	}
	for _, c := range []struct {
		status     int
		body, want string
	}{{201, `{}`, "retry"}, {500, `{}`, "retry"}, {400, `{"response":{"message":["Message not found"]}}`, "permanent"}, {401, ``, "auth"}} {
		if status, body = c.status, c.body; read(one) != c.want {
			t.Errorf("%d %s: got %s, want %s", c.status, c.body, read(one), c.want)
		}
	}
	if got := read(inbound.Media{Inline: "Ynl0ZXM=", MIME: "image/gif"}); got != "bytes image/gif" {
		t.Errorf("inline: got %s", got)
	}
	if got := read(inbound.Media{URL: "http://169.254.169.254/"}); got != "permanent" {
		t.Errorf("address only: got %s", got)
	}
	s.Close()
	if got := read(one); got != "throttle" {
		t.Errorf("unreachable: got %s", got)
	}
}

// TestWithoutKey: a line may lack its key if insecure is set. Its sends are held until it
// gets one.
func TestWithoutKey(t *testing.T) {
	t.Parallel()
	client, err := evolution.NewClient(evolution.ClientOptions{BaseURL: "http://127.0.0.1:1", Instance: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var f *outbound.Failure
	if _, err := client.Send(t.Context(), text("hola")); !errors.As(err, &f) || f.Class != outbound.Auth {
		t.Errorf("send: got %v", err)
	}
	if _, _, err := client.Fetch(t.Context(), inbound.Media{ID: "M1"}); !errors.As(err, &f) || f.Class != outbound.Auth {
		t.Errorf("fetch: got %v", err)
	}
}
