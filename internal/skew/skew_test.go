package skew

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// answer gives the meter a sample of a server whose clock differs from the machine's.
func answer(m *Meter, ahead, took time.Duration) {
	began := m.clock()
	time.Sleep(took)
	m.addSample(began, time.Now().Add(-took/2-ahead).UTC().Format(http.TimeFormat))
}

func TestAhead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		answers []time.Duration
		took    time.Duration
		wait    time.Duration
		want    time.Duration // to a second
		known   bool
	}{
		"no answer":                   {},
		"right":                       {answers: []time.Duration{0, 0, 0}, known: true},
		"ahead":                       {answers: []time.Duration{15 * time.Minute}, want: 15 * time.Minute, known: true},
		"behind":                      {answers: []time.Duration{-time.Hour}, want: -time.Hour, known: true},
		"one odd answer among many":   {answers: []time.Duration{0, time.Hour, 0, 0}, known: true},
		"the last twenty count":       {answers: append(make([]time.Duration, 30), times(20, time.Hour)...), want: time.Hour, known: true},
		"an answer after a long wait": {answers: []time.Duration{time.Hour}, took: 11 * time.Second},
		"the middle of a wait":        {answers: []time.Duration{0}, took: 8 * time.Second, known: true},
		"an answer over an hour ago":  {answers: []time.Duration{time.Hour}, wait: 61 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := New()
				for _, ahead := range tc.answers {
					answer(m, ahead, tc.took)
				}
				time.Sleep(tc.wait)
				got, known := m.Ahead()
				if known != tc.known || (got-tc.want).Abs() > time.Second {
					t.Errorf("got %v %v, want %v %v", got, known, tc.want, tc.known)
				}
				if wrong := m.Skew(); (wrong != 0) != (tc.known && tc.want.Abs() > Tolerance) {
					t.Errorf("wrong by %v", wrong)
				}
			})
		})
	}
}

func times(n int, d time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = d
	}
	return out
}

// TestInvalidDate: an invalid Date is ignored.
func TestInvalidDate(t *testing.T) {
	t.Parallel()
	m := New()
	for _, date := range []string{"", "yesterday", "2026-11-24T10:00:00Z"} {
		m.addSample(m.clock(), date)
	}
	if _, known := m.Ahead(); known {
		t.Error("it guesses")
	}
}

// TestASteppedClock: samples from before a step are dropped.
func TestASteppedClock(t *testing.T) {
	t.Parallel()
	now := reading{wall: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)}
	m := &Meter{clock: func() reading { return now }}
	pass := func(wall, steady time.Duration) bool {
		now = reading{now.wall.Add(wall), now.steady + steady}
		_, known := m.Ahead()
		return known
	}
	hear := func() { m.addSample(now, now.wall.Format(http.TimeFormat)) }
	hear()
	if !pass(50*time.Minute, 50*time.Minute) {
		t.Error("time that passed is taken for a step")
	}
	if pass(-15*time.Minute, 0) {
		t.Error("a clock that was set back is trusted")
	}
	hear()
	if pass(8*time.Hour, time.Second) {
		t.Error("a clock is trusted after the machine has slept")
	}
	hear()
	if !pass(time.Second, time.Second) {
		t.Error("it never trusts a clock again")
	}
}

// TestRunAsks: Run asks the server if there is no other traffic, and logs a wrong clock once.
func TestRunAsks(t *testing.T) {
	t.Parallel()
	asked := make(chan struct{}, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(-15*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusBadRequest)
		asked <- struct{}{}
	}))
	defer server.Close()
	m := New()
	var log strings.Builder
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- m.Run(ctx, &http.Client{Transport: m.Transport(http.DefaultTransport)}, server.URL, slog.New(slog.NewTextHandler(&log, nil)))
	}()
	<-asked
	for m.Skew() == 0 {
		if ctx.Err() != nil {
			t.Fatal("it learns nothing from the answer")
		}
	}
	cancel()
	if err := <-done; err != nil || !strings.Contains(log.String(), "clock is wrong") {
		t.Errorf("%v, log: %s", err, log.String())
	}
}
