package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// BenchmarkPlanStack runs the stack of the original plan (Express, BullMQ, five
// queries a message) and this program on the same machine, the same Redis
// settings and the same PostgreSQL, in one run. It needs npm. Use it as
//
//	go test -run '^$' -bench PlanStack -benchtime 1x -timeout 30m ./bench
//
// Guarantees differ, and not in the plan's favour: it neither authenticates nor
// deduplicates, and its five workers reorder the messages of one person.
func BenchmarkPlanStack(b *testing.B) {
	stack := installPlan(b)
	messages := 20_000
	if n, err := strconv.Atoi(os.Getenv("BENCH_MESSAGES")); err == nil {
		messages = n
	}
	relaxed := []string{"appendonly yes", "appendfsync everysec"}
	b.Run("plan/everysec", func(b *testing.B) {
		for b.Loop() {
			r := redistest.Start(b, relaxed...)
			db, pg := planDatabase(b)
			env := []string{"REDIS_PORT=" + port(r.Addr), "DATABASE_URL=" + db, "PGSSLMODE=disable"}
			web := node(b, stack, "webhook.js", append(env, "PORT="+port(porttest.Addr(b)))...)
			web.door(b, messages, redisProcess(b, r))
			web.end(b)
			m := &meter{}
			m.add("redis", redisProcess(b, r))
			m.add("postgres", pg)
			rate := planBacklog(b, stack, env, messages, m)
			b.ReportMetric(rate, "handled/s")
		}
	})
	for _, mode := range []struct{ name, fsync, durability string }{
		{"ours/everysec", "everysec", "relaxed"},
		{"ours/always", "always", "fsync"},
	} {
		b.Run(mode.name, func(b *testing.B) {
			for b.Loop() {
				r := redistest.Start(b, "appendonly yes", "appendfsync "+mode.fsync, "maxmemory-policy noeviction")
				ours := startOurs(b, r.URL(), mode.durability)
				ours.pauseSends(b)
				ours.web.door(b, messages, redisProcess(b, r))
				m := &meter{}
				m.add("redis", redisProcess(b, r))
				m.add("postgres", ours.postgres)
				b.ReportMetric(ours.backlog(b, messages, m), "handled/s")
			}
		})
	}
}

// installPlan copies the plan's stack to a place of its own and installs it.
func installPlan(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	for _, name := range []string{"package.json", "webhook.js", "worker.js", "schema.sql"} {
		src, err := os.ReadFile(filepath.Join("plan-stack", name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), src, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	cmd := exec.CommandContext(b.Context(), "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("npm install: %v\n%s", err, out)
	}
	return dir
}

func planDatabase(b *testing.B) (url string, process int) {
	b.Helper()
	s := pgtest.New(b, pgtest.Options{Durable: true})
	name := s.Database(b)
	schema, err := os.ReadFile("plan-stack/schema.sql")
	if err != nil {
		b.Fatal(err)
	}
	s.Exec(b, name, string(schema))
	return s.TCPURL(name), postmaster(b, s)
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// server is a process that takes webhooks.
type server struct {
	cmd    *exec.Cmd
	url    string
	stdout io.ReadCloser
	bare   bool
}

func node(b *testing.B, dir, script string, env ...string) *server {
	b.Helper()
	s := &server{cmd: exec.Command("node", script), bare: true}
	s.cmd.Dir, s.cmd.Env, s.cmd.Stderr = dir, append(os.Environ(), env...), os.Stderr
	var err error
	if s.stdout, err = s.cmd.StdoutPipe(); err != nil {
		b.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.end(b) })
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PORT="); ok {
			s.url = "http://127.0.0.1:" + p
			lines := bufio.NewScanner(s.stdout)
			if !lines.Scan() {
				b.Fatalf("%s said nothing", script)
			}
		}
	}
	return s
}

func (s *server) end(b *testing.B) {
	b.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	_ = s.cmd.Wait()                          // ended by the signal
}

