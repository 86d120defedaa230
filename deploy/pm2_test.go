package deploy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/loadgen"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/programtest"
	"github.com/psivisionhub/psi-router/internal/servers"
)

// pm2 is a PM2 with its files in the directory of a test.
type pm2 struct {
	t   testing.TB
	bin string
	env []string
}

// startPM2 starts PM2 with a file of deploy/pm2; everything ends with the test.
func startPM2(s *site, port int, file string) *pm2 {
	s.t.Helper()
	bin, err := filepath.Abs("testdata/node_modules/.bin/pm2")
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := os.Stat(bin); err != nil {
		s.t.Fatalf("PM2 is not installed: run scripts/setup.sh (%v)", err)
	}
	p := &pm2{t: s.t, bin: bin, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "PM2_HOME=" + filepath.Join(s.dir, "pm2"), "PM2_DISCRETE_MODE=true",
		"ROUTER_BIN=" + program(s.t), "ROUTER_CONFIG=" + s.config, "ROUTER_PORT=" + strconv.Itoa(port),
	}}
	home := filepath.Join(s.dir, "pm2")
	for _, dir := range []string{"logs", "pids", "modules"} {
		if err := os.MkdirAll(filepath.Join(home, dir), 0o700); err != nil {
			s.t.Fatal(err)
		}
	}
	write(s.t, filepath.Join(home, "module_conf.json"), "{}")
	// We start the daemon as pm2 would, but as our child: if we die, it ends with its
	// children.
	cmd := exec.Command(programtest.Find(s.t, "node"), filepath.Join(filepath.Dir(bin), "../pm2/lib/Daemon.js"))
	cmd.Env = p.env
	daemon, err := servers.Start(cmd, filepath.Join(s.dir, "pm2.log"), syscall.SIGTERM)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = daemon.Signal(syscall.SIGTERM)
		select {
		case <-daemon.Done():
		case <-time.After(50 * time.Second):
			s.t.Errorf("PM2 did not end\n%s", daemon.Output())
			daemon.Terminate(syscall.SIGKILL)
		}
		if s.t.Failed() {
			s.t.Logf("PM2:\n%.20000s", daemon.Output())
		}
	})
	eventually(s.t, "PM2", func() error {
		_, err1 := os.Stat(filepath.Join(home, "rpc.sock"))
		_, err2 := os.Stat(filepath.Join(home, "pub.sock"))
		return errors.Join(err1, err2)
	})
	p.must("start", file)
	return p
}

func (p *pm2) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.bin, args...)
	cmd.Env = p.env
	out, err := cmd.Output()
	return string(out), err
}

