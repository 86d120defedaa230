package api_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// bodies are valid bodies of the operations that need one.
var bodies = map[string]string{
	"handoffConversation": `{"area":"ventas"}`,
	"sendMessage":         hola,
	"startMessage":        `{"line":"wsp4","phone":"5491100000001","type":"text","text":{"body":"hola"}}`,
	"redriveDeadLetters":  `{"ids":[1]}`,
	"dropDeadLetters":     `{"ids":[1]}`,
}

// TestEveryOperationRefuses walks the description: each kind of bad request is refused in
// words, and nothing has changed.
func TestEveryOperationRefuses(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(o *api.Options) {
		o.Keys = append(o.Keys, api.Key{Name: "elsewhere", Secrets: []string{"elsewhere"}, Role: api.Admin, Lines: []string{"elsewhere"}, Rate: -1})
		for i := range o.Keys {
			o.Keys[i].Rate = -1
		}
	})
	r.say(t, 1, "wsp4", "hola")
	if err := r.queue.SetLimit(t.Context(), "send:wsp4", queue.Limit{}); err != nil {
		t.Fatal(err)
	}
	addDeadLetter(t, r.queue, queue.Job{Queue: "inbound", Lane: "wsp4:AR.1", ID: "message:1", Body: []byte(`{}`)}, "decode: boom")
	id := r.first(t)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Description string
			RequestBody *struct{} `json:"requestBody"`
			Parameters  []struct {
				In     string
				Schema struct{ Type string }
			}
		}
	}
	if err := json.Unmarshal([]byte(ask(t, r, "", "GET /openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	good := strings.NewReplacer("/dead-letters/{id}", "/dead-letters/1", "{id}", id, "{name}", "send:wsp4", "{key}", id)
	foreign := strings.NewReplacer("/dead-letters/{id}", "/dead-letters/99", "{id}", "01987f3e-0000-7000-8000-000000000000", "{name}", "send:zz", "{key}", "zz")
	before := r.dump(t)
	tried := 0
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for verb, op := range doc.Paths[path] {
			verb = strings.ToUpper(verb)
			body := bodies[op.OperationID]
			named := strings.Contains(path, "{")
			try := func(request, key, path, body string, status int, codes ...string) {
				t.Helper()
				tried++
				got := ask(t, r, key, verb+" "+path, body)
				if got.status != status {
					t.Errorf("%s, %s: got %d, want %d: %.300s", op.OperationID, request, got.status, status, got.body)
					return
				}
				if code := got.code(t); !slices.Contains(codes, code) {
					t.Errorf("%s, %s: got %s, want %v", op.OperationID, request, code, codes)
				}
			}
			url := good.Replace(path)
			try("no key", "", url, body, 401, "unauthorized")
			try("unknown key", "nobody", url, body, 401, "unauthorized")
			switch {
			case strings.Contains(op.Description, "Role: `agent`"):
				try("a reader", "reader", url, body, 403, "forbidden")
			case strings.Contains(op.Description, "Role: `admin`"):
				try("a reader", "reader", url, body, 403, "forbidden")
				try("an agent", "agent", url, body, 403, "forbidden")
			}
			switch {
			case named || body != "":
				try("out of scope", "elsewhere", url, body, 404, "not_found")
			case op.OperationID == "listQueues": // the shared ones name nobody
			default:
				if got := ask(t, r, "elsewhere", verb+" "+url, ""); got.status != 200 || strings.Contains(got.body, id) {
					t.Errorf("%s, out of scope: %d %.300s", op.OperationID, got.status, got.body)
				}
			}
			if named {
				try("a foreign id", "admin", foreign.Replace(path), body, 404, "not_found")
			}
			huge := `{"reason":"` + strings.Repeat("x", 10<<20) + `"}`
			try("10 MB", "admin", url, huge, 413, "too_large")
			if op.RequestBody == nil {
				continue
			}
			try("broken JSON", "admin", url, `{"type":`, 400, "broken_json")
			try("not JSON", "admin", url, "\xff\xfe", 400, "broken_json")
			try("not an object", "admin", url, `[1,2]`, 422, "invalid_request")
			try("what nobody asked", "admin", url, `{"nonsense":1}`, 422, "invalid_request")
			req := httptest.NewRequestWithContext(t.Context(), verb, api.Prefix+url, strings.NewReader(body+" "))
			req.Header.Set("Authorization", "Bearer admin")
			req.Header.Set("Content-Type", "text/plain")
			w := httptest.NewRecorder()
			r.ServeHTTP(w, req)
			if got := (answer{w.Code, w.Header(), w.Body.String()}); got.status != http.StatusUnsupportedMediaType || got.code(t) != "unsupported_media_type" {
				t.Errorf("%s, text/plain: %d %s", op.OperationID, got.status, got.body)
			}
		}
	}
	if diff := gocmp.Diff(r.dump(t), before); diff != "" {
		t.Errorf("a refusal changed something (-got +want):\n%s", diff)
	}
	if tried < 5*len(endpoints) {
		t.Errorf("only %d refusals were tried", tried)
	}
}

// unread is a body that fails the test when read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestStrangersBodiesAreNotRead: a caller without the right is refused before a byte of the
// body is read, on every path.
func TestStrangersBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	r := openWith(t, func(*api.Options) {})
	var doc struct {
		Paths map[string]map[string]struct{}
	}
	if err := json.Unmarshal([]byte(ask(t, r, "", "GET /openapi.json", "").body), &doc); err != nil {
		t.Fatal(err)
	}
	doc.Paths["/api/v1/nowhere"] = map[string]struct{}{"post": {}}
	doc.Paths["/openapi.json"] = map[string]struct{}{"post": {}}
	tried := 0
	for path, verbs := range doc.Paths {
		for verb := range verbs {
			for _, key := range []string{"", "wrong"} {
				tried++
				req := httptest.NewRequestWithContext(t.Context(), strings.ToUpper(verb), path, unread{t})
				req.ContentLength = 200 << 10
				req.Header.Set("Content-Type", "application/json")
				if key != "" {
					req.Header.Set("Authorization", "Bearer "+key)
				}
				w := httptest.NewRecorder()
				r.ServeHTTP(w, req)
				if w.Code < 400 {
					t.Errorf("%s %s: got %d", verb, path, w.Code)
				}
			}
		}
	}
	if tried < 20 {
		t.Errorf("only %d requests were tried", tried)
	}
}
