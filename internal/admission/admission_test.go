package admission

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestRefusalsAreLoggedOnceAMinute: one log line per minute and address, with a count.
func TestRefusalsAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	r := newRefusals(slog.New(slog.NewJSONHandler(&log, nil)))
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	for range 300 {
		r.Note(stranger, now, "bad signature", slog.String("path", "/webhook"))
	}
	r.Note(another, now, "too large")
	r.Note(stranger, now.Add(59*time.Second), "too large")
	r.Note(stranger, now.Add(time.Minute), "incomplete body")
	type line struct {
		Why, Address string
		Count        int
	}
	var got []line
	for dec := json.NewDecoder(&log); dec.More(); {
		var l line
		if err := dec.Decode(&l); err != nil {
			t.Fatal(err)
		}
		got = append(got, l)
	}
	want := []line{{"bad signature", stranger.String(), 1}, {"too large", another.String(), 1}, {"incomplete body", stranger.String(), 301}}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("line %d: got %v, want %v", i, got[i], want[i])
		}
	}
}

// TestWhoIsExempt: proxies, this machine, and for a day an address that proved to be Meta's.
func TestWhoIsExempt(t *testing.T) {
	t.Parallel()
	c := New(Options{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	c.Known.Mark(netip.MustParseAddr("2001:db8:1:2::1"), now)
	c.Known.Mark(another, now.Add(-24*time.Hour))
	for addr, want := range map[string]bool{
		"127.0.0.1": true, "127.9.9.9": true, "::1": true, addrOf("@").String(): true, "10.1.2.3": true, "192.168.1.1": false,
		"2001:db8:1:2:ffff::1": true, "2001:db8:1:3::1": false, stranger.String(): false, another.String(): false,
	} {
		a := netip.MustParseAddr(addr)
		for range failBurst + 1 {
			c.Refusals.Note(a, now, "bad signature")
		}
		if got := c.Sender(a, now); got.Exempt != want || got.OneAtATime == want {
			t.Errorf("%s: got %+v, want exempt %v", addr, got, want)
		}
	}
}

// TestKnownIsBounded: the newest addresses are kept.
func TestKnownIsBounded(t *testing.T) {
	t.Parallel()
	var k Known
	now := time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)
	addr := netip.MustParseAddr("10.0.0.0")
	for i := range maxKnown + 10 {
		addr = addr.Next()
		k.Mark(addr, now.Add(time.Duration(i)*time.Second))
	}
	now = now.Add(time.Hour + maxKnown*time.Second)
	if len(k.last) != maxKnown || !k.Contains(addr, now) || k.Contains(netip.MustParseAddr("10.0.0.1"), now) {
		t.Errorf("%d are kept", len(k.last))
	}
}

// TestWatch: a wrong key counts as a refusal.
func TestWatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		c := New(Options{})
		for status, addr := range map[int]netip.Addr{http.StatusUnauthorized: stranger, http.StatusForbidden: another} {
			h := c.CountUnauthorized(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
			for range failBurst {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
				r.RemoteAddr = netip.AddrPortFrom(addr, 1).String()
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
			if got, want := c.Refusals.Over(addr, time.Now()), status == http.StatusUnauthorized; got != want {
				t.Errorf("%d: over %v, want %v", status, got, want)
			}
		}
	})
}

// TestCharge: a handler without authentication is bounded too. If there is no room for a body
// the answer is 503, whatever the handler makes of it.
func TestCharge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{})
		h := c.Charge(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				http.Error(w, "what a strange body", http.StatusBadRequest)
				return
			}
			time.Sleep(time.Second) // the handler works
		}))
		const bodies = 10
		codes := make(chan int, bodies)
		for range bodies {
			go func() {
				w := httptest.NewRecorder()
				r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/", bytes.NewReader(zeros))
				r.RemoteAddr = "127.0.0.1:1"
				h.ServeHTTP(w, r)
				codes <- w.Code
				if w.Code == http.StatusServiceUnavailable && w.Header().Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}()
		}
		got := map[int]int{}
		for range bodies {
			got[<-codes]++
		}
		if got[http.StatusOK] < longRoom/(4*mib) || got[http.StatusOK]+got[http.StatusServiceUnavailable] != bodies {
			t.Errorf("got %v", got)
		}
		if !c.Room.long.TryAcquire(longRoom) {
			t.Error("the room is not empty afterwards")
		}
	})
}
