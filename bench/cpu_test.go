package bench

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// meter counts what programs compute, which depends far less than a rate on what
// else the machine does.
type meter struct {
	names []string
	pids  map[string][]int
	begin map[string]time.Duration
}

// add names a process; its children count with it.
func (m *meter) add(name string, pid int) {
	if m.pids == nil {
		m.pids = map[string][]int{}
	}
	if m.pids[name] == nil {
		m.names = append(m.names, name)
	}
	m.pids[name] = append(m.pids[name], pid)
}

// start counts from now on: what it took to begin is not of the messages.
func (m *meter) start() { m.begin = m.spent() }

func (m *meter) spent() map[string]time.Duration {
	all := map[string]time.Duration{}
	for name, pids := range m.pids {
		for _, pid := range pids {
			all[name] += treeCPU(pid)
		}
	}
	return all
}

// report tells what each message cost.
func (m *meter) report(b *testing.B, messages int) {
	b.Helper()
	spent := m.spent()
	for _, name := range m.names {
		b.ReportMetric(float64((spent[name]-m.begin[name]).Microseconds())/float64(max(messages, 1)), name+"-us/msg")
	}
}

// ownCPU is the time of this process alone, without what it started.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// treeCPU is the time on the processors of a process, its children and those that
// it has waited for; the kernel counts in 1/100 s.
func treeCPU(pid int) time.Duration {
	children := map[int][]int{}
	ticks := map[int]int64{}
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0
	}
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		id, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		if err != nil || len(f) < 15 {
			continue
		}
		var n [15]int64
		for i := 1; i < len(n); i++ {
			n[i], _ = strconv.ParseInt(f[i], 10, 64) // numbers, as proc(5) says
		}
		children[int(n[1])] = append(children[int(n[1])], id)
		ticks[id] = n[11] + n[12] + n[13] + n[14]
	}
	var sum func(int) int64
	sum = func(id int) int64 {
		total := ticks[id]
		for _, c := range children[id] {
			total += sum(c)
		}
		return total
	}
	return time.Duration(sum(pid)) * 10 * time.Millisecond
}

// postmaster is the process of a PostgreSQL.
func postmaster(b *testing.B, s *pgtest.Server) int {
	b.Helper()
	at, err := url.Parse(s.URL("postgres"))
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(at.Query().Get("host"), "data", "postmaster.pid"))
	if err != nil {
		b.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		b.Fatal(err)
	}
	return pid
}

// redisProcess is the process of a Redis.
func redisProcess(b *testing.B, s *redistest.Server) int {
	b.Helper()
	info, err := s.Do(b.Context(), "INFO", "server")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(info, "process_id:")
	first, _, _ := strings.Cut(rest, "\r")
	pid, err := strconv.Atoi(first)
	if err != nil {
		b.Fatal(err)
	}
	return pid
}
