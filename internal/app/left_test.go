package app

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestNobodyIsLeftUnknown: webhooks were down for 25 minutes, 40 people wrote, and WhatsApp
// redelivers several times. Nobody is answered twice; everybody is in the list with the
// reason, in one alert, and gets the flow's apology once. A person who wrote again
// meanwhile was answered, and gets no apology.
func TestNobodyIsLeftUnknown(t *testing.T) {
	db := pgtest.New(t, pgtest.Options{})
	servers := []string{"PSI_SANDBOX=true", "PSI_DATABASE_URL=" + db.URL(db.Database(t)), "PSI_REDIS_URL=" + redistest.Start(t, redistest.AOF...).URL()}
	for name, tc := range map[string]struct {
		policy, said string
		env          []string
	}{
		"list":                  {"list", "", nil},
		"apologize":             {"apologize", "Perdoná la demora", nil},
		"menu":                  {"menu", "Con quién querés hablar", nil},
		"handoff, with servers": {"handoff", "PSI-", servers},
	} {
		t.Run(name, func(t *testing.T) {
			policy, said := tc.policy, tc.said
			got := &alertInbox{}
			hook := httptest.NewServer(got)
			t.Cleanup(hook.Close)
			r := startFast(t, roleAll, append(tc.env, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+t.TempDir(), "PSI_FLOW="+flowAfter(t, policy), "PSI_ALERTS_URL="+hook.URL)...)
			const people, again = 40, 40 // person 40 is the 41st, who writes again
			down := time.Now().Add(-25 * time.Minute)
			deliver := func() {
				t.Helper()
				for i := range people + 1 {
					if err := r.postOf(down, fmt.Sprintf("54911555506%02d", i), fmt.Sprint("wamid.", i), "hola", http.StatusOK); err != nil {
						t.Fatal(err)
					}
				}
			}
			deliver()
			back := fmt.Sprintf("54911555506%02d", again)
			r.write(back, "wamid.again", "hola")
			deliver()

			post := got.wait(t, "left", "firing")
			if post.Command != "psi-router left" {
				t.Errorf("got %+v", post)
			}
			r.messages(back, answered(1, "Con quién querés hablar"))
			if policy == "list" {
				r.leftAre(people)
			}
			for i := range people {
				_, all := r.messages(fmt.Sprintf("54911555506%02d", i), func(all []message) bool {
					return said == "" || answered(1, said)(all)
				})
				if all[0].Reason != "stale" || len(all) > 2 || said == "" && len(all) != 1 {
					t.Errorf("%d: got %+v", i, all)
				}
			}
			deliver()
			switch policy {
			case "handoff":
				var page struct {
					Items []struct{ Area, Tag, Ticket string }
				}
				r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations?state=handed_off&limit=200", &page)
				for _, c := range page.Items {
					if c.Area != "revisar" || c.Tag != "caida" || c.Ticket == "" {
						t.Errorf("got %+v", c)
					}
				}
				if len(page.Items) != people {
					t.Errorf("%d have a team, want %d", len(page.Items), people)
				}
				r.leftAre(0)
				got.wait(t, "left", "over")
			default:
				r.leftAre(people) // until they are answered
			}
			r.messages(back, answered(1, "Con quién querés hablar"))
			got.mu.Lock()
			defer got.mu.Unlock()
			n := 0
			for _, c := range got.all {
				if c.Rule == "left" && c.Status == "firing" {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d alerts, want one", n)
			}
		})
	}
}

// flowAfter returns PSI's flow with another after_outage policy.
func flowAfter(t *testing.T, policy string) string {
	t.Helper()
	src, err := os.ReadFile("../../flows/psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	out := bytes.Replace(src, []byte("after_outage: list"), []byte("after_outage: "+policy), 1)
	file := filepath.Join(t.TempDir(), "flow.yaml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// leftAre waits until so many people are in the list, all of them stale.
func (r *testRouter) leftAre(want int) {
	r.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var page struct {
			Items []struct{ Left *struct{ Reason string } }
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations?left=true&limit=200", &page)
		fits := len(page.Items) == want
		for _, c := range page.Items {
			fits = fits && c.Left != nil && c.Left.Reason == "stale"
		}
		if fits {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d were left: %+v, want %d", len(page.Items), page.Items, want)
		}
	}
}
