package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/rehearse"
)

type loadtestCmd struct {
	Rate          float64       `default:"100" help:"Webhook requests a second; 0 posts the next one as soon as the last is answered."`
	Duration      time.Duration `default:"30s" help:"Write for so long; 0 until --messages, or Ctrl-C."`
	Messages      int           `help:"Stop after so many messages; 0 is no bound."`
	Conversations int           `default:"1000" help:"People who write."`
	Connections   int           `default:"64" help:"Requests under way at once, at most."`
	Batch         int           `default:"1" help:"Messages and statuses in one request."`
	Burst         int           `default:"1" help:"Requests that leave together, at the same rate."`
	Duplicates    float64       `default:"0.01" help:"Part of the requests that comes twice, 0 to 1."`
	Statuses      int           `default:"3" help:"Statuses that follow an answer: sent, delivered, read."`
	Script        []string      `placeholder:"TEXT" help:"What people write, line after line, over and over (\"menú\", \"1\")."`
	Settle        time.Duration `default:"2m" help:"Afterwards wait so long for unfinished work."`
	Seed          uint64        `help:"Decides who writes; otherwise a new one."`

	Embedded     bool          `help:"One process on SQLite, without Redis and PostgreSQL."`
	Webhooks     int           `default:"1" help:"Webhook processes."`
	Workers      int           `default:"2" help:"Worker processes."`
	SlowPostgres time.Duration `placeholder:"TIME" help:"Each call to PostgreSQL takes so much longer."`
	RestartRedis bool          `help:"Kill Redis in the middle, and start it again."`
	CRM          []string      `name:"crm" placeholder:"WAY" help:"Put a CRM beside the router that gets every event and works, is slow, fails, hangs or is gone (works,slow,fails,hangs,gone; several share the duration). Then it works, and every event is asked for."`
	Cuts         int           `placeholder:"N" help:"WhatsApp takes one answer in N, breaks the connection instead of saying so, and reports what became of it."`
	CRMStays     bool          `name:"crm-stays" hidden:"" help:"Leave the CRM as it is in the end, and do not wait for events."`
	Hurry        float64       `hidden:"" help:"Back-offs pass so many times faster."`
	Warm         time.Duration `hidden:"" help:"Count no latency for so long at first."`
	Keep         bool          `help:"Keep all files: configuration, databases, logs."`

	Line   string `placeholder:"ID" help:"With --url: line of the configuration to write to."`
	Secret string `placeholder:"SECRET" help:"With --url: app secret; otherwise the line's."`
	Phone  string `name:"phone-number-id" placeholder:"ID" help:"With --url: phone_number_id; otherwise the line's."`
	Graph  string `default:"127.0.0.1:3003" help:"With --url: where answers are taken; the router's graph_url has to be http://127.0.0.1:3003/sandbox/graph/v26.0. off looks at what is stored only."`
	Remote bool   `help:"With --url: allow a router that is not on this machine."`
	Yes    bool   `help:"Do not ask."`

	HTML string `placeholder:"FILE" help:"Write the report with its charts to a file."`
}

func (loadtestCmd) Help() string {
	return `It writes as Meta does, signed: messages of many people, three statuses to each answer, batches, repeats, bursts. It takes the answers as WhatsApp would, and in the end asks for every id: what was lost, doubled or reordered, and how long the webhook and people had to wait. At a rate, time counts from when a request was due, not from when somebody was free to post it.

Without --url it sets up a router of its own, which is thrown away; yours is not touched. With --url the one that runs there gets real conversations, of numbers that do not exist. Point its graph_url at this program first: otherwise its answers leave for the real WhatsApp.

Ctrl-C ends the writing and prints the report of what was done; a second one ends at once. It exits with 1 when something was lost, doubled, reordered or left unanswered.

Examples:
  psi-router loadtest
  psi-router loadtest --rate 300 --duration 2m --html report.html
  psi-router loadtest --rate 0 --messages 20000 --embedded
  psi-router loadtest --rate 500 --duration 5m --workers 4 --slow-postgres 300ms --restart-redis
  psi-router loadtest --rate 300 --crm slow,fails,hangs,gone --cuts 20
  psi-router loadtest --url http://127.0.0.1:3002 --config psi-router.yaml --line wsp4
  psi-router loadtest --json > loadtest.json`
}

