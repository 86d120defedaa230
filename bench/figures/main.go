// Command figures measures one process of the real program on this machine, with a fake
// WhatsApp: the webhook, the turns and the sends, one after the other. It asserts nothing:
// machines are noisy.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/flows"
	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/sandbox"
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
	defer func() { _ = os.RemoveAll(dir) }() // leftovers are in the temporary directory
	fmt.Printf("%s, %d cores, %s/%s; everything runs on this machine, including the load\n\n", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH)

	c, err := start(ctx, dir)
	if err != nil {
		return err
	}
	defer c.Stop(false)
	p := &process{Cluster: c, node: c.Nodes[0], profiles: profiles}
	if err := p.starts(ctx, 7); err != nil {
		return err
	}
	time.Sleep(2 * time.Second) // idle means that nothing has happened for a while
	if err := p.memory(ctx, "idle memory", "under 60 MB"); err != nil {
		return err
	}
	const sendQueue = "send:" + cluster.Line
	for _, q := range []string{"inbound", sendQueue} {
		if err := p.post(ctx, "/queues/"+q+"/pause"); err != nil {
			return err
		}
	}
	gen, err := loadgen.New(loadgen.Options{
		URL: c.DoorURL() + "/webhook", Secret: c.Secret, PhoneNumberID: cluster.PhoneNumberID,
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
	row("webhook, one message each, synced", fmt.Sprintf("%.0f requests/s, p50 %s, p99 %s, max %s%s", r.PerSecond(), ms(r.Latency.P50), ms(r.Latency.P99), ms(r.Latency.Max), each(cost, r.Requests)),
		fmt.Sprintf("6,000/s, p99 under 20 ms with %d connections", connections))
	if r.Retried > 0 {
		row("  refused and posted again", fmt.Sprint(r.Retried), "0")
	}

	took, cost, err := p.drain(ctx, "inbound")
	if err != nil {
		return err
	}
	row("turns from that backlog", fmt.Sprintf("%.0f messages/s%s", float64(messages)/took.Seconds(), each(cost, int64(messages))), "8,000/s")

	sends, err := p.depth(ctx, sendQueue)
	if err != nil {
		return err
	}
	before := c.WhatsApp.Counts().Accepted
	if took, cost, err = p.drain(ctx, sendQueue); err != nil {
		return err
	}
	sent := c.WhatsApp.Counts().Accepted - before
	row("sends to a WhatsApp that answers at once", fmt.Sprintf("%.0f messages/s to %d people%s", float64(sent)/took.Seconds(), sends, each(cost, sent)), "-")
	return p.memory(ctx, "memory after all that", "-")
}

// start builds the program and starts one process of it, with the built-in flow and a
// WhatsApp that sends no statuses.
func start(ctx context.Context, dir string) (*cluster.Cluster, error) {
	bin := filepath.Join(dir, "psi-router")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "./cmd/psi-router").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	flow, err := flows.FS.ReadFile("psi.yaml")
	if err != nil {
		return nil, err
	}
	return cluster.Start(ctx, cluster.Options{
		Program: bin, Embedded: true, Parent: dir, Flow: flow, Config: "log_level: warn\n", Rate: 100_000, Record: 1,
		Accepted: func(sandbox.Sent) {}, Note: func(text string) { fmt.Fprintln(os.Stderr, text) },
	})
}

// each is the CPU time of one of n: unlike a rate it hardly depends on the other load of
// the machine.
func each(cost time.Duration, n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f µs CPU each", float64(cost.Microseconds())/float64(n))
}

func row(what, got, aim string) { fmt.Printf("\r%-41s %-76s aim: %s\n", what, got, aim) }

// note shows progress on the last line of a terminal.
func note(format string, args ...any) {
	if info, err := os.Stderr.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
		fmt.Fprintf(os.Stderr, "\r  "+format+"   ", args...)
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

// process is the process of the cluster.
type process struct {
	*cluster.Cluster
	node     *cluster.Node
	profiles string
}

// profile writes a CPU profile of the next seconds if profiles is set; wait waits for its
// end.
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
		return p.node.DialAdmin(ctx)
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

// starts measures the time from exec until the process is ready.
func (p *process) starts(ctx context.Context, times int) error {
	var took []time.Duration
	for range times {
		if err := p.node.Stop(); err != nil {
			return err
		}
		begin := time.Now()
		if err := p.node.Start(ctx); err != nil {
			return err
		}
		if err := p.node.Ready(ctx); err != nil {
			return err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	row("start to ready", fmt.Sprintf("%s, median of %d (%s to %s)", ms(took[times/2]), times, ms(took[0]), ms(took[times-1])), "under 300 ms")
	return nil
}

// memory prints the resident set in MB (10^6 bytes).
func (p *process) memory(ctx context.Context, what, aim string) error {
	used, err := p.Memory(ctx)
	row(what, fmt.Sprintf("%.1f MB resident", float64(used.Router)/1e6), aim)
	return err
}

// cpu begins to measure the CPU time of the process; spent returns the time since.
func (p *process) cpu() (spent func() time.Duration) {
	begin := p.CPU().Router
	return func() time.Duration { return p.CPU().Router - begin }
}

// drain resumes a queue and measures the time until it is empty.
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
	req, err := http.NewRequestWithContext(ctx, method, p.DoorURL()+"/api/v1"+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+p.Key)
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
