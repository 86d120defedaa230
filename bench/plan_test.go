package bench

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// BenchmarkPlanStack runs the stack of the original plan (Express, BullMQ, five queries a
// message) and this program in one run, with the same machine, Redis settings and
// PostgreSQL. It needs npm. Run it as
//
//	go test -run '^$' -bench PlanStack -benchtime 1x -timeout 30m ./bench
//
// The plan promises less: it neither authenticates nor deduplicates, and its five workers
// reorder the messages of a person.
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
			door(b, web.url, "nobody looks at it", true, messages, web.cmd.Process.Pid, r.PID())
			web.end(b)
			m := &meter{}
			m.add("redis", r.PID())
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
				p := startOurs(b, mode.fsync, mode.durability)
				door(b, p.url, p.Secret, false, messages, p.node.PID(), p.Redis.PID())
				m := &meter{}
				m.add("redis", p.Redis.PID())
				m.add("postgres", p.Postgres.PID())
				b.ReportMetric(p.backlog(b, messages, m), "handled/s")
			}
		})
	}
}

// installPlan installs the plan's stack in its own directory.
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
	return s.TCPURL(name), s.PID()
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

// server is a process that accepts webhooks.
type server struct {
	cmd    *exec.Cmd
	url    string
	stdout io.ReadCloser
}

func node(b *testing.B, dir, script string, env ...string) *server {
	b.Helper()
	s := &server{cmd: exec.Command("node", script)}
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
				b.Fatalf("%s printed nothing", script)
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

// door posts the messages on 32 connections, raw or as Meta does, and reports the rate and
// the CPU time of each.
func door(b *testing.B, url, secret string, bare bool, messages, webhook, redis int) {
	b.Helper()
	m := &meter{}
	m.add("door-webhook", webhook)
	m.add("door-redis", redis)
	m.start()
	g, err := loadgen.New(loadgen.Options{
		URL: url + "/webhook", Secret: secret, PhoneNumberID: cluster.PhoneNumberID, RawValue: bare,
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
	b.ReportMetric(r.PerSecond(), "requests/s")
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
			first, before = time.Now(), total // the workers have started and reported once
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

// startOurs starts one webhook process and two workers, and stops the workers once the send
// queue exists and is paused: the plan's workers send nothing either.
func startOurs(b *testing.B, fsync, durability string) *program {
	b.Helper()
	p := start(b, cluster.Options{
		Program: build(b), Webhooks: 1, Workers: 2, Redis: []string{"appendonly yes", "appendfsync " + fsync, "maxmemory-policy noeviction"},
		Config: "durability: " + durability + "\nworker: {concurrency: 2}\n",
	})
	p.waitFor(30*time.Second, "able to pause its sends", func() bool {
		res := p.ask(http.MethodPost, "/queues/send:"+cluster.Line+"/pause")
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	for _, w := range p.Nodes[1:] {
		if err := w.Stop(); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// backlog measures from the first handled message to the last, with two worker processes
// and sends paused.
func (p *program) backlog(b *testing.B, messages int, m *meter) float64 {
	b.Helper()
	for _, w := range p.Nodes[1:] {
		if err := w.Start(b.Context()); err != nil {
			b.Fatal(err)
		}
		m.add("workers", w.PID())
	}
	var first time.Time
	before := 0
	// Polling costs CPU time that is measured, so it is frequent only near the end.
	pause := 100 * time.Millisecond
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(pause) {
		left := p.inbound()
		handled := messages - left
		if first.IsZero() && handled > 0 {
			first, before = time.Now(), handled
			m.start()
		}
		if left < messages/20 {
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

// inbound is the number of messages that wait to be handled.
func (p *program) inbound() (depth int) {
	p.t.Helper()
	res := p.ask(http.MethodGet, "/queues")
	defer res.Body.Close()
	var page struct {
		Items []struct {
			Name  string
			Depth int
		}
	}
	if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
		p.t.Fatal(err)
	}
	for _, q := range page.Items {
		if q.Name == "inbound" {
			depth = q.Depth
		}
	}
	return depth
}

func (p *program) ask(method, path string) *http.Response {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+"/api/v1"+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.Key)
	res, err := p.client().Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	return res
}
