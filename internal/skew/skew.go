// Package skew measures how far the machine's clock is from that of a server, by the Date of
// its answers. It must never guess without answers, nor set a clock.
package skew

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// Tolerance is the skew that is ignored: the network explains seconds, not minutes.
	Tolerance = 2 * time.Minute
	// maxSamples is how many answers are kept; their median ignores a few odd ones.
	maxSamples = 20
	// sampleTTL is how long an answer counts.
	sampleTTL = time.Hour
	// maxRoundTrip bounds the answers that count: the Date of a slower one is too vague.
	maxRoundTrip = 10 * time.Second
	// maxStep is how far the wall clock may drift from the monotonic one between two
	// readings; more is a step.
	maxStep = 2 * time.Second
)

// Meter compares the machine's clock with one server's. It is safe for concurrent use.
type Meter struct {
	clock func() reading

	mu      sync.Mutex
	last    reading
	samples []sample
}

// reading is one moment on both clocks of the machine.
type reading struct {
	wall   time.Time     // can be set
	steady time.Duration // monotonic; stands still while the machine sleeps
}

type sample struct {
	at    time.Duration // steady
	ahead time.Duration
}

// New returns a meter without samples.
func New() *Meter {
	began := time.Now()
	return &Meter{clock: func() reading {
		now := time.Now()
		return reading{now.Round(0), now.Sub(began)}
	}}
}

// now reads the clocks and drops old samples, or all of them after a step of the clock or a
// sleep of the machine.
func (m *Meter) now() reading {
	now := m.clock()
	if wall, steady := now.wall.Sub(m.last.wall), now.steady-m.last.steady; (wall - steady).Abs() > maxStep {
		m.samples = nil
	}
	m.last = now
	m.samples = slices.DeleteFunc(m.samples, func(s sample) bool { return now.steady-s.at > sampleTTL })
	return now
}

// addSample adds the Date of an answer to a request that was sent at began.
func (m *Meter) addSample(began reading, date string) {
	there, err := http.ParseTime(date)
	if err != nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	took := now.steady - began.steady
	if took > maxRoundTrip {
		return
	}
	// A Date is truncated to the second, and its moment is between request and answer.
	middle := now.wall.Add(-took / 2)
	m.samples = append(m.samples, sample{now.steady, middle.Sub(there.Add(500 * time.Millisecond))})
	if over := len(m.samples) - maxSamples; over > 0 {
		m.samples = m.samples[over:]
	}
}

// Ahead returns how far the machine's clock is ahead of the server's; negative is behind.
// known is false without a sample.
func (m *Meter) Ahead() (d time.Duration, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now()
	if len(m.samples) == 0 {
		return 0, false
	}
	all := make([]time.Duration, len(m.samples))
	for i, s := range m.samples {
		all[i] = s.ahead
	}
	slices.Sort(all)
	return all[len(all)/2], true
}

// Skew returns Ahead to the second if it exceeds Tolerance, else 0.
func (m *Meter) Skew() time.Duration {
	if d, known := m.Ahead(); known && d.Abs() > Tolerance {
		return d.Round(time.Second)
	}
	return 0
}

// Transport returns a transport that samples every answer.
func (m *Meter) Transport(next http.RoundTripper) http.RoundTripper { return transport{m, next} }

type transport struct {
	meter *Meter
	next  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (l transport) RoundTrip(r *http.Request) (*http.Response, error) {
	began := l.meter.clock()
	res, err := l.next.RoundTrip(r)
	if err == nil {
		l.meter.addSample(began, res.Header.Get("Date"))
	}
	return res, err
}

// CloseIdleConnections is called by http.Client.
func (l transport) CloseIdleConnections() {
	if c, ok := l.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// Run asks the server whenever there is no sample, at least once an hour, until ctx ends. It
// uses client, whose Transport must be the meter's. It logs when the clock becomes wrong and
// when it is right again.
func (m *Meter) Run(ctx context.Context, client *http.Client, url string, logger *slog.Logger) error {
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	wrong := time.Duration(0)
	for {
		if _, known := m.Ahead(); !known {
			requestDate(ctx, client, url)
		}
		switch now := m.Skew(); {
		case now != 0 && wrong == 0:
			logger.Error("this machine's clock is wrong: set it, for example by NTP", "ahead_of_whatsapp", now.String())
			wrong = now
		case now == 0 && wrong != 0:
			logger.Info("this machine's clock is right again")
			wrong = 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// requestDate makes a request for the Date of its answer, whatever its status.
func requestDate(ctx context.Context, client *http.Client, url string) {
	ctx, cancel := context.WithTimeout(ctx, maxRoundTrip)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, http.NoBody)
	if err != nil {
		return
	}
	if res, err := client.Do(req); err == nil {
		res.Body.Close()
	}
}
