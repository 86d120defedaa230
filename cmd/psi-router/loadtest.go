package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/loadtest"
	"github.com/psivisionhub/psi-router/internal/servers"
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
	Settle        time.Duration `default:"2m" help:"Wait for what is not done, afterwards."`
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
	Begin        time.Time     `hidden:"" help:"Write from then on."`
	Turns        time.Duration `hidden:"" help:"Write and rest for so long in turn: another run has the machine meanwhile."`
	Second       bool          `hidden:"" help:"With --turns: rest first."`
	Keep         bool          `help:"Keep all files: configuration, databases, logs."`

	Line   string `placeholder:"ID" help:"With --url: line of the configuration to write to."`
	Secret string `placeholder:"SECRET" help:"With --url: app secret; otherwise the line's."`
	Phone  string `name:"phone-number-id" placeholder:"ID" help:"With --url: phone_number_id; otherwise the line's."`
	Graph  string `default:"127.0.0.1:3003" help:"With --url: where answers are taken; the router's graph_url has to be http://127.0.0.1:3003/sandbox/graph/v26.0. off looks at what is stored only."`
	Remote bool   `help:"With --url: allow a router that is not on this machine."`
	Yes    bool   `help:"Do not ask."`

	HTML string `placeholder:"FILE" help:"Write the report with its charts to a file."`
}

// Help implements kong's help.
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

// Run tests and reports.
func (c *loadtestCmd) Run(e *env) error {
	w := loadWordsIn(e.Lang)
	out := e.out
	if e.JSON {
		out = e.err
	}
	if c.Seed == 0 {
		c.Seed = rand.Uint64N(1_000_000) + 1
	}
	var html *os.File
	if c.HTML != "" { // before minutes of load
		var err error
		if html, err = os.Create(c.HTML); err != nil {
			return usage("--html: %w", err)
		}
		defer html.Close()
	}
	o, done, err := c.options(e, w, out)
	if err != nil {
		return err
	}
	defer done()
	view := newLoadView(e, out, w, c, o)
	o.Tell, o.Progress = view.onEvent, view.onProgress
	r, err := loadtest.Run(e.ctx, o)
	view.clear()
	switch {
	case errors.Is(err, loadtest.ErrOptions):
		return usage("%w", err)
	case err != nil && e.ctx.Err() != nil:
		return problem("%s", w.interrupted)
	case err != nil && r.Files != "":
		return problem("%w\n%s %s", err, w.files, r.Files)
	case err != nil:
		return problem("%w", err)
	}
	if html != nil {
		if err := errors.Join(loadtest.HTML(html, r, e.Lang), html.Sync()); err != nil {
			return problem("--html: %w", err)
		}
	}
	if e.JSON {
		if err := e.printJSON(r); err != nil {
			return err
		}
	} else {
		c.print(e.out, w, r, view.style)
	}
	if r.Err() != nil {
		return errSilent
	}
	return nil
}

// options says what to test, and how. done gives back what it opened.
func (c *loadtestCmd) options(e *env, w loadWords, out io.Writer) (o loadtest.Options, done func(), err error) {
	o = loadtest.Options{
		Embedded: c.Embedded, Webhooks: c.Webhooks, Workers: c.Workers, SlowPostgres: c.SlowPostgres, RestartRedis: c.RestartRedis, Keep: c.Keep,
		CRM: c.CRM, CRMStays: c.CRMStays, DropResponses: c.Cuts, BackoffSpeedup: c.Hurry, WarmUp: c.Warm,
		Begin: c.Begin, Alternate: loadgen.Alternation{Slice: c.Turns, Second: c.Second},
		Rate: c.Rate, Burst: c.Burst, Messages: c.Messages, Duration: c.Duration, Conversations: c.Conversations,
		Connections: c.Connections, Batch: c.Batch, Duplicates: c.Duplicates, Statuses: c.Statuses, Script: c.Script, Settle: c.Settle, Seed: c.Seed,
	}
	if e.urlGiven { // PSI_URL is for looking: nobody means that by it
		o.Target, done, err = c.target(e, w)
		return o, done, err
	}
	if o.Program, err = os.Executable(); err != nil {
		return o, nil, problem("find this program: %w", err)
	}
	if missing := errors.Join(servers.HaveRedis(), servers.HavePostgres()); !c.Embedded && missing != nil {
		if c.SlowPostgres > 0 || c.RestartRedis {
			return o, nil, problem("%w", missing)
		}
		c.Embedded, o.Embedded = true, true
		fmt.Fprintf(out, "%s\n%s\n\n", w.fallback, strings.ReplaceAll(missing.Error(), "\n", "; "))
	}
	return o, func() {}, nil
}

