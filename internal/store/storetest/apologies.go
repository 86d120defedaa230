package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
	"github.com/psivisionhub/psi-router/internal/store"
)

// apologies: a person who was left gets the flow's message two minutes later, once for each
// message, and only while it is of use.
func apologies(t *testing.T, e Engine) {
	const wait = 2 * time.Minute
	for _, tc := range []struct {
		name   string
		policy flow.AfterOutage
		do     func(*leftCase)
		want   []string // how each reply begins; none: no reply
	}{
		{"only listed", flow.AfterOutageList, func(a *leftCase) { a.stale("hola") }, nil},
		{"an apology", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola") }, []string{"Perdoná"}},
		{"came by a detour", flow.AfterOutageApologize, func(a *leftCase) { a.late("hola") }, []string{"Perdoná"}},
		{"gone dead", flow.AfterOutageApologize, func(a *leftCase) { a.reject("hola") }, []string{"Perdoná"}},
		{"the answer expired", flow.AfterOutageApologize, func(a *leftCase) { a.say("hola"); a.tick(time.Hour); a.claimed() }, []string{"Perdoná"}},
		{"the menu", flow.AfterOutageMenu, func(a *leftCase) { a.stale("hola") }, []string{"Perdoná"}},
		{"the menu, of a closed one", flow.AfterOutageMenu, func(a *leftCase) { a.close(); a.tick(time.Hour); a.stale("hola") }, []string{"Perdoná"}},
		{"a team", flow.AfterOutageHandoff, func(a *leftCase) { a.stale("hola") }, []string{"Perdoná"}},

		{"several words", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.stale("¿están?"); a.late("hola?") }, []string{"Perdoná"}},
		{"may have been sent", flow.AfterOutageApologize, func(a *leftCase) { a.say("hola"); a.send(store.Uncertain) }, nil},
		{"perhaps a robot", flow.AfterOutageApologize, func(a *leftCase) { a.flood() }, nil},
		{"the window is closed", flow.AfterOutageApologize, func(a *leftCase) { a.old(25 * time.Hour) }, nil},
		{"they wrote again", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.say("hola") }, nil},
		{"the team answered from the phone", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.echo(12 * time.Minute) }, nil},
		{"an agent wrote", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.agent() }, nil},
		{"dismissed", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandDismiss) }, nil},
		{"closed", flow.AfterOutageApologize, func(a *leftCase) { a.stale("hola"); a.cmd(router.CommandClose) }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := &leftCase{driver: open(t, e)}
			a.setAfterOutage(tc.policy)
			tc.do(a)
			if len(tc.want) > 0 {
				a.tick(wait - time.Second)
				if n := a.apologize(); n != 0 {
					t.Errorf("%d apologies before their time", n)
				}
			}
			a.tick(wait)
			for range 3 {
				a.apologize()
				a.reopen()
			}
			a.tick(time.Minute)
			a.apologize()
			var got []string
			for _, m := range a.messages(a.id) {
				if m.Reason == router.AfterOutage {
					first, _, _ := strings.Cut(m.Text, " ")
					got = append(got, first)
				}
			}
			if diff := cmp.Diff(got, tc.want); diff != "" {
				t.Errorf("said (-got +want):\n%s", diff)
			}
		})
	}

	t.Run("a notice, which answers nothing", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.setAfterOutage(flow.AfterOutageApologize)
		a.stale("hola")
		a.tick(wait)
		a.apologize()
		if wakes, err := a.UntriedNotices(t.Context(), 10); err != nil || len(wakes) != 1 || wakes[0].Conversation != a.id {
			t.Errorf("got %+v, %v", wakes, err)
		}
		claims := a.claimed()
		if len(claims) != 1 || !claims[0].Post.Notice {
			t.Fatalf("got %+v", claims)
		}
		a.record(claims[0], store.Sent, "out")
		a.counted(true)
		a.stale("¿y?")
		a.tick(wait)
		if n := a.apologize(); n != 1 {
			t.Errorf("%d apologies for another message, want one", n)
		}
	})

	t.Run("a team has a ticket", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.setAfterOutage(flow.AfterOutageHandoff)
		a.stale("hola")
		a.tick(wait)
		a.apologize()
		c := a.conversation(a.id)
		if c.State != router.StateHandedOff || c.Area != "admin" || c.Tag != "caida" || c.Ticket == "" || c.WaitingSince.IsZero() {
			t.Errorf("got %+v", c)
		}
		if said := a.deliver(a.id); len(said) != 1 || !strings.Contains(said[0], c.Ticket) {
			t.Errorf("said %q", said)
		}
		a.counted(false)
	})

	t.Run("the menu is where they are", func(t *testing.T) {
		a := &leftCase{driver: open(t, e)}
		a.setAfterOutage(flow.AfterOutageMenu)
		a.close()
		a.tick(time.Hour)
		a.stale("hola")
		a.tick(wait)
		a.apologize()
		if c := a.conversation(a.id); c.State != router.StateMenu || c.Menu != "principal" {
			t.Errorf("got %+v", c)
		}
		if said := a.deliver(a.id); len(said) != 1 || !strings.Contains(said[0], "¿Con quién querés hablar?") {
			t.Errorf("said %q", said)
		}
		a.say("1")
		if said := a.deliver(a.id); len(said) != 1 || !strings.Contains(said[0], "Administración") {
			t.Errorf("said %q", said)
		}
		a.counted(false)
	})

	t.Run("not sent after all: a team has it and answers", func(t *testing.T) { answeredByTheTeam(t, e) })

	for name, do := range map[string]func(*leftCase){
		"they write again":                  func(a *leftCase) { a.say("hola") },
		"they write again, and are left":    func(a *leftCase) { a.stale("hola") },
		"the team answers from the phone":   func(a *leftCase) { a.echo(time.Second) },
		"the team's answer is heard of now": func(a *leftCase) { a.echo(12 * time.Minute) },
		"an agent writes":                   func(a *leftCase) { a.agent() },
		"dismissed":                         func(a *leftCase) { a.cmd(router.CommandDismiss) },
		"closed":                            func(a *leftCase) { a.cmd(router.CommandClose) },
	} {
		t.Run("not sent after all: "+name, func(t *testing.T) {
			t.Parallel()
			a := &leftCase{driver: open(t, e)}
			a.setAfterOutage(flow.AfterOutageApologize)
			a.stale("hola")
			a.tick(wait)
			a.apologize()
			do(a)
			for _, said := range a.deliver(a.id) {
				if strings.HasPrefix(said, "Perdoná") {
					t.Errorf("said %q", said)
				}
			}
		})
	}
}

