package ingest_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/queue"
)

func TestQueueErrors(t *testing.T) {
	t.Parallel()
	for _, fail := range []error{queue.ErrFull, queue.ErrUnavailable, queue.ErrClosed, errors.New("disk full")} {
		q := &fakeQueue{fail: fail}
		w := httptest.NewRecorder()
		ingest.New(options(q)).ServeHTTP(w, request{body: envelope(lineRef, text("w", "1", hola)), sign: appSecret}.build(t))
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("%v: got %d, Retry-After %q", fail, w.Code, w.Header().Get("Retry-After"))
		}
		if strings.Contains(w.Body.String(), "success") || strings.Contains(w.Body.String(), fail.Error()) {
			t.Errorf("%v: answer %s", fail, w.Body)
		}
	}
	// Not even an unreadable body is answered before it is stored.
	q := &fakeQueue{fail: queue.ErrUnavailable}
	if status, answer := post(t, ingest.New(options(q)), request{body: "hola", sign: appSecret}); status != http.StatusServiceUnavailable {
		t.Errorf("not JSON, not stored: %d %s", status, answer)
	}
}

// TestHangingQueue: the answer is 503 before Meta gives up.
func TestHangingQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{wait: func(ctx context.Context) { <-ctx.Done() }}
		start := time.Now()
		status, _ := post(t, ingest.New(options(q)), request{body: envelope(lineRef, text("w", "1", hola)), sign: appSecret})
		if took := time.Since(start); status != http.StatusServiceUnavailable || took != 4*time.Second {
			t.Errorf("got %d after %v", status, took)
		}
	})
}

// TestHangUp: the enqueue goes on if the caller hangs up.
func TestHangUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	q := &fakeQueue{wait: func(context.Context) { cancel() }}
	r := request{body: envelope(lineRef, text("w", "1", hola)), sign: appSecret}.build(t).WithContext(ctx)
	w := httptest.NewRecorder()
	ingest.New(options(q)).ServeHTTP(w, r)
	if w.Code != http.StatusOK || len(q.jobs) != 1 {
		t.Errorf("got %d, %d jobs", w.Code, len(q.jobs))
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	pad := func(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }
	mine := envelope(lineRef, text("w", "1", hola))
	tests := map[string]struct {
		request
		want int
	}{
		"signed, 4 MiB":  {request{body: pad(mine, 4<<20), sign: appSecret}, 200},
		"signed, more":   {request{body: pad(mine, 4<<20+1), sign: appSecret}, 413},
		"secret, 16 MiB": {request{body: pad(flat, 16<<20), secret: evoSecret}, 200},
		"secret, more":   {request{body: pad(flat, 16<<20+1), secret: evoSecret}, 413},
		"unsigned, more": {request{body: pad(flat, 16<<20+1)}, 401},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, announced := range []bool{true, false} {
				q := &fakeQueue{}
				r := test.build(t)
				if !announced {
					r.ContentLength = -1
				}
				w := httptest.NewRecorder()
				ingest.New(options(q)).ServeHTTP(w, r)
				if w.Code != test.want || (len(q.jobs) == 1) != (test.want == 200) {
					t.Errorf("announced %v: got %d, %d jobs, want %d", announced, w.Code, len(q.jobs), test.want)
				}
			}
		})
	}
	r := request{body: mine, sign: appSecret}.build(t)
	r.ContentLength += 10 // cut off on the way
	w := httptest.NewRecorder()
	ingest.New(options(&fakeQueue{})).ServeHTTP(w, r)
	if w.Code != http.StatusBadRequest {
		t.Errorf("cut off: got %d", w.Code)
	}
}

// TestLimiter: after many refusals an address gets 429, but never for an authentic request.
func TestLimiter(t *testing.T) {
	t.Parallel()
	o := options(&fakeQueue{})
	now := received
	o.Now = func() time.Time { return now }
	door := ingest.New(o)
	refused := func(from string) int {
		status, _ := post(t, door, request{body: flat, sign: "guess", from: from})
		return status
	}
	for i := range 200 {
		if got := refused("203.0.113.9"); got != http.StatusUnauthorized {
			t.Fatalf("refusal %d: got %d", i, got)
		}
	}
	for from, want := range map[string]int{
		"203.0.113.9":                http.StatusTooManyRequests,
		"1.2.3.4, 203.0.113.9":       http.StatusTooManyRequests, // invented by the caller
		"203.0.113.9, 10.1.2.3":      http.StatusTooManyRequests, // through a second proxy of ours
		"203.0.113.10":               http.StatusUnauthorized,
		"203.0.113.9, 198.51.100.77": http.StatusUnauthorized, // not a proxy of ours
	} {
		if got := refused(from); got != want {
			t.Errorf("%s: got %d, want %d", from, got, want)
		}
	}
	if status, _ := post(t, door, request{body: flat, from: "203.0.113.9"}); status != http.StatusTooManyRequests {
		t.Errorf("without credentials: %d", status)
	}
	if status, _ := post(t, door, request{body: envelope(lineRef, text("w", "1", hola)), sign: appSecret, from: "203.0.113.9"}); status != http.StatusOK {
		t.Errorf("authentic from the same address: %d", status)
	}
	if got := refused("203.0.113.9"); got != http.StatusUnauthorized {
		t.Errorf("from an address that something authentic came from: %d", got)
	}
	now = now.Add(25 * time.Hour)
	for range 200 {
		refused("203.0.113.9")
	}
	if got := refused("203.0.113.9"); got != http.StatusTooManyRequests {
		t.Errorf("a day later: %d", got)
	}
	now = now.Add(5 * time.Second)
	if got := refused("203.0.113.9"); got != http.StatusUnauthorized {
		t.Errorf("after a while: %d", got)
	}
	for _, ours := range []string{"", "10.1.2.3", "127.0.0.2", "::1"} { // a proxy may stand for everybody
		for range 300 {
			if got := refused(ours); got != http.StatusUnauthorized {
				t.Fatalf("%q: got %d", ours, got)
			}
		}
	}
	for range 300 { // one /64
		refused("2001:db8:1:2::5")
	}
	if got := refused("2001:db8:1:2:ffff::1"); got != http.StatusTooManyRequests {
		t.Errorf("same /64: %d", got)
	}
}

func TestForwardedOnlyFromTrustedProxies(t *testing.T) {
	t.Parallel()
	door := ingest.New(options(&fakeQueue{}))
	last := 0
	for i := range 201 {
		r := request{body: flat, from: fmt.Sprintf("198.51.100.%d", i)}.build(t)
		r.RemoteAddr = "192.0.2.1:1234"
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		last = w.Code
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("got %d: the header of a stranger was believed", last)
	}
}
