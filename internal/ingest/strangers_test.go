package ingest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

const signatureHeader = "X-Hub-Signature-256"

// unread is a body that must not be read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body was read")
	return 0, io.EOF
}

// TestRefusedUnread: a request that cannot be authentic is refused before a byte of its body is
// read.
func TestRefusedUnread(t *testing.T) {
	t.Parallel()
	good := whatsapp.Sign(appSecret, nil)
	for name, header := range map[string]http.Header{
		"no credentials":       {},
		"empty signature":      {signatureHeader: {""}},
		"no scheme":            {signatureHeader: {strings.TrimPrefix(good, "sha256=")}},
		"another scheme":       {signatureHeader: {"sha1=" + strings.Repeat("0", 40)}},
		"a digit too few":      {signatureHeader: {good[:len(good)-1]}},
		"a digit too many":     {signatureHeader: {good + "0"}},
		"no hex":               {signatureHeader: {good[:len(good)-1] + "g"}},
		"unknown secret":       {"X-Webhook-Secret": {"stranger"}},
		"secret, no signature": {"X-Webhook-Secret": {"stranger"}, signatureHeader: {"sha256=00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhook", unread{t})
			r.ContentLength = 4 << 20
			r.Header = header
			w := httptest.NewRecorder()
			ingest.New(options(&fakeQueue{})).ServeHTTP(w, r)
			if w.Code != http.StatusUnauthorized {
				t.Errorf("got %d", w.Code)
			}
		})
	}
}

// outcomes counts the outcomes of requests.
type outcomes map[string]int

func (o outcomes) Webhook(outcome string, _ time.Duration) { o[outcome]++ }
func (outcomes) Arrived(string, string)                    {}

// TestEveryRefusalCounts: 200 refusals of any kind are too many; they are logged once a minute,
// and the line is short and printable.
func TestEveryRefusalCounts(t *testing.T) {
	t.Parallel()
	const from = "203.0.113.9"
	forged := http.Header{signatureHeader: {whatsapp.Sign("guess", nil)}}
	path := "/webhook/" + strings.Repeat("%1b[2J%e2%80%ae", 300)
	for name, tt := range map[string]struct {
		method  string
		body    io.Reader
		length  int64
		header  http.Header
		want    int
		outcome string
		why     string
	}{
		"no credentials":     {http.MethodPost, nil, 0, nil, 401, "unauthorized", "no credentials"},
		"bad signature":      {http.MethodPost, strings.NewReader("{}"), 2, forged, 401, "unauthorized", "bad signature"},
		"no signature":       {http.MethodPost, strings.NewReader("{}"), 2, http.Header{signatureHeader: {"x"}}, 401, "unauthorized", "no signature"},
		"too large":          {http.MethodPost, strings.NewReader("{}"), 5 << 20, forged, 413, "too_large", "too large"},
		"unfinished":         {http.MethodPost, strings.NewReader("{}"), 10, forged, 400, "aborted", "incomplete body"},
		"no room":            {http.MethodPost, strings.NewReader("{}"), 3 << 20, forged, 503, "no_room", "no room for the body"},
		"wrong verify token": {http.MethodGet, nil, 0, nil, 403, "handshake_refused", "wrong verify token"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&log, nil))
			o, seen, now := options(&fakeQueue{}), outcomes{}, received
			o.Admission = admission.New(admission.Options{Proxies: proxies, Log: logger})
			o.Log, o.Meter, o.Now = logger, seen, func() time.Time { return now }
			door := ingest.New(o)
			for n := range 200 {
				r := httptest.NewRequestWithContext(t.Context(), tt.method, path, nil)
				if tt.body != nil {
					r.Body = io.NopCloser(tt.body)
				}
				r.ContentLength, r.RemoteAddr = tt.length, "127.0.0.1:1"
				r.Header = tt.header.Clone()
				if r.Header == nil {
					r.Header = http.Header{}
				}
				r.Header.Set("X-Forwarded-For", from)
				w := httptest.NewRecorder()
				door.ServeHTTP(w, r)
				if n == 0 && (w.Code != tt.want || seen[tt.outcome] != 1) {
					t.Errorf("got %d, %v; want %d, %s", w.Code, seen, tt.want, tt.outcome)
				}
				if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
					t.Error("503 without Retry-After")
				}
			}
			if got, _ := post(t, door, request{body: flat, sign: "guess", from: from}); got != http.StatusTooManyRequests {
				t.Errorf("after 200 of them: got %d", got)
			}
			now = now.Add(time.Minute)
			post(t, door, request{body: flat, sign: "guess", from: from})
			lines := strings.Split(strings.TrimSpace(log.String()), "\n")
			if len(lines) != 2 {
				t.Fatalf("got %d lines, want one a minute:\n%s", len(lines), log.String())
			}
			var first, second struct {
				Why, Path, Address string
				Count              int
			}
			if err := json.Unmarshal([]byte(lines[0]), &first); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(lines[1]), &second); err != nil {
				t.Fatal(err)
			}
			if first.Why != tt.why || first.Address != from || first.Count != 1 || second.Count != 201 {
				t.Errorf("got %+v and %+v", first, second)
			}
			if utf8.RuneCountInString(first.Path) > 150 || strings.ContainsAny(first.Path, "\x1b\u202e") {
				t.Errorf("path %q", first.Path)
			}
		})
	}
}

// TestLongBodiesOfKnownAddresses: an unknown address has its share, one that signed well has room
// for all that Meta may post, and a valid secret is checked before the body.
func TestLongBodiesOfKnownAddresses(t *testing.T) {
	t.Parallel()
	door := ingest.New(options(&fakeQueue{}))
	pad := func(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }
	long := request{body: pad(envelope(lineRef, text("w", "1", hola)), 3<<20), sign: appSecret, from: "203.0.113.9"}
	if got, answer := post(t, door, long); got != http.StatusServiceUnavailable {
		t.Errorf("of a stranger: got %d %s", got, answer)
	}
	secret := request{body: pad(flat, 15<<20), secret: evoSecret, from: "203.0.113.7"}
	if got, answer := post(t, door, secret); got != http.StatusOK {
		t.Errorf("with a line's secret: got %d %s", got, answer)
	}
	if got, answer := post(t, door, request{body: envelope(lineRef, text("v", "1", hola)), sign: appSecret, from: "203.0.113.9"}); got != http.StatusOK {
		t.Fatalf("short: got %d %s", got, answer)
	}
	if got, answer := post(t, door, long); got != http.StatusOK {
		t.Errorf("a known address: got %d %s", got, answer)
	}
	long.from = "203.0.113.10"
	if got, answer := post(t, door, long); got != http.StatusServiceUnavailable {
		t.Errorf("of another stranger: got %d %s", got, answer)
	}
}

// TestRecordsAreLoggedShort: untrusted ids are cut in log lines.
func TestRecordsAreLoggedShort(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := options(&fakeQueue{})
	o.Log = slog.New(slog.NewJSONHandler(&log, nil))
	body := envelope(strings.Repeat("9", 100_000), text(strings.Repeat("w", 100_000), strings.Repeat("5", 100_000), hola))
	if got, answer := post(t, ingest.New(o), request{body: body, sign: appSecret}); got != http.StatusOK {
		t.Fatalf("got %d %s", got, answer)
	}
	if log.Len() == 0 || log.Len() > 1000 {
		t.Errorf("%d bytes of log: %.300s", log.Len(), log.String())
	}
}