func (c *loadtestCmd) Run(e *env) error {
	v := e.rehearsal(loadFallback, loadInterrupted)
	v.nameWidth, v.valueWidth, v.number = 14, 9, thousands
	var html *os.File
	if c.HTML != "" { // fail before minutes of load
		var err error
		if html, err = os.Create(c.HTML); err != nil {
			return usage("--html: %w", err)
		}
		defer html.Close()
	}
	o, done, err := c.options(v)
	if err != nil {
		return err
	}
	defer done()
	c.describe(v, o)
	return v.run(o, func(r rehearse.Report) error {
		if html == nil {
			return nil
		}
		if err := errors.Join(rehearse.HTML(html, r, e.Lang), html.Sync()); err != nil {
			return problem("--html: %w", err)
		}
		return nil
	}, func(r rehearse.Report) { c.print(v, r) })
}

// options returns what to test, and how. done closes what options opened.
func (c *loadtestCmd) options(v *rehearsal) (o rehearse.Options, done func(), err error) {
	o = rehearse.Options{
		Webhooks: c.Webhooks, Workers: c.Workers, SlowPostgres: c.SlowPostgres, RestartRedis: c.RestartRedis, Keep: c.Keep,
		CRM: c.CRM, CRMStays: c.CRMStays, DropResponses: c.Cuts, BackoffSpeedup: c.Hurry, Duration: c.Duration, Settle: c.Settle,
		Load: loadgen.Options{
			Rate: c.Rate, Burst: c.Burst, Messages: c.Messages, Conversations: c.Conversations, Connections: c.Connections, Batch: c.Batch,
			Duplicates: c.Duplicates, Statuses: c.Statuses, Script: c.Script, Seed: seedOr(c.Seed), WarmUp: c.Warm,
		},
	}
	if v.e.urlGiven { // PSI_URL is meant for reading: it never chooses a target for load
		o.Embedded = c.Embedded
		o.Target, done, err = c.target(v)
		return o, done, err
	}
	o.Program, o.Embedded, err = v.program(c.Embedded, c.SlowPostgres > 0 || c.RestartRedis)
	return o, func() {}, err
}

// describe sets the texts that are shown while the test runs.
func (c *loadtestCmd) describe(v *rehearsal, o rehearse.Options) {
	where := v.say(loadServers, c.Webhooks, c.Workers)
	switch {
	case o.Target != nil:
		where = o.Target.URL
	case o.Embedded:
		where = v.say(loadEmbedded)
	}
	pace := v.say(loadClosed)
	if c.Rate > 0 {
		pace = v.say(loadRate, c.Rate)
	}
	v.title = v.say(loadTitle, o.Load.Seed, where, pace, c.Conversations)
	if o.Target != nil && o.Target.Graph != "" {
		v.title += v.say(loadGraph, "http://"+o.Target.Graph+"/sandbox/graph/v26.0")
	}
	ms := func(d time.Duration) string {
		if d == 0 { // nothing happened in the last second
			return "–"
		}
		return span(d.Seconds() * 1000)
	}
	v.fault = func(ev rehearse.Event) (text, mark string) {
		way, crm := strings.CutPrefix(ev.Fault, rehearse.CRMFault)
		switch {
		case crm:
			code := yellow
			if way == cluster.CRMWorks {
				code = green
			}
			return v.say(loadCrm) + ": " + v.say(crmTexts[way]), v.style(code, "~")
		case ev.What != "redis": // this fault lasts as long as the test
			return "", ""
		case ev.Over:
			return v.say(loadRedisUp), v.style(green, "+")
		}
		return v.say(loadRedisDown), v.style(yellow, "-")
	}
	v.figures = func(p rehearse.Progress) []string {
		router := v.say(rehearsalSilent)
		if p.Known {
			router = v.say(loadRouter, thousands(p.Depth), thousands(p.Pending), p.Dead)
		}
		lines := []string{
			v.say(loadPosted, thousands(p.Requests), p.RequestsPerSecond, thousands(p.Messages), thousands(p.Statuses)),
			v.say(loadWaited, ms(p.Recent.P50), ms(p.Recent.P99), ms(p.Latency.Max)),
			v.say(loadTaken, thousands(p.Answers), p.AnswersPerSecond, ms(p.Reply.P50), ms(p.Reply.P99)),
			router,
		}
		if v.live {
			lines = append(lines, v.say(loadCurve)+" "+sparkline(v.waits, min(60, v.width()-20)))
		}
		return lines
	}
}

