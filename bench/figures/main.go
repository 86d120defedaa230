// Command figures prints what this machine gives: it starts the real program as
// a process, with a fake WhatsApp beside it, and measures the door, the turns
// and the sends one after the other. It asserts nothing: machines are noisy.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
	"github.com/psivisionhub/psi-router/internal/servers"
)

const (
	apiKey        = "bench-key-0123456789"
	appSecret     = "bench_app_secret_0123456789abcdef"
	phoneNumberID = "200000000000009"
	line          = "wsp4"
)

func main() {
	messages := flag.Int("messages", 60_000, "messages to post")
	people := flag.Int("conversations", 10_000, "people who write them")
	connections := flag.Int("connections", 32, "connections that post")
	profiles := flag.String("profile", "", "directory for a CPU profile of each phase")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *messages, *people, *connections, *profiles); err != nil {
		fmt.Fprintln(os.Stderr, "figures:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, messages, people, connections int, profiles string) error {
	dir, err := os.MkdirTemp("", "psi-figures-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // what stays is in the temporary directory
	fmt.Printf("%s, %d cores, %s/%s; everything on this machine, the load too\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)

	wa, err := sandbox.New(sandbox.Options{
		PhoneNumberID: phoneNumberID, AppSecret: appSecret, Token: "bench-token",
		WebhookURL: func() string { return "" }, KeepSent: 1, NoStatuses: true, NoFaults: true, NoPhones: true,
	})
	if err != nil {
		return err
	}
	graph := httptest.NewServer(wa.Handler())
	defer graph.Close()
	p, err := prepare(ctx, dir, graph.URL+"/sandbox/graph/v26.0")
	if err != nil {
		return err
	}
	p.profiles = profiles

	if err := p.starts(ctx, 7); err != nil {
		return err
	}
	if err := p.start(ctx); err != nil {
		return err
	}
	defer p.stop()
	time.Sleep(2 * time.Second) // idle means that nothing happened for a while
	rss, err := p.memory()
	if err != nil {
		return err
	}
	row("idle memory", fmt.Sprintf("%.1f MB resident", rss), "under 60 MB")

	for _, q := range []string{"inbound", "send:" + line} {
		if err := p.post(ctx, "/queues/"+q+"/pause"); err != nil {
			return err
		}
	}
	gen, err := loadgen.New(loadgen.Options{
		URL: p.url + "/webhook", Secret: appSecret, PhoneNumberID: phoneNumberID,
		Connections: connections, Conversations: people, Messages: messages, Seed: uint64(time.Now().UnixNano()),
		Progress: func(g loadgen.Progress) { note("%d of %d posted", g.Messages, messages) },
	})
	if err != nil {
		return err
	}
	profiled, spent := p.profile("door"), p.cpu()
	r, err := gen.Run(ctx)
	cost := spent()
	profiled()
	if err != nil {
		return err
	}
	perSecond, _ := r.PerSecond()
	row("webhook, one message each, synced", fmt.Sprintf("%.0f requests/s, p50 %s, p99 %s, max %s%s", perSecond, ms(r.Latency.P50), ms(r.Latency.P99), ms(r.Latency.Max), each(cost, r.Requests)),
		fmt.Sprintf("6,000/s, p99 under 20 ms with %d connections", connections))
	if r.Retried > 0 {
		row("  refused and posted again", fmt.Sprint(r.Retried), "0")
	}

	took, cost, err := p.drain(ctx, "inbound")
	if err != nil {
		return err
	}
	row("turns from that backlog", fmt.Sprintf("%.0f messages/s%s", float64(messages)/took.Seconds(), each(cost, int64(messages))), "8,000/s")

	sends, err := p.depth(ctx, "send:"+line)
	if err != nil {
		return err
	}
	before := wa.Counts().Accepted
	if took, cost, err = p.drain(ctx, "send:"+line); err != nil {
		return err
	}
	sent := wa.Counts().Accepted - before
	row("sends to a WhatsApp that answers at once", fmt.Sprintf("%.0f messages/s to %d people%s", float64(sent)/took.Seconds(), sends, each(cost, sent)), "-")
	if rss, err = p.memory(); err != nil {
		return err
	}
	row("memory after all that", fmt.Sprintf("%.1f MB resident", rss), "-")
	return nil
}

// each says what one of n cost: unlike a rate it hardly depends on who else uses
// the machine.
func each(cost time.Duration, n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f µs CPU each", float64(cost.Microseconds())/float64(n))
}

func row(what, got, aim string) { fmt.Printf("\r%-41s %-76s aim: %s\n", what, got, aim) }

// note shows progress on a terminal's last line.
func note(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r  "+format+"   ", args...)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

type process struct {
	bin, config, url, socket, profiles string
	port                               *servers.Port
	cmd                                *exec.Cmd
	output                             bytes.Buffer
}

// profile writes a CPU profile of the next seconds, when asked for; the result
// waits for its end.
func (p *process) profile(phase string) (wait func()) {
	if p.profiles == "" {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := p.fetchProfile(filepath.Join(p.profiles, strings.ReplaceAll(phase, ":", "-")+".pprof")); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}()
	return func() { <-done }
}

func (p *process) fetchProfile(path string) error {
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", p.socket)
	}}}
	res, err := client.Get("http://admin/debug/pprof/profile?seconds=4")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(f, res.Body)
	return err
}

func prepare(ctx context.Context, dir, graph string) (*process, error) {
	p := &process{socket: filepath.Join(dir, "data", "admin.sock"), bin: filepath.Join(dir, "psi-router"), config: filepath.Join(dir, "psi-router.yaml")}
	out, err := exec.CommandContext(ctx, "go", "build", "-o", p.bin, "./cmd/psi-router").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	if p.port, err = servers.ReservePort(); err != nil {
		return nil, err
	}
	p.url = "http://" + p.port.Addr()
	text := fmt.Sprintf(`listen: %s
data_dir: %s
graph_url: %s
log_level: warn
api_keys: [{name: bench, key: %s, role: admin}]
lines:
  %s: {provider: cloud, phone_number_id: "%s", token: bench-token, app_secret: %s, verify_token: bench, rate: 100000/s}
`, p.port.Addr(), filepath.Join(dir, "data"), graph, apiKey, line, phoneNumberID, appSecret)
	return p, os.WriteFile(p.config, []byte(text), 0o600)
}

func (p *process) start(ctx context.Context) error {
	p.cmd = exec.Command(p.bin, "serve", "--config", p.config)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	if err := p.cmd.Start(); err != nil {
		return err
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		res, err := http.Get(p.url + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return fmt.Errorf("not ready after 20 s:\n%s", p.output.String())
		}
	}
}

func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may be gone
	_ = p.cmd.Wait()
}

