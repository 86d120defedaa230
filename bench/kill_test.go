package bench

import (
	"context"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// TestKill kills the router under load at moments that nobody chose, and starts
// it again. Afterwards every message that got a 200 is stored once, in order,
// and was answered once; an answer that was being posted when the process died
// is uncertain, and never posted again.
func TestKill(t *testing.T) {
	kills := 5
	if os.Getenv("PSI_PROOF") != "" {
		kills = 50
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	wa, err := sandbox.New(sandbox.Options{
		PhoneNumberID: phoneNumberID, AppSecret: appSecret, Token: "bench-token",
		WebhookURL: func() string { return "" }, KeepSent: 1 << 20, NoStatuses: true, NoFaults: true, NoPhones: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	graph := httptest.NewServer(wa.Handler())
	defer graph.Close()
	config, url := configure(t, graph.URL+"/sandbox/graph/v26.0")
	p := &program{t: t, bin: build(t), config: config, url: url}
	p.start()

	gen, err := loadgen.New(loadgen.Options{
		URL: url + "/webhook", Secret: appSecret, PhoneNumberID: phoneNumberID,
		Connections: 16, Conversations: 400, Batch: 3, Duplicates: 0.1, Seed: seed,
		Rate: 150, RetryFor: 2 * time.Minute,
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
	for range kills {
		// Not to wait for anything: this is the moment of the fault.
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		p.kill()
		p.start()
	}
	stop()
	report := <-reports

	// What was claimed by a process that died is due again at once; a row that
	// lost its wake-up waits for the pump, a minute at most.
	p.waitFor(3*time.Minute, "quiet", func() bool {
		depth, _, err := p.depth(t.Context())
		if err != nil || depth > 0 {
			return false
		}
		rows, err := rows(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			if r.Status == "queued" || r.Status == "sending" {
				return false
			}
		}
		return true
	})
	all, err := rows(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, dead, err := p.depth(t.Context()); err != nil || dead != 0 {
		t.Errorf("dead letters: got %d (%v), want 0", dead, err)
	}
	p.stop()

	var posts []loadgen.Post
	for _, s := range wa.Sent() {
		posts = append(posts, loadgen.Post{Ref: s.Ref, ProviderID: s.ID})
	}
	verdict := loadgen.Verify(loadgen.Evidence{Messages: report.Messages(), Rows: all, Posts: posts, Replies: replies})
	t.Logf("%d kills: %d accepted, %d unsure, %d stored, %d sent, %d uncertain, %d failed, %d posts repeated by the sender",
		kills, verdict.Accepted, verdict.Unsure, verdict.Stored, verdict.Sent, verdict.Uncertain, verdict.Failed, report.Retried)
	if err := verdict.Err(); err != nil {
		t.Error(err)
	}
	if verdict.Accepted < 100 {
		t.Errorf("only %d messages were accepted: this proved nothing", verdict.Accepted)
	}
}

func rows(ctx context.Context, url string) ([]loadgen.Row, error) {
	return loadgen.API{URL: url, Key: apiKey}.Rows(ctx)
}

// replies says what the script deserves: the menu, the submenu, the ticket; then
// the person is with a team, and the router is silent.
func replies(m loadgen.Message) int {
	if m.N < 3 {
		return 1
	}
	return 0
}
