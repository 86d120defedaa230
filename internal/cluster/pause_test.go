package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/cluster/clustertest"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

const (
	// hurried is the BackoffSpeedup for which this test program shortens the leases.
	hurried    = 2
	shortLease = 9 * time.Second
	trueLease  = 30 * time.Second
)

// TestMain lets this test program also run as the router, for the cluster to start.
func TestMain(m *testing.M) {
	clustertest.Main(m, func(o *app.Options) {
		if o.BackoffSpeedup == hurried {
			o.Lease, o.PostTimeout = shortLease, 3*time.Second
		}
	})
}

// wire wraps WhatsApp and records when each message had arrived in full. It delays the
// bodies, so that a worker stopped at any moment has claimed rows that are not posted yet.
type wire struct {
	mu      sync.Mutex
	arrived map[string][]time.Time // by our id
}

func (w *wire) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		at := time.Now()
		var m struct {
			Status string `json:"status"`
			Ref    string `json:"biz_opaque_callback_data"`
		}
		if json.Unmarshal(body, &m) == nil && m.Status == "read" {
			time.Sleep(700 * time.Millisecond)
		} else if m.Ref != "" {
			w.mu.Lock()
			w.arrived[m.Ref] = append(w.arrived[m.Ref], at)
			w.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(rw, r)
	})
}

// after returns the messages among ids that arrived after a moment.
func (w *wire) after(ids []string, moment time.Time) (late []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		for _, at := range w.arrived[id] {
			if at.After(moment) {
				late = append(late, id)
			}
		}
	}
	return late
}

// TestPauses is the short form of TestProofPauses, with short leases.
func TestPauses(t *testing.T) { pauses(t, 2, hurried, shortLease) }

// TestProofPauses stops workers at random moments, two of three at a time, for longer
// than their leases. Meanwhile others settle the rows that they had claimed. When they
// continue, none of these messages arrives, none arrives twice, and no line is held for
// it.
func TestProofPauses(t *testing.T) {
	if os.Getenv("PSI_PROOF") == "" {
		t.Log("for make proof: set PSI_PROOF=1")
		return
	}
	pauses(t, 20, 1, trueLease)
}

func pauses(t *testing.T, n int, hurry float64, lease time.Duration) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{arrived: map[string][]time.Time{}}
	c, err := cluster.Start(t.Context(), cluster.Options{
		Program: program, Webhooks: 1, Workers: 3, BackoffSpeedup: hurry, Record: 1 << 20, WrapWhatsApp: w.before,
		Note: func(what string) { t.Error(what) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop(false)
	api := loadgen.API{URL: c.DoorURL(), Key: c.Key, Line: cluster.Line}
	gen, err := loadgen.New(loadgen.Options{
		URL: c.DoorURL() + "/webhook", Secret: c.Secret, PhoneNumberID: cluster.PhoneNumberID,
		Connections: 8, Conversations: 150, Rate: 30, Script: []string{"menú", "1"}, Seed: seed, RetryFor: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	load, stop := context.WithCancel(t.Context())
	defer stop()
	reports := make(chan loadgen.Report, 1)
	go func() {
		r, err := gen.Run(load)
		if err != nil {
			t.Errorf("load: %v", err)
		}
		reports <- r
	}()
	held := make(chan []string, 1)
	watching, over := context.WithCancel(t.Context())
	defer over()
	go func() { held <- holds(watching, c) }()

	workers := c.Nodes[1:]
	decided := 0
	for done := 0; done < n; done += 2 {
		// This waits for nothing: it chooses the moment of the fault.
		time.Sleep(time.Duration(300+random.IntN(1500)) * time.Millisecond)
		first := random.IntN(len(workers))
		two := []*cluster.Node{workers[first], workers[(first+1)%len(workers)]}
		for _, m := range two {
			if err := m.Signal(syscall.SIGSTOP); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(lease + time.Duration(random.Int64N(int64(lease/4))))
		lost := uncertain(t, api)
		for end := time.Now().Add(lease); len(lost) == 0 && time.Now().Before(end); lost = uncertain(t, api) {
			time.Sleep(100 * time.Millisecond) // jobs that may have stopped a worker are taken up one at a time
		}
		moment := time.Now()
		for _, m := range two {
			if err := m.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range two {
			if err := m.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		decided += len(lost)
		defer func() {
			if late := w.after(lost, moment); len(late) > 0 {
				t.Errorf("%d messages arrived after their claim had ended", len(late))
			}
		}()
	}
	stop()
	report := <-reports
	settle(t, api)
	over()
	if list := <-held; len(list) > 0 {
		t.Errorf("held: %q", list)
	}
	rows, err := api.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Shutdown()
	var posts []loadgen.Post
	for _, p := range c.WhatsApp.Sent() {
		posts = append(posts, loadgen.Post{Ref: p.Ref, ProviderID: p.ID})
	}
	v := loadgen.Verify(loadgen.Evidence{Messages: report.Messages(), Rows: rows, Posts: posts, Replies: func(loadgen.Message) int { return 1 }})
	t.Logf("%d pauses: %d accepted, %d stored, %d sent, %d uncertain, %d failed; %d claimed rows were settled by others",
		n, v.Accepted, v.Stored, v.Sent, v.Uncertain, v.Failed, decided)
	if err := v.Err(); err != nil {
		t.Error(err)
	}
	if decided == 0 || v.Sent < 100 {
		t.Error("no stopped worker had claimed rows, or few messages were sent: this proves nothing")
	}
}

// uncertain lists the rows of stopped workers that others have settled.
func uncertain(t *testing.T, api loadgen.API) (ids []string) {
	t.Helper()
	rows, err := api.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Status == "uncertain" {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// settle waits until no job and no send is left.
func settle(t *testing.T, api loadgen.API) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for calm := 0; calm < 3; {
		f, err := api.Stats(ctx)
		if calm++; err != nil || f.Depth > 0 || f.Pending > 0 {
			calm = 0
		}
		if !loadgen.Sleep(ctx, 200*time.Millisecond) {
			t.Fatalf("there is work left: %+v, %v", f, err)
		}
	}
}

// holds collects the reasons of held queues until ctx ends.
func holds(ctx context.Context, c *cluster.Cluster) (all []string) {
	seen := map[string]bool{}
	for loadgen.Sleep(ctx, 100*time.Millisecond) {
		var page struct {
			Items []struct {
				Name    string
				HeldFor string `json:"held_for"`
			} `json:"items"`
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.DoorURL()+"/api/v1/queues", nil)
		if err != nil {
			return []string{err.Error()}
		}
		req.Header.Set("Authorization", "Bearer "+c.Key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the next round asks again
		}
		err = json.NewDecoder(res.Body).Decode(&page)
		res.Body.Close()
		if err != nil {
			continue
		}
		for _, q := range page.Items {
			if why := q.Name + ": " + q.HeldFor; q.HeldFor != "" && !seen[why] {
				seen[why] = true
				all = append(all, why)
			}
		}
	}
	return all
}
