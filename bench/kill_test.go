package bench

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
)

// TestKill kills the router under load at random moments and starts it again. Afterwards
// every message that got a 200 is stored once, in order, and answered once. An answer whose
// post was under way when the process died is uncertain, and is not posted again.
func TestKill(t *testing.T) {
	kills := 5
	if os.Getenv("PSI_PROOF") != "" {
		kills = 50
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))

	p := start(t, cluster.Options{Program: build(t), Embedded: true, Record: 1 << 20})
	gen, err := loadgen.New(loadgen.Options{
		URL: p.url + "/webhook", Secret: p.Secret, PhoneNumberID: cluster.PhoneNumberID,
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
		// This waits for nothing: it chooses the moment of the fault.
		time.Sleep(time.Duration(100+random.IntN(900)) * time.Millisecond)
		p.restart()
	}
	stop()
	report := <-reports

	// Jobs claimed by a dead process are due again at once. A row that lost its wake-up waits
	// for the pump, at most a minute.
	p.waitFor(3*time.Minute, "quiet", func() bool {
		stats, err := p.api.Stats(t.Context())
		return err == nil && stats.Depth == 0 && stats.Pending == 0
	})
	all, err := p.api.Rows(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stats, err := p.api.Stats(t.Context()); err != nil || stats.Dead != 0 {
		t.Errorf("dead letters: got %d (%v), want 0", stats.Dead, err)
	}
	p.Shutdown()

	var posts []loadgen.Post
	for _, s := range p.WhatsApp.Sent() {
		posts = append(posts, loadgen.Post{Ref: s.Ref, ProviderID: s.ID})
	}
	verdict := loadgen.Verify(loadgen.Evidence{Messages: report.Messages(), Rows: all, Posts: posts, Replies: replies})
	t.Logf("%d kills: %d accepted, %d unsure, %d stored, %d sent, %d uncertain, %d failed, %d posts repeated by the sender",
		kills, verdict.Accepted, verdict.Unsure, verdict.Stored, verdict.Sent, verdict.Uncertain, verdict.Failed, report.Retried)
	if err := verdict.Err(); err != nil {
		t.Error(err)
	}
	if verdict.Accepted < 100 {
		t.Errorf("only %d messages were accepted: this proves nothing", verdict.Accepted)
	}
}

// replies is the number of answers that each line of the script deserves: the menu, the
// submenu, the ticket. Then the person is with a team, and the router is silent.
func replies(m loadgen.Message) int {
	if m.N < 3 {
		return 1
	}
	return 0
}
