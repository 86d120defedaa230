package rehearse

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// TestStolenTicks: only a complete first line of /proc/stat counts.
func TestStolenTicks(t *testing.T) {
	t.Parallel()
	const before = "cpu  100 0 50 800 10 0 20 20 7 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n"
	for text, want := range map[string]float64{
		"cpu  150 0 60 830 10 0 20 30 9 0\n": 0.1,
		"cpu  150 0 60 840 10 0 20 20 9 0\n": 0,
		before:                               0,
		"cpu  1 0 1 1 1 0 1 9 0 0\n":         0, // the machine has restarted
		"cpu  1 2 3 4\n":                     0, // an old kernel
		"cpu  a b c d e f g h\n":             0,
		"":                                   0,
	} {
		if got := parseTicks(text).stolenSince(parseTicks(before)); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

// TestCalmSeconds: a second is calm up to 2 % stolen time, and counts only with a
// measurement. Without any calm second there is no figure.
func TestCalmSeconds(t *testing.T) {
	t.Parallel()
	var webhook, reply loadgen.Durations
	webhook.AddCurve([]loadgen.Bucket{{Until: 2 * time.Millisecond, Count: 99}, {Until: 8 * time.Millisecond, Count: 1}})
	reply.Add(60 * time.Millisecond)
	some := Latency{Count: 1}
	series := []Second{{Webhook: some}, {Webhook: some, Stolen: 0.02}, {Webhook: some, Stolen: 0.021}, {}}
	c := calmly(series, &webhook, &reply)
	if c == nil || c.Seconds != 2 || c.Webhook.Count != 100 || c.Webhook.P50 > 2.1 || c.Webhook.P99 < 7 || c.Reply.Count != 1 {
		t.Errorf("got %+v", c)
	}
	if c := calmly(series[2:], &webhook, &reply); c != nil {
		t.Errorf("got %+v without a second", c)
	}
}

// TestOnlyCalmSecondsCount: a webhook's latency in a second that was not calm is in no calm
// figure, and neither is the reply to a message due in it.
func TestOnlyCalmSecondsCount(t *testing.T) {
	t.Parallel()
	one := &rehearsal{Options: Options{Progress: func(Progress) {}}}
	for i, stolen := range []int64{0, 1 << 39} {
		now := machineTicks()
		one.machine = ticks{all: now.all - 1<<40, stolen: now.stolen - stolen} // so many that the really stolen ticks do not matter
		one.progress(loadgen.Progress{Elapsed: time.Duration(i+1) * time.Second, RecentCurve: []loadgen.Bucket{{Until: time.Duration(i+1) * time.Millisecond, Count: 10}}})
	}
	if len(one.series) != 2 || one.series[0].Stolen > 0.001 || one.series[1].Stolen < 0.4 {
		t.Fatalf("got %+v", one.series)
	}
	if l := one.calm.Latency(); l.Count != 10 || l.Max > 1100*time.Microsecond {
		t.Errorf("webhook: got %+v", l)
	}

	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer hook.Close()
	gen, err := loadgen.New(loadgen.Options{URL: hook.URL, Secret: "secret", PhoneNumberID: "1", Connections: 1, Conversations: 4, Messages: 4, Rate: 1000})
	if err != nil {
		t.Fatal(err)
	}
	load, err := gen.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var rows []loadgen.Row
	for m := range load.Messages() { // due at 0, 1, 2 and 3 ms
		took := 50 * time.Millisecond
		if m.Conversation > 1 {
			took = 900 * time.Millisecond
		}
		one.sent = append(one.sent, sandbox.Sent{Ref: m.Person, ID: "wamid." + m.Person, At: m.Due.Add(took)})
		rows = append(rows, loadgen.Row{Direction: "inbound", Conversation: m.Person, ProviderID: m.ID}, loadgen.Row{Direction: "outbound", Conversation: m.Person, ID: m.Person})
	}
	some := Latency{Count: 2}
	r := LoadReport{Series: []Second{{At: 0.0015, Webhook: some}, {At: 5, Webhook: some, Stolen: 0.3}}}
	one.replies(&r, load, rows)
	if r.Reply.Count != 4 || r.Calm == nil || r.Calm.Seconds != 1 || r.Calm.Reply.Count != 2 || r.Calm.Reply.Max > 60 {
		t.Errorf("replies: got %+v of all, calm %+v", r.Reply, r.Calm)
	}
}