// target is the router at --url.
func (c *loadtestCmd) target(e *env, w loadWords) (*loadtest.Target, func(), error) {
	cfg, err := e.localConfig()
	if err != nil {
		return nil, nil, err
	}
	u, err := url.Parse(e.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, usage("--url %q is no http(s) address: write one such as http://127.0.0.1:3002", e.URL)
	}
	t := &loadtest.Target{URL: strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(e.URL, "/"), apiPrefix), "/webhook"), Line: c.Line}
	line := cfg.Lines[cmp.Or(c.Line, config.DevLine)]
	if line == nil && (c.Line != "" || c.Secret == "" || c.Phone == "") {
		return nil, nil, usage("which line? Give --line, one of %s, with the --config that holds its secrets", strings.Join(cfg.LineIDs(), ", "))
	}
	if line != nil {
		if line.Provider != "cloud" {
			return nil, nil, usage("line %s is not of Meta: this writes as Meta does", line.ID)
		}
		t.Line, t.Secret, t.PhoneNumberID, t.Token = line.ID, line.AppSecret.First(), line.PhoneNumberID, line.Token.First()
	}
	t.Secret, t.PhoneNumberID = cmp.Or(c.Secret, t.Secret), cmp.Or(c.Phone, t.PhoneNumberID)
	if c.Graph != "off" {
		t.Graph = c.Graph
	}
	if !loopback(u.Hostname()) {
		if err := c.confirmRemote(e, w, t.URL); err != nil {
			return nil, nil, err
		}
	}
	t.API = loadgen.API{URL: t.URL, Key: cmp.Or(e.Key, config.DevAPIKey)}
	if e.Key != "" || !loopback(u.Hostname()) {
		return t, func() {}, nil
	}
	// The router of this data_dir can be asked without a key.
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
	return t, func() { _ = api.close() }, nil // it was only read
}