// target describes the router at --url.
func (c *loadtestCmd) target(v *rehearsal) (*rehearse.Target, func(), error) {
	e := v.e
	cfg, err := e.localConfig()
	if err != nil {
		return nil, nil, err
	}
	u, err := e.parseURL()
	if err != nil {
		return nil, nil, err
	}
	t := &rehearse.Target{URL: strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(e.URL, "/"), apiPrefix), "/webhook"), Line: c.Line}
	line := cfg.Lines[cmp.Or(c.Line, config.DevLine)]
	if line == nil && (c.Line != "" || c.Secret == "" || c.Phone == "") {
		return nil, nil, usage("which line? Give --line, one of %s, with the --config that holds its secrets", strings.Join(cfg.LineIDs(), ", "))
	}
	if line != nil {
		if line.Provider != "cloud" {
			return nil, nil, usage("line %s is not on Meta's Cloud API: loadtest writes as Meta does", line.ID)
		}
		t.Line, t.Secret, t.PhoneNumberID, t.Token = line.ID, line.AppSecret.First(), line.PhoneNumberID, line.Token.First()
	}
	t.Secret, t.PhoneNumberID = cmp.Or(c.Secret, t.Secret), cmp.Or(c.Phone, t.PhoneNumberID)
	if c.Graph != "off" {
		t.Graph = c.Graph
	}
	if !loopback(u.Hostname()) {
		if err := c.confirmRemote(v, t.URL, u.Hostname()); err != nil {
			return nil, nil, err
		}
	}
	t.API = loadgen.API{URL: t.URL, Key: cmp.Or(e.Key, config.DevAPIKey)}
	if e.Key != "" || !loopback(u.Hostname()) {
		return t, func() {}, nil
	}
	// The router in data_dir answers its socket without a key.
	local := *e.globals
	local.URL = ""
	here := *e
	here.globals = &local
	api, err := here.client()
	if err != nil {
		return t, func() {}, nil //nolint:nilerr // then by the key of the sandbox
	}
	if api.base == "http://router" && webhookURL("", cfg.Listen) == t.URL+"/webhook" {
		t.API = loadgen.API{URL: api.base, Client: api.http}
	}
	return t, func() { _ = api.close() }, nil // nothing was written
}

