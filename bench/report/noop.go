package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/servers"
)

// contender is a queue that runs jobs which do nothing.
type contender struct {
	name, guarantees, settings string
	redis                      []string // settings of its server
	jobs                       int
	command                    func(addr string, jobs int) *exec.Cmd
}

// everysec is the Redis configuration of the contenders. Each has its own server, so that
// none pays for the data of another.
var everysec = []string{"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"}

const (
	payload        = 725
	asynqWorkers   = 256
	bullWorkers    = 256
	ourGuarantees  = "FIFO per lane, one at a time; lease with a token, and a stale verdict is refused; ids are remembered for 24 h after the job; one exchange settles verdicts and claims the next jobs"
	asynqPromises  = "no order; lease without a token, swept once a minute; an id is remembered while its job is kept (not after it is done)"
	bullmqPromises = "no order among workers; lock with a token, stalled jobs are swept every 30 s; an id is remembered while its job is kept (removed on completion)"
)

// noop measures ours, asynq and BullMQ one after the other.
func noop(ctx context.Context, r *run) (*section, error) {
	ours, asynq := filepath.Join(r.dir, "noop"), filepath.Join(r.dir, "asynq")
	if err := r.command(ctx, "", "go", "build", "-o", ours, "./bench/noop"); err != nil {
		return nil, err
	}
	if err := r.command(ctx, "bench/peers/asynq", "go", "build", "-o", asynq, "."); err != nil {
		return nil, err
	}
	bull := filepath.Join(r.dir, "bullmq")
	if err := os.CopyFS(bull, os.DirFS("bench/peers/bullmq")); err != nil {
		return nil, err
	}
	if err := r.command(ctx, bull, "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return nil, err
	}
	versions, err := peerVersions(ctx, bull)
	if err != nil {
		return nil, err
	}
	own := func(durability string) func(string, int) *exec.Cmd {
		return func(addr string, jobs int) *exec.Cmd {
			return exec.CommandContext(ctx, ours, "-redis", "redis://"+addr, "-durability", durability, "-jobs", strconv.Itoa(jobs), "-batch", "250", "-lanes", "20000")
		}
	}
	all := []contender{
		{"PSI Router, AOF everysec", ourGuarantees, "one process, one Runner, 4 slots, batches of 250, 20,000 lanes; 4 callers that enqueue 100 at a time", everysec, r.size(100_000, 5000), own("relaxed")},
		{"PSI Router, AOF always", ourGuarantees + "; on disk before the answer", "the same", []string{"appendonly yes", "appendfsync always", "maxmemory-policy noeviction"}, r.size(100_000, 5000), own("fsync")},
		{"asynq " + versions["asynq"], asynqPromises, fmt.Sprintf("one process, concurrency %d; 64 callers (it has no bulk call)", asynqWorkers), everysec, r.size(30_000, 2000), func(addr string, jobs int) *exec.Cmd {
			return exec.CommandContext(ctx, asynq, "-redis", addr, "-jobs", strconv.Itoa(jobs), "-payload", strconv.Itoa(payload), "-concurrency", strconv.Itoa(asynqWorkers))
		}},
		{"BullMQ " + versions["bullmq"], bullmqPromises, fmt.Sprintf("one Node process, concurrency %d; addBulk of 500", bullWorkers), everysec, r.size(30_000, 2000), func(addr string, jobs int) *exec.Cmd {
			cmd := exec.CommandContext(ctx, "node", "noop.js")
			cmd.Dir = bull
			cmd.Env = append(os.Environ(), "REDIS_PORT="+addr[strings.LastIndexByte(addr, ':')+1:], "JOBS="+strconv.Itoa(jobs),
				"PAYLOAD="+strconv.Itoa(payload), "CONCURRENCY="+strconv.Itoa(bullWorkers))
			return cmd
		}},
	}
	s := &section{Versions: versions, Notes: []string{
		fmt.Sprintf("Jobs of about %d bytes whose handler does nothing, from a backlog. Each has its own Redis with the same settings, started by the run. The load shares the machine.", payload),
		"CPU time per job hardly depends on what else the machine does; rates do.",
	}}
	for _, c := range all {
		r.progress("%s: %d jobs", c.name, c.jobs)
		m, err := c.measure(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		aim := aim{}
		if strings.HasPrefix(c.name, "PSI") {
			aim = atLeast(40_000, "jobs/s")
		}
		s.add(row{
			What: c.name, Value: m.handled, Unit: "jobs/s", Aim: aim.text, Met: aim.met(m.handled),
			Detail: fmt.Sprintf("CPU for each: Redis %.1f µs, the process %.1f µs; enqueued before: %s jobs/s", m.redis, m.process, human(m.added)),
			Raw:    map[string]float64{"enqueued/s": m.added, "redis-us/job": m.redis, "process-us/job": m.process},
		})
	}
	for _, c := range all {
		s.note("%s: %s. Promises: %s.", c.name, c.settings, c.guarantees)
	}
	return s, nil
}

// noopFigures are jobs a second, and microseconds of CPU for a handled job.
type noopFigures struct{ added, handled, redis, process float64 }

func (c contender) measure(ctx context.Context) (f noopFigures, err error) {
	server, err := servers.NewRedis(ctx, servers.RedisOptions{Config: c.redis})
	if err != nil {
		return f, err
	}
	defer server.Close()
	cmd := c.command(server.Addr, c.jobs)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return f, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return f, err
	}
	if err := cmd.Start(); err != nil {
		return f, err
	}
	defer func() {
		_ = cmd.Process.Kill() // on success it has ended already
		_ = cmd.Wait()
	}()
	lines := bufio.NewScanner(out)
	phase := func(name string) (seconds float64, err error) {
		var l struct {
			Phase   string
			Seconds float64
		}
		if !lines.Scan() {
			return 0, fmt.Errorf("it ended before phase %s", name)
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return 0, err
		}
		if l.Phase != name {
			return 0, fmt.Errorf("it is in phase %s, not %s", l.Phase, name)
		}
		return l.Seconds, nil
	}
	next := func() error { _, err := io.WriteString(in, "\n"); return err }
	if _, err := phase("ready"); err != nil {
		return f, err
	}
	if err := next(); err != nil {
		return f, err
	}
	filled, err := phase("filled")
	if err != nil {
		return f, err
	}
	if err := settled(ctx, server); err != nil {
		return f, err
	}
	before, err := redisCPU(ctx, server)
	if err != nil {
		return f, err
	}
	own := cluster.CPUTimes()(cmd.Process.Pid)
	if err := next(); err != nil {
		return f, err
	}
	worked, err := phase("done")
	if err != nil {
		return f, err
	}
	after, err := redisCPU(ctx, server)
	if err != nil {
		return f, err
	}
	own = cluster.CPUTimes()(cmd.Process.Pid) - own
	if err := next(); err != nil {
		return f, err
	}
	n := float64(c.jobs)
	return noopFigures{
		added: n / filled, handled: n / worked,
		redis: float64((after - before).Microseconds()) / n, process: float64(own.Microseconds()) / n,
	}, nil
}