// door posts the messages on 32 connections and reports how fast they went in, and
// what each cost.
func (s *server) door(b *testing.B, messages, redis int) {
	b.Helper()
	m := &meter{}
	m.add("door-webhook", s.cmd.Process.Pid)
	m.add("door-redis", redis)
	m.start()
	g, err := loadgen.New(loadgen.Options{
		URL: s.url + "/webhook", Secret: appSecret, PhoneNumberID: phoneNumberID, RawValue: s.bare,
		Connections: 32, Conversations: 5_000, Messages: messages, Seed: uint64(time.Now().UnixNano()),
	})
	if err != nil {
		b.Fatal(err)
	}
	r, err := g.Run(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	m.report(b, messages)
	perSecond, _ := r.PerSecond()
	b.ReportMetric(perSecond, "requests/s")
	b.ReportMetric(float64(r.Latency.P50.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(r.Latency.P99.Microseconds())/1000, "p99-ms")
}

// planBacklog starts the plan's five workers on the backlog.
func planBacklog(b *testing.B, dir string, env []string, messages int, m *meter) float64 {
	b.Helper()
	done := make([]int, 5)
	type progress struct{ worker, done int }
	news := make(chan progress)
	for i := range done {
		w := node(b, dir, "worker.js", env...)
		m.add("workers", w.cmd.Process.Pid)
		go func() {
			lines := bufio.NewScanner(w.stdout)
			for lines.Scan() {
				var p struct{ Done int }
				if json.Unmarshal(lines.Bytes(), &p) == nil {
					news <- progress{i, p.Done}
				}
			}
		}()
		defer w.end(b)
	}
	begin := time.Now()
	var first time.Time
	before := 0
	for {
		select {
		case p := <-news:
			done[p.worker] = p.done
		case <-time.After(2 * time.Minute):
			b.Fatal("the plan's workers stopped")
		}
		total := 0
		for _, n := range done {
			total += n
		}
		if first.IsZero() && total > 0 {
			first, before = time.Now(), total // they have started and reported once
			m.start()
		}
		if total >= messages {
			m.report(b, total-before)
			if elapsed := time.Since(first).Seconds(); elapsed > 0.5 {
				return float64(total-before) / elapsed
			}
			return float64(total) / time.Since(begin).Seconds()
		}
	}
}

// ours is one webhook process, and workers that are started for the backlog.
type ours struct {
	bin, config, url string
	web              *server
	postgres         int // its process
}

func startOurs(b *testing.B, redis, durability string) *ours {
	b.Helper()
	wa, err := sandbox.New(sandbox.Options{
		PhoneNumberID: phoneNumberID, AppSecret: appSecret, Token: "bench-token",
		WebhookURL: func() string { return "" }, KeepSent: 1, NoStatuses: true, NoFaults: true, NoPhones: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	graph := httptest.NewServer(wa.Handler())
	b.Cleanup(graph.Close)
	db := pgtest.New(b, pgtest.Options{Durable: true})
	o := &ours{bin: build(b), postgres: postmaster(b, db)}
	o.config, o.url = configure(b, graph.URL+"/sandbox/graph/v26.0",
		"redis_url: "+redis, "database_url: "+db.URL(db.Database(b)), "durability: "+durability, "worker: {concurrency: 2}")
	o.web = o.start(b, "webhook")
	o.web.url = o.url
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if res, err := http.Get(o.url + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return o
			}
		}
		if time.Now().After(deadline) {
			b.Fatal("not ready after 30 s")
		}
	}
}

func (o *ours) start(b *testing.B, role string) *server {
	b.Helper()
	s := &server{cmd: exec.Command(o.bin, "serve", "--config", o.config, "--role", role)}
	s.cmd.Stdout, s.cmd.Stderr = io.Discard, os.Stderr
	if err := s.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.end(b) })
	return s
}

// backlog measures from the first message that is handled to the last, with two
// worker processes, sends paused.
func (o *ours) backlog(b *testing.B, messages int, m *meter) float64 {
	b.Helper()
	p := &program{t: b, url: o.url}
	for range 2 {
		w := o.start(b, "worker")
		defer w.end(b)
		m.add("workers", w.cmd.Process.Pid)
	}
	var first time.Time
	before := 0
	// To ask costs what is measured: only the end is looked at closely.
	pause := 100 * time.Millisecond
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(pause) {
		left, err := p.queue(b.Context(), "inbound")
		if err != nil {
			b.Fatal(err)
		}
		handled := messages - int(left)
		if first.IsZero() && handled > 0 {
			first, before = time.Now(), handled
			m.start()
		}
		if int(left) < messages/20 {
			pause = 10 * time.Millisecond
		}
		if left == 0 {
			m.report(b, messages-before)
			return float64(handled-before) / time.Since(first).Seconds()
		}
		if time.Now().After(deadline) {
			b.Fatalf("%d messages are left after 3 minutes", left)
		}
	}
}

// pauseSends keeps what is decided from being sent, as the plan's workers send
// nothing either. A queue can be paused once a worker has made it.
func (o *ours) pauseSends(b *testing.B) {
	b.Helper()
	w := o.start(b, "worker")
	defer w.end(b)
	for deadline := time.Now().Add(30 * time.Second); !o.post(b, "/api/v1/queues/send:wsp4/pause"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.Fatal("no worker after 30 s")
		}
	}
}

// post is false when there is no such thing.
func (o *ours) post(b *testing.B, path string) bool {
	b.Helper()
	req, err := http.NewRequestWithContext(context.WithoutCancel(b.Context()), http.MethodPost, o.url+path, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNotFound {
		b.Fatalf("%s: %s", path, res.Status)
	}
	return res.StatusCode == http.StatusOK
}
