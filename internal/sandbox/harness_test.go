package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// arrived is one event that the webhook received.
type arrived struct {
	contacts []map[string]any
	message  map[string]any // either message
	status   map[string]any // or status is set
	raw      []byte
}

// harness is a fake WhatsApp over real HTTP, with a webhook that checks the signature and
// keeps the events.
type harness struct {
	*Server
	t       *testing.T
	url     string
	arrived chan arrived

	mu     sync.Mutex
	answer func(try int) int // the webhook's code for its try-th post
	tries  int
	on     func(arrived) // called before the webhook answers
}

const (
	testPhoneNumberID = "200000000000002"
	testNumber        = "5491100000099"
	testAppSecret     = "test_app_secret_0123456789abcdef"
	testVerifyToken   = "sandbox"
	testToken         = "sandbox"
)

// identified fills in who the tests' WhatsApp pretends to be.
func identified(o Options) Options {
	o.PhoneNumberID, o.DisplayNumber, o.AppSecret = testPhoneNumberID, testNumber, testAppSecret
	o.VerifyToken, o.Token = cmp.Or(o.VerifyToken, testVerifyToken), testToken
	return o
}

func newHarness(t *testing.T, o Options) *harness {
	t.Helper()
	s := &harness{t: t, arrived: make(chan arrived, 4096)}
	hook := httptest.NewServer(http.HandlerFunc(s.webhook))
	t.Cleanup(hook.Close)
	o.WebhookURL = func() string { return hook.URL + "/webhook" }
	o.Pace, o.Backoff = cmp.Or(o.Pace, 0.02), cmp.Or(o.Backoff, 2*time.Millisecond)
	server, err := New(identified(o))
	if err != nil {
		t.Fatal(err)
	}
	s.Server = server
	front := httptest.NewServer(server.Handler())
	t.Cleanup(front.Close)
	s.url = front.URL
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.client.CloseIdleConnections()
		http.DefaultClient.CloseIdleConnections()
	})
	return s
}

func (s *harness) webhook(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if r.FormValue("hub.verify_token") != testVerifyToken {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		_, _ = io.WriteString(w, r.FormValue("hub.challenge"))
		return
	}
	body, _ := io.ReadAll(r.Body)
	if !whatsapp.NewSignature(testAppSecret).Verify(r.Header.Get(whatsapp.SignatureHeader), body) {
		s.t.Errorf("bad signature on %s", body)
	}
	s.mu.Lock()
	s.tries++
	code, on := http.StatusOK, s.on
	if s.answer != nil {
		code = s.answer(s.tries)
	}
	s.mu.Unlock()
	if code == http.StatusOK {
		for _, a := range read(s.t, body) {
			if on != nil {
				on(a)
			}
			s.arrived <- a
		}
	}
	w.WriteHeader(code)
}

func read(t *testing.T, body []byte) []arrived {
	var env struct {
		Entry []struct {
			Changes []struct {
				Field string
				Value struct {
					Metadata map[string]string
					Contacts []map[string]any
					Messages []map[string]any
					Statuses []map[string]any
				}
			}
		}
	}
	if err := json.Unmarshal(body, &env); err != nil {
		t.Errorf("webhook body: %v", err)
		return nil
	}
	var all []arrived
	for _, e := range env.Entry {
		for _, c := range e.Changes {
			if got := c.Value.Metadata["phone_number_id"]; got != testPhoneNumberID {
				t.Errorf("phone_number_id = %q", got)
			}
			for _, m := range c.Value.Messages {
				all = append(all, arrived{contacts: c.Value.Contacts, message: m, raw: body})
			}
			for _, st := range c.Value.Statuses {
				all = append(all, arrived{contacts: c.Value.Contacts, status: st, raw: body})
			}
		}
	}
	return all
}

// next waits for the next event that the webhook took.
func (s *harness) next() arrived {
	s.t.Helper()
	select {
	case a := <-s.arrived:
		return a
	case <-time.After(10 * time.Second):
		s.t.Fatal("nothing arrived at the webhook")
		return arrived{}
	}
}

// statuses waits for the statuses in any order: of two posts under way the later one may
// arrive first.
func (s *harness) statuses(want ...string) map[string]arrived {
	s.t.Helper()
	got := map[string]arrived{}
	for range want {
		a := s.next()
		name, _ := a.status["status"].(string)
		got[name] = a
	}
	for _, name := range want {
		if _, ok := got[name]; !ok {
			s.t.Fatalf("got %v, want the statuses %v", slices.Collect(maps.Keys(got)), want)
		}
	}
	return got
}

// send posts to the Graph API.
func (s *harness) send(body any) (int, map[string]any) {
	s.t.Helper()
	data, ok := body.([]byte)
	if !ok {
		data = marshalPlain(body)
	}
	return s.do(http.MethodPost, "/sandbox/graph/v26.0/"+testPhoneNumberID+"/messages", testToken, data)
}

func (s *harness) do(method, path, token string, body []byte) (int, map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, map[string]any{"transport": err.Error()}
	}
	defer resp.Body.Close()
	answer := map[string]any{}
	data, _ := io.ReadAll(resp.Body)
	if len(data) > 0 && json.Unmarshal(data, &answer) != nil {
		answer["text"] = string(data)
	}
	return resp.StatusCode, answer
}

func fixture(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func text(to, body string) map[string]any {
	return map[string]any{"messaging_product": "whatsapp", "to": to, "type": "text", "text": map[string]any{"body": body}}
}

func code(answer map[string]any) int {
	e, _ := answer["error"].(map[string]any)
	n, _ := e["code"].(float64)
	return int(n)
}

func wamidOf(answer map[string]any) string {
	list, _ := answer["messages"].([]any)
	if len(list) == 0 {
		return ""
	}
	id, _ := list[0].(map[string]any)["id"].(string)
	return id
}
