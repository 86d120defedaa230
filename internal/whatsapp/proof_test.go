package whatsapp_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// TestProof: HMAC-SHA256 of the token, keyed with the app secret, in hex.
func TestProof(t *testing.T) {
	t.Parallel()
	// printf token | openssl dgst -sha256 -hmac secret
	if got, want := whatsapp.Proof("token", "secret"), "e941110e3d2bfe82621f0e3e1434730d7305d106c5f68c87165d0b27a4611a4a"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// prover is a Graph that checks proofs and records the calls.
type prover struct {
	app      string // the secret of its app
	required bool

	mu   sync.Mutex
	seen []string // "POST old none", "GET new wrong"
}

func (p *prover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	proof, verdict := r.URL.Query().Get("appsecret_proof"), "right"
	switch proof {
	case whatsapp.Proof(token, p.app):
	case "":
		verdict = "none"
	default:
		verdict = "wrong"
	}
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+token+" "+verdict)
	p.mu.Unlock()
	refuse := func(status int, body string) { w.WriteHeader(status); io.WriteString(w, body) }
	switch {
	case token == "dead":
		refuse(401, `{"error":{"code":190,"type":"OAuthException","message":"Invalid OAuth access token."}}`)
	case verdict == "wrong":
		refuse(400, `{"error":{"code":100,"type":"GraphMethodException","message":"Invalid appsecret_proof provided in the API argument"}}`)
	case verdict == "none" && p.required:
		refuse(400, `{"error":{"code":100,"type":"GraphMethodException","message":"API calls from the server require an appsecret_proof argument"}}`)
	case r.Method == http.MethodPost:
		io.WriteString(w, `{"messages":[{"id":"wamid.X"}]}`)
	default:
		io.WriteString(w, `{"url":"http://`+r.Host+`/file?`+r.URL.RawQuery+`","display_phone_number":"1"}`)
	}
}

// TestProofs: the secrets are tried in turn, then no proof; the one that worked is used
// next time; a call with a refused proof sent nothing.
func TestProofs(t *testing.T) {
	t.Parallel()
	send := func(c *whatsapp.Client) error { _, err := c.Send(t.Context(), reply("hola")); return err }
	read := func(c *whatsapp.Client) error { return c.MarkRead(t.Context(), "wamid.1") }
	ask := func(c *whatsapp.Client) error { _, err := c.Number(t.Context()); return err }
	for name, tt := range map[string]struct {
		graph   *prover
		tokens  []string
		secrets []string
		call    func(*whatsapp.Client) error
		seen    []string // by two calls
		class   outbound.Class
		number  error // of asking for the number
	}{
		"the app's":           {&prover{app: "app"}, []string{"t"}, []string{"app"}, send, []string{"POST t right", "POST t right"}, "", nil},
		"a receipt":           {&prover{app: "app"}, []string{"t"}, []string{"app"}, read, []string{"POST t right", "POST t right"}, "", nil},
		"no secret":           {&prover{app: "app"}, []string{"t"}, nil, send, []string{"POST t none", "POST t none"}, "", nil},
		"the second one":      {&prover{app: "old"}, []string{"t"}, []string{"new", "old"}, send, []string{"POST t wrong", "POST t right", "POST t right"}, "", nil},
		"of another app":      {&prover{app: "app"}, []string{"t"}, []string{"new", "old"}, send, []string{"POST t wrong", "POST t wrong", "POST t none", "POST t none"}, "", whatsapp.ErrAppSecret},
		"the second token":    {&prover{app: "app"}, []string{"dead", "t"}, []string{"app"}, send, []string{"POST dead right", "POST t right", "POST t right"}, "", nil},
		"required":            {&prover{app: "app", required: true}, []string{"t"}, []string{"app"}, send, []string{"POST t right", "POST t right"}, "", nil},
		"required, not there": {&prover{app: "app", required: true}, []string{"t"}, nil, send, []string{"POST t none", "POST t none"}, outbound.Auth, nil},
		"required, of another": {
			&prover{app: "app", required: true},
			[]string{"t"},
			[]string{"other"},
			send,
			[]string{"POST t wrong", "POST t none", "POST t wrong", "POST t none"},
			outbound.Auth, whatsapp.ErrAppSecret,
		},
		"the number": {&prover{app: "app"}, []string{"t"}, []string{"app"}, ask, []string{"GET t right", "GET t right"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(tt.graph)
			t.Cleanup(server.Close)
			client, err := whatsapp.NewClient(whatsapp.ClientOptions{BaseURL: server.URL, PhoneNumberID: "200", Tokens: tt.tokens, AppSecrets: tt.secrets})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				err := tt.call(client)
				if tt.class == "" && err != nil {
					t.Errorf("got %v", err)
				} else if tt.class != "" && classOf(t, err).Class != tt.class {
					t.Errorf("got %v, want %s", err, tt.class)
				}
			}
			if diff := cmp.Diff(tt.graph.seen, tt.seen); diff != "" {
				t.Errorf("got(-) want(+):\n%s", diff)
			}
			if _, err := client.Number(t.Context()); tt.number != nil && !errors.Is(err, tt.number) {
				t.Errorf("number: got %v, want %v", err, tt.number)
			}
		})
	}
}

// TestProofStaysAtGraph: the call for a file's address has a proof, the call to the file's
// host has none.
func TestProofStaysAtGraph(t *testing.T) {
	t.Parallel()
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.RequestURI())
		if r.URL.Path == "/v26.0/77" {
			io.WriteString(w, `{"url":"http://`+r.Host+`/file"}`)
			return
		}
		io.WriteString(w, "bytes")
	}))
	t.Cleanup(server.Close)
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{BaseURL: server.URL + "/v26.0", PhoneNumberID: "200", Tokens: []string{"t"}, AppSecrets: []string{"app"}})
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := client.Fetch(t.Context(), inbound.Media{ID: "77"})
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	want := []string{"/v26.0/77?appsecret_proof=" + whatsapp.Proof("t", "app") + "&phone_number_id=200", "/file"}
	if !slices.Equal(asked, want) {
		t.Errorf("got %v, want %v", asked, want)
	}
}

// TestProofIsNotShown: the proof shows neither in a network error nor in Graph's answer.
func TestProofIsNotShown(t *testing.T) {
	t.Parallel()
	proof := whatsapp.Proof("t", "app")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":{"code":140999,"message":"bad call `+r.URL.RequestURI()+`"}}`)
	}))
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{
		BaseURL: server.URL, PhoneNumberID: "200", Tokens: []string{"t"}, AppSecrets: []string{"app"}, Redact: redact.New(proof),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, said := client.Send(t.Context(), reply("hola"))
	server.Close()
	_, cut := client.Send(t.Context(), reply("hola"))
	for _, err := range []error{said, cut, errors.Unwrap(cut)} {
		if err == nil || strings.Contains(err.Error(), proof) {
			t.Errorf("got %v", err)
		}
	}
	if !strings.Contains(said.Error(), redact.Secret) {
		t.Errorf("got %v", said)
	}
}