// settled waits until the server has rewritten its file, which the backlog has made long.
// Every contender has this cost once, at a time that the server chooses.
func settled(ctx context.Context, s *servers.Redis) error {
	for {
		info, err := s.Do(ctx, "INFO", "persistence")
		if err != nil {
			return err
		}
		if strings.Contains(info, "aof_rewrite_in_progress:0") && strings.Contains(info, "aof_rewrite_scheduled:0") {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// redisCPU is the CPU time of the server's main thread.
func redisCPU(ctx context.Context, s *servers.Redis) (time.Duration, error) {
	info, err := s.Do(ctx, "INFO", "cpu")
	if err != nil {
		return 0, err
	}
	var total float64
	for line := range strings.Lines(info) {
		k, v, _ := strings.Cut(strings.TrimSpace(line), ":")
		if k == "used_cpu_user_main_thread" || k == "used_cpu_sys_main_thread" {
			n, err := strconv.ParseFloat(v, 64)
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	return time.Duration(total * float64(time.Second)), nil
}

// peerVersions returns the versions of the installed peers.
func peerVersions(ctx context.Context, bull string) (map[string]string, error) {
	v := map[string]string{}
	for _, name := range []string{"bullmq", "ioredis"} {
		var p struct{ Version string }
		text, err := os.ReadFile(filepath.Join(bull, "node_modules", name, "package.json"))
		if err == nil {
			err = json.Unmarshal(text, &p)
		}
		if err != nil {
			return nil, err
		}
		v[name] = p.Version
	}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Version}}", "github.com/hibiken/asynq")
	cmd.Dir = "bench/peers/asynq"
	out, err := cmd.Output()
	if err != nil {
		return nil, err
	}
	v["asynq"] = strings.TrimPrefix(strings.TrimSpace(string(out)), "v")
	return v, nil
}