// confirmRemote asks before a router elsewhere gets the load.
func (c *loadtestCmd) confirmRemote(e *env, w loadWords, at string) error {
	if !c.Remote {
		return usage(w.remote, at)
	}
	if c.Yes {
		return nil
	}
	if !e.interactive() {
		return usage("%s", w.yes)
	}
	host := at
	if u, err := url.Parse(at); err == nil {
		host = u.Hostname()
	}
	e.printf(w.confirm, at, host)
	answer, err := bufio.NewReader(e.in).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != host {
		return problem("%s", w.refused)
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

// print is the report for people.
func (c *loadtestCmd) print(out io.Writer, w loadWords, r loadtest.Report, style func(code, s string) string) {
	row := func(name, value, code, more string) {
		fmt.Fprintf(out, "  %-14s %s  %s\n", name, style(code, fmt.Sprintf("%9s", value)), style(dim, more))
	}
	count := func(name string, n int, more string) { row(name, thousands(int64(n)), "", more) }
	verdict := func(name string, n int) {
		code := green
		if n > 0 {
			code = red
		}
		row(name, thousands(int64(n)), code, "")
	}
	fmt.Fprintln(out)
	row(w.requests, thousands(r.Requests), "", fmt.Sprintf(w.requestsMore, r.PerSecond, r.Wrote, r.Repeated, r.Retried))
	count(w.messages, r.Accepted, fmt.Sprintf(w.messagesMore, thousands(r.Statuses), r.Unsure, r.GaveUp))
	count(w.stored, r.Stored, fmt.Sprintf(w.storedMore, r.Late))
	if r.Blind {
		row(w.answers, "–", yellow, w.blind)
	} else {
		count(w.answers, r.Answers, fmt.Sprintf(w.answersMore, r.Uncertain, r.Failed))
	}
	verdict(w.lost, r.Lost)
	verdict(w.doubled, r.Doubled)
	verdict(w.reordered, r.Reordered)
	verdict(w.unanswered, r.Unanswered)
	if c := r.CRM; c != nil {
		count(w.events, c.Taken, fmt.Sprintf(w.eventsMore, thousands(int64(c.Waited)), c.Back, c.Repeated, c.Refused))
		verdict(w.eventsLost, c.Lost+c.Doubled)
		verdict(w.eventsReordered, c.Reordered)
	}
	if r.Cut > 0 {
		count(w.cut, int(r.Cut), "")
	}
	if m := r.Memory; m.Router > 0 {
		row(w.memory, fmt.Sprintf("%.0f MB", float64(m.Router)/1e6), "", fmt.Sprintf(w.memoryMore, float64(m.Redis)/1e6))
	}
	fmt.Fprintf(out, "\n  %-14s %9s %9s %9s %9s %9s\n", "", "p50", "p90", "p99", "p99.9", w.most)
	for _, l := range []struct {
		name string
		loadtest.Latency
	}{{w.webhook, r.Webhook}, {w.reply, r.Reply}} {
		if l.Count > 0 {
			fmt.Fprintf(out, "  %-14s %9s %9s %9s %9s %9s\n", l.name, span(l.P50), span(l.P90), span(l.P99), span(l.P999), span(l.Max))
		}
	}
	if r.Rate > 0 {
		fmt.Fprintf(out, "  %s\n", style(dim, w.honest))
	}
	fmt.Fprintln(out)
	if r.Stolen >= 0.01 {
		fmt.Fprintf(out, "  %s %s\n", style(yellow, "!"), stolen(w, r))
	}
	if r.Missed > 0 {
		fmt.Fprintf(out, "  %s %s\n", style(yellow, "!"), fmt.Sprintf(w.missed, thousands(r.Missed)))
	}
	for status, n := range r.Refusals {
		fmt.Fprintf(out, "  %s %s\n", style(yellow, "!"), fmt.Sprintf(w.refusal, thousands(n), status))
	}
	for _, line := range append(append([]string{}, r.Notes...), r.Wrong...) {
		fmt.Fprintf(out, "  %s %s\n", style(red, "✗"), oneLine(line, 300))
	}
	switch {
	case r.Err() != nil:
		fmt.Fprintf(out, "%s %s\n", style(red, "✗"), w.broken)
	case r.Interrupted:
		fmt.Fprintf(out, "%s %s\n", style(green, "✓"), w.keptShort)
	default:
		fmt.Fprintf(out, "%s %s\n", style(green, "✓"), w.kept)
	}
	if c.HTML != "" {
		fmt.Fprintf(out, "%s %s\n", w.html, c.HTML)
	}
	if r.Files != "" {
		fmt.Fprintf(out, "%s %s\n", w.files, r.Files)
	}
}

// stolen tells of a machine that shares its processors, and what was measured while
// it had them for itself.
func stolen(w loadWords, r loadtest.Report) string {
	text := fmt.Sprintf(w.stolen, r.Stolen*100)
	if c := r.Calm; c != nil {
		text += fmt.Sprintf(w.calm, c.Seconds, span(c.Webhook.P99))
		if c.Reply.Count > 0 {
			text += fmt.Sprintf(w.calmReply, span(c.Reply.P50), span(c.Reply.P99))
		}
	}
	return text
}

// span is milliseconds as people read them.
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