func (p *pm2) must(args ...string) {
	p.t.Helper()
	if out, err := p.run(args...); err != nil {
		p.t.Fatalf("pm2 %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// online returns the ids of the running processes by name.
func (p *pm2) online(want int) map[string][]int {
	p.t.Helper()
	var ids map[string][]int
	eventually(p.t, strconv.Itoa(want)+" processes", func() error {
		out, err := p.run("jlist", "--silent")
		if err != nil {
			return err
		}
		var list []struct {
			Name string `json:"name"`
			PID  int    `json:"pid"`
			Env  struct {
				Status string `json:"status"`
			} `json:"pm2_env"`
		}
		if err := json.Unmarshal([]byte(out[strings.IndexByte(out, '['):]), &list); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		ids = map[string][]int{}
		n := 0
		for _, one := range list {
			if one.Env.Status == "online" && one.PID > 0 {
				ids[one.Name] = append(ids[one.Name], one.PID)
				n++
			}
		}
		if n != want {
			return fmt.Errorf("%d are running: %v", n, ids)
		}
		return nil
	})
	return ids
}

// freePorts returns the first of two adjacent free ports.
func freePorts(t testing.TB) int {
	t.Helper()
	for range 100 {
		port := porttest.Reserve(t).Number
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1)) //nolint:noctx // Listen does not block
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("there are no two adjacent free ports")
	return 0
}

// TestPM2 runs the plan's processes under PM2 while people write. A worker is killed and
// restarted, and everything is reloaded. Every message that got a 200 is handled, refused
// ones are posted again as Meta does, and each person is answered once, in order.
func TestPM2(t *testing.T) {
	t.Parallel()
	s := newSite(t, serversConfig(t), "flow: "+filepath.Join(workDir, "pm2.yaml"))
	write(t, filepath.Join(workDir, "pm2.yaml"), readShipped(t, "testdata/flow.yaml"))
	port := freePorts(t)
	p := startPM2(s, port, "pm2/ecosystem.config.js")
	base := fmt.Sprintf("http://127.0.0.1:%d", port)
	ids := p.online(6)
	if len(ids["psi-router"]) != 1 || len(ids["psi-router-worker"]) != 5 {
		t.Fatalf("got %v, want 1 + 5 processes", ids)
	}
	eventually(t, "the webhook", func() error { return get(t.Context(), http.DefaultClient, base+"/readyz", nil) })

	var written atomic.Int64
	gen, err := loadgen.New(loadgen.Options{
		URL: base + "/webhook", Secret: appSecret, PhoneNumberID: phoneNumberID,
		Connections: 8, Conversations: 40, Rate: 60, Duplicates: 0.1, Script: []string{"menú", "1"}, Seed: 7,
		Progress: func(p loadgen.Progress) { written.Store(p.Messages) },
	})
	if err != nil {
		t.Fatal(err)
	}
	writing, enough := context.WithCancel(t.Context())
	defer enough()
	type result struct {
		report loadgen.Report
		err    error
	}
	done := make(chan result, 1)
	go func() {
		r, err := gen.Run(writing)
		done <- result{r, err}
	}()

	victim := ids["psi-router-worker"][2]
	if err := syscall.Kill(victim, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var after map[string][]int
	eventually(t, "another worker", func() error {
		after = p.online(6)
		for _, id := range after["psi-router-worker"] {
			if id == victim {
				return fmt.Errorf("%d is still listed", victim)
			}
		}
		return nil
	})
	p.must("reload", "pm2/ecosystem.config.js")
	reloaded := p.online(6)
	for name, old := range after {
		for _, id := range old {
			for _, now := range reloaded[name] {
				if id == now {
					t.Errorf("%s %d was not reloaded", name, id)
				}
			}
		}
	}
	eventually(t, "100 messages", func() error { // the reload may be quick
		if n := written.Load(); n < 100 {
			return fmt.Errorf("%d messages are written", n)
		}
		return nil
	})
	enough()
	got := <-done
	if got.err != nil {
		t.Fatal(got.err)
	}
	s.settle(base)
	s.judge(base, got.report)

	// With two webhooks behind nginx no post is refused while both are reloaded.
	p.must("start", "pm2/two-webhooks.config.js")
	p.online(7)
	nginx := startNginx(t, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", port+1))
	stop := startLoad(t, client(t, nginx.safe, true), "https://"+domain+"/webhook")
	p.must("reload", "psi-router")
	p.must("reload", "psi-router-2")
	t.Logf("%d requests during the reload of two webhooks, none failed", stop())
}

// settle waits until no job and no answer waits.
func (s *site) settle(base string) {
	s.t.Helper()
	calm := 0
	eventually(s.t, "rest", func() error {
		var queues struct {
			Items []struct {
				Name  string
				Depth int64
				Dead  int64
			}
		}
		if err := get(s.t.Context(), http.DefaultClient, base+"/api/v1/queues", &queues); err != nil {
			return err
		}
		var status struct {
			Sends struct{ Pending int64 }
		}
		if err := get(s.t.Context(), http.DefaultClient, base+"/status", &status); err != nil {
			return err
		}
		var depth, dead int64
		for _, q := range queues.Items {
			depth, dead = depth+q.Depth, dead+q.Dead
		}
		if dead > 0 {
			s.t.Fatalf("%d dead letters: %+v", dead, queues.Items)
		}
		if depth > 0 || status.Sends.Pending > 0 {
			calm = 0
			return fmt.Errorf("%d jobs and %d answers wait", depth, status.Sends.Pending)
		}
		if calm++; calm < 10 {
			return fmt.Errorf("idle for %d polls", calm)
		}
		return nil
	})
}

// judge checks every message and every answer.
func (s *site) judge(base string, r loadgen.Report) {
	s.t.Helper()
	rows, err := loadgen.API{URL: base, Key: apiKey, Line: "wsp4"}.Rows(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	var posts []loadgen.Post
	for _, sent := range s.whatsapp.Sent() {
		posts = append(posts, loadgen.Post{Ref: sent.Ref, ProviderID: sent.ID})
	}
	v := loadgen.Verify(loadgen.Evidence{
		Messages: r.Messages(), Rows: rows, Posts: posts, Replies: func(loadgen.Message) int { return 1 },
	})
	s.t.Logf("%d messages accepted and %d stored, %d answers sent, %d posts refused and sent again, %d given up, %d late, %d uncertain",
		v.Accepted, v.Stored, v.Sent, r.Retried, r.GaveUp, v.Late, v.Uncertain)
	if err := v.Err(); err != nil {
		s.t.Error(err)
	}
	if v.Accepted < 100 {
		s.t.Errorf("only %d messages: this proves nothing", v.Accepted)
	}
	if r.Retried == 0 {
		s.t.Error("nothing was refused: the load did not meet the reload")
	}
}