// starts measures from exec to a ready answer.
func (p *process) starts(ctx context.Context, times int) error {
	var took []time.Duration
	for range times {
		begin := time.Now()
		if err := p.start(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
		p.stop()
	}
	slices.Sort(took)
	row("start to ready", fmt.Sprintf("%s, median of %d (%s to %s)", ms(took[times/2]), times, ms(took[0]), ms(took[times-1])), "under 300 ms")
	return nil
}

// memory is the resident set in MB (10^6 bytes), as the kernel counts it.
func (p *process) memory() (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for _, l := range strings.Split(string(status), "\n") {
		var kb float64
		if _, err := fmt.Sscanf(l, "VmRSS: %f kB", &kb); err == nil {
			return kb * 1024 / 1e6, nil
		}
	}
	return 0, errors.New("no VmRSS in the process's status")
}

// cpu begins to count what the process computes; the result tells how much it
// was since.
func (p *process) cpu() (spent func() time.Duration) {
	begin := p.ticks()
	return func() time.Duration { return p.ticks() - begin }
}

// ticks is the process's time on the processors; the kernel counts in 1/100 s.
func (p *process) ticks() time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	// The name in parentheses may hold anything; after it user and system time
	// are fields 12 and 13.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // numbers, as proc(5) says
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// drain resumes a queue and measures until it is empty.
func (p *process) drain(ctx context.Context, queue string) (took, cost time.Duration, err error) {
	defer p.profile(queue)()
	begin, spent := time.Now(), p.cpu()
	if err := p.post(ctx, "/queues/"+queue+"/resume"); err != nil {
		return 0, 0, err
	}
	for {
		n, err := p.depth(ctx, queue)
		if err != nil {
			return 0, 0, err
		}
		if n == 0 {
			return time.Since(begin), spent(), nil
		}
		note("%s: %d left", queue, n)
		select {
		case <-ctx.Done():
			return 0, 0, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (p *process) depth(ctx context.Context, queue string) (int64, error) {
	var page struct {
		Items []struct {
			Name  string
			Depth int64
		}
	}
	if err := p.call(ctx, http.MethodGet, "/queues", &page); err != nil {
		return 0, err
	}
	for _, q := range page.Items {
		if q.Name == queue {
			return q.Depth, nil
		}
	}
	return 0, fmt.Errorf("no queue %s", queue)
}

func (p *process) post(ctx context.Context, path string) error {
	return p.call(ctx, http.MethodPost, path, nil)
}

func (p *process) call(ctx context.Context, method, path string, to any) error {
	req, err := http.NewRequestWithContext(ctx, method, p.url+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+apiKey)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 500)) // for the message only
		return fmt.Errorf("%s %s: %s %s", method, path, res.Status, body)
	}
	if to == nil {
		return nil
	}
	return json.NewDecoder(res.Body).Decode(to)
}