// confirmRemote asks before a router on another machine gets the load.
func (c *loadtestCmd) confirmRemote(v *rehearsal, at, host string) error {
	if !c.Remote {
		return usage("%s", v.say(loadRemote, at))
	}
	if c.Yes {
		return nil
	}
	if !v.e.interactive() {
		return usage("%s", v.say(loadYes))
	}
	v.e.printf("%s", v.say(loadConfirm, at, host))
	answer, err := bufio.NewReader(v.e.in).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != host {
		return problem("%s", v.say(loadRefused))
	}
	return nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (c *loadtestCmd) print(v *rehearsal, r rehearse.Report) {
	fmt.Fprintln(v.out)
	v.count(loadRequests, r.Requests, v.say(loadRequestsMore, r.PerSecond, r.Wrote, r.Repeated, r.Retried))
	v.count(loadMessages, int64(r.Accepted), v.say(loadMessagesMore, thousands(r.Statuses), r.Unsure, r.GaveUp))
	v.count(loadStored, int64(r.Stored), v.say(loadStoredMore, r.Late))
	if r.Blind {
		v.row(rehearsalAnswers, "–", yellow, v.say(loadBlind))
	} else {
		v.count(rehearsalAnswers, int64(r.Answers), v.say(loadAnswersMore, r.Uncertain, r.Failed))
	}
	v.verdict(rehearsalLost, r.Lost)
	v.verdict(rehearsalDoubled, r.Doubled)
	v.verdict(rehearsalReordered, r.Reordered)
	v.verdict(rehearsalUnanswered, r.Unanswered)
	if c := r.CRM; c != nil {
		v.count(loadEvents, int64(c.Taken), v.say(loadEventsMore, thousands(int64(c.Waited)), c.Back, c.Repeated, c.Refused))
		v.verdict(loadEventsLost, c.Lost+c.Doubled)
		v.verdict(loadEventsReordered, c.Reordered)
	}
	if r.Cut > 0 {
		v.count(loadCut, r.Cut, "")
	}
	if m := r.Memory; m.Router > 0 {
		v.row(loadMemory, fmt.Sprintf("%.0f MB", float64(m.Router)/1e6), "", v.say(loadMemoryMore, float64(m.Redis)/1e6))
	}
	waits := func(name, p50, p90, p99, p999, most string) {
		fmt.Fprintf(v.out, "  %-14s %9s %9s %9s %9s %9s\n", name, p50, p90, p99, p999, most)
	}
	fmt.Fprintln(v.out)
	waits("", "p50", "p90", "p99", "p99.9", v.say(loadMost))
	for i, l := range []rehearse.Latency{r.Webhook, r.Reply} {
		if l.Count > 0 {
			waits(v.say([]lang.Text{loadWebhook, loadReply}[i]), span(l.P50), span(l.P90), span(l.P99), span(l.P999), span(l.Max))
		}
	}
	if r.Rate > 0 {
		fmt.Fprintf(v.out, "  %s\n", v.style(dim, v.say(loadHonest)))
	}
	fmt.Fprintln(v.out)
	warn := func(text string) { fmt.Fprintf(v.out, "  %s %s\n", v.style(yellow, "!"), text) }
	if r.Stolen >= 0.01 {
		warn(v.stolen(r))
	}
	if r.Missed > 0 {
		warn(v.say(loadMissed, thousands(r.Missed)))
	}
	for status, n := range r.Refusals {
		warn(v.say(loadRefusal, thousands(n), status))
	}
	kept := v.say(loadKept)
	if r.Interrupted {
		kept = v.say(loadKeptShort)
	}
	v.conclude(r, kept, v.say(loadBroken))
	if c.HTML != "" {
		fmt.Fprintf(v.out, "%s %s\n", v.say(loadHtml), c.HTML)
	}
}

// stolen reports the CPU time that other machines took, and the latencies of the seconds
// without such theft.
func (v *rehearsal) stolen(r rehearse.Report) string {
	text := v.say(loadStolen, r.Stolen*100)
	if c := r.Calm; c != nil {
		text += v.say(loadCalm, c.Seconds, span(c.Webhook.P99))
		if c.Reply.Count > 0 {
			text += v.say(loadCalmReply, span(c.Reply.P50), span(c.Reply.P99))
		}
	}
	return text
}

// span formats milliseconds for people.
func span(ms float64) string {
	switch {
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0f ms", ms)
	case ms < 100_000:
		return fmt.Sprintf("%.1f s", ms/1000)
	default:
		return fmt.Sprintf("%.0f s", ms/1000)
	}
}

// sparkline draws the newest values as bars.
func sparkline(values []float64, most int) string {
	values = values[max(0, len(values)-max(most, 1)):]
	top := 1.0
	for _, v := range values {
		top = max(top, v)
	}
	var b strings.Builder
	for _, v := range values {
		b.WriteRune([]rune("▁▂▃▄▅▆▇█")[min(7, int(v/top*8))])
	}
	if len(values) > 0 {
		b.WriteString(" ≤ " + span(top))
	}
	return b.String()
}