// answeredByTheTeam: an apology hands a person to a team. If the team answers before the
// apology leaves, it is not sent.
func answeredByTheTeam(t *testing.T, e Engine) {
	for name, do := range map[string]func(*leftCase){
		"from the phone":                     func(a *leftCase) { a.echo(time.Second) },
		"from the phone, and we hear of now": func(a *leftCase) { a.echo(9 * time.Minute) },
		"as an agent":                        func(a *leftCase) { a.agent() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &leftCase{driver: open(t, e)}
			a.setAfterOutage(flow.AfterOutageHandoff)
			a.stale("hola")
			a.tick(2 * time.Minute)
			a.apologize()
			if got := a.conversation(a.id); got.State != router.StateHandedOff {
				t.Fatalf("got %+v", got)
			}
			a.tick(time.Second)
			do(a)
			for _, said := range a.deliver(a.id) {
				if strings.HasPrefix(said, "Perdoná") {
					t.Errorf("said %q", said)
				}
			}
		})
	}
}

// setAfterOutage sets the flow's policies.after_outage.
func (d *driver) setAfterOutage(policy flow.AfterOutage) {
	d.Helper()
	tree := *d.set.Rules.Flow
	tree.Policies.AfterOutage = policy
	d.set.Rules.Flow = &tree
	d.reopen()
}

// apologize does what the pump does without a backlog.
func (d *driver) apologize() int {
	d.Helper()
	left := d.pump().ApologiesDue
	n, err := d.Apologize(d.Context(), d.now)
	if err != nil || n > 0 && !left {
		d.Fatalf("apologize: %d, %v; the pump said that there was one: %v", n, err, left)
	}
	return n
}
