package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/sqlitequeue"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// spoken are the ways in which a secret is repeated here; those of internal/redact
// are more.
var spoken = []func(string) string{
	func(s string) string { return s },
	url.QueryEscape,
	func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(":" + s + ":")) },
	func(s string) string { return hex.EncodeToString([]byte(s)) },
}

// parrot repeats the secrets of a configuration, one at a time, and a number.
type parrot struct {
	secrets []string
	turn    atomic.Int64
}

const strangersNumber = "5491155559876"

func (p *parrot) say() string { return p.sayAs(int(p.turn.Add(1))) }

func (p *parrot) sayAs(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "no +%s", strangersNumber)
	for _, way := range spoken {
		b.WriteString(" " + way(p.secrets[n%len(p.secrets)]))
	}
	return b.String()
}

// sayAll is for who says little, and is asked seldom.
func (p *parrot) sayAll() string {
	var all []string
	for i := range p.secrets {
		all = append(all, p.sayAs(i))
	}
	return strings.Join(all, ", ")
}

// leaks finds a secret in what somebody can see.
func (p *parrot) leaks(t *testing.T, face, text string) {
	t.Helper()
	for _, s := range p.secrets {
		for _, way := range spoken {
			// What a cut has left of one is as good as the whole.
			if note := way(s); strings.Contains(text, note[:min(len(note), 12)]) {
				t.Errorf("%s repeats %q:\n%.3000s", face, s, text)
				return
			}
		}
	}
	if strings.Contains(text, strangersNumber) {
		t.Errorf("%s shows a number:\n%.3000s", face, text)
	}
}

// journal is what was logged, while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// begin runs a whole router of the environment.
func begin(t *testing.T, role string, environ []string) (*app.App, *journal) {
	t.Helper()
	cfg, err := config.Load(config.Options{Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	logs := &journal{}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Role: role, Version: "test", BackoffSpeedup: 20, Log: observe.NewLogger(logs, "info", "json")})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return a, logs
}

func fetched(t *testing.T, base, path, key string) string {
	t.Helper()
	for {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusTooManyRequests { // a key has its rate
			return string(body)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const (
	deniedID, refusedID, reportedID = "100000000000001", "100000000000002", "100000000000003"
	appSecret, apiKey               = "0a1b2c3d4e5f60718293a4b5c6d7e8f9", "psi_key_Zm9vYmFyYmF6cXV4"
)

// servers are Graph, Evolution, an endpoint and a receiver of alerts that repeat
// what they were told, or were never told.
func (p *parrot) servers(t *testing.T) (graph, evolution, endpoint, alerts string, told func() string) {
	var mu sync.Mutex
	var heard strings.Builder
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	complain := func(w http.ResponseWriter, status, code int) {
		note, err := json.Marshal(p.say())
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"error":{"message":%s,"code":%d,"fbtrace_id":"AZc1B2c3D4e5F6g7H8i9J0k"}}`, note, code)
	}
	graph = serve(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.Contains(r.URL.Path, deniedID):
			complain(w, http.StatusBadRequest, 131026)
		case strings.Contains(r.URL.Path, refusedID):
			complain(w, http.StatusUnauthorized, 190)
		case strings.Contains(r.URL.Path, reportedID) && r.Method == http.MethodPost:
			var post struct{ To, Status string }
			if err := json.NewDecoder(r.Body).Decode(&post); err == nil && post.Status == "read" {
				fmt.Fprint(w, `{"success":true}`)
				return
			}
			fmt.Fprintf(w, `{"messages":[{"id":"wamid.ours%s"}]}`, strings.TrimPrefix(post.To, "+"))
		default:
			complain(w, http.StatusBadRequest, 100)
		}
	})
	evolution = serve(func(w http.ResponseWriter, _ *http.Request) {
		note, err := json.Marshal(p.say())
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprintf(w, `{"status":400,"error":"Bad Request","response":{"message":[%s]}}`, note)
	})
	alerts = serve(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if heard.Len() == 0 {
			complain(w, http.StatusBadGateway, 1)
		}
		heard.Write(body)
	})
	endpoint = "http://" + spoke(t, func(c net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
			fmt.Fprintf(c, "HTTP/1.1 403 %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", p.say())
		}
	})
	return graph, evolution, endpoint, alerts, func() string { mu.Lock(); defer mu.Unlock(); return heard.String() }
}

// spoke answers each connection by hand.
func spoke(t *testing.T, answer func(net.Conn)) (addr string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); answer(c) }()
		}
	}()
	return l.Addr().String()
}

// arrive posts a webhook of Meta's.
func arrive(t *testing.T, base, id, value string) {
	t.Helper()
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},%s}}]}]}`, id, value)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/webhook", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(appSecret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("webhook: got %s", res.Status)
	}
}

// arriveByEvolution posts a message of somebody, as an instance does.
func arriveByEvolution(t *testing.T, base, secret string, person int) {
	t.Helper()
	body := fmt.Sprintf(`{"event":"messages.upsert","instance":"ventas","data":{"key":{"remoteJid":"54911555500%02d@s.whatsapp.net","fromMe":false,"id":"3EB0%d"},"pushName":"Ana","message":{"conversation":"hola"},"messageType":"conversation","messageTimestamp":%d}}`, person, person, time.Now().Unix())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+"/webhook", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Webhook-Secret", secret)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("webhook: got %s", res.Status)
	}
}

// written is a message of somebody, with a text or a file.
func written(person int, content string) string {
	from := fmt.Sprintf("54911555500%02d", person)
	return fmt.Sprintf(`"contacts":[{"wa_id":%q,"profile":{"name":"Ana"}}],"messages":[{"from":%q,"id":"wamid.theirs%d","timestamp":"%d",%s}]`, from, from, person, time.Now().Unix(), content)
}

// bury leaves dead letters and a held queue behind, as an earlier version did.
func (p *parrot) bury(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	q, err := sqlitequeue.Open(t.Context(), sqlitequeue.Options{Path: filepath.Join(dir, "queue.db")})
	if err != nil {
		t.Fatal(err)
	}
	for i := range p.secrets {
		body, err := json.Marshal(map[string]string{"said": p.sayAs(i)[len("no +"+strangersNumber):]})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Enqueue(t.Context(), []queue.Job{{Queue: "inbound", Lane: "old:1", ID: strconv.Itoa(i), Body: body}}); err != nil {
			t.Fatal(err)
		}
		b, err := q.Exchange(t.Context(), "inbound", nil, 1, time.Minute)
		if err != nil || len(b.Claims) != 1 {
			t.Fatalf("claim: %+v %v", b, err)
		}
		dead := queue.Outcome{Lane: b.Claims[0].Lane, Token: b.Claims[0].Token, Verdict: queue.Dead, Err: p.sayAs(i)}
		if _, err := q.Exchange(t.Context(), "inbound", []queue.Outcome{dead}, 0, time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(q.Hold(t.Context(), "old", time.Now().Add(time.Hour), p.sayAs(0)), q.Close()); err != nil {
		t.Fatal(err)
	}
}
