package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Memory is what the router and its Redis use now, in bytes; zero of what is not
// there.
type Memory struct {
	Redis  int64 `json:"redis"`  // used_memory
	Router int64 `json:"router"` // resident, of all its processes
}

// Memory looks at it.
func (c *Cluster) Memory(ctx context.Context) (m Memory, err error) {
	for _, p := range c.Nodes {
		m.Router += residentBytes(p.PID())
	}
	if c.Redis == nil {
		return m, nil
	}
	info, err := c.Redis.Do(ctx, "INFO", "memory")
	if err != nil {
		return m, fmt.Errorf("memory of redis: %w", err)
	}
	m.Redis, err = findNumber(info, "used_memory:")
	return m, err
}

// CPU is for how long something has computed.
type CPU struct{ Router, Redis, Postgres time.Duration }

// Since is what was computed since before.
func (c CPU) Since(before CPU) CPU {
	return CPU{c.Router - before.Router, c.Redis - before.Redis, c.Postgres - before.Postgres}
}

// CPU looks at the processes that run; the kernel counts in 1/100 s. Without a cluster
// nobody knows.
func (c *Cluster) CPU() (used CPU) {
	if c == nil {
		return used
	}
	spent := CPUTimes()
	for _, m := range c.Nodes {
		used.Router += spent(m.PID())
	}
	if c.Redis != nil {
		used.Redis, used.Postgres = spent(c.Redis.PID()), spent(c.Postgres.PID())
	}
	return used
}

// PID is 0 while it does not run.
func (m *Node) PID() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proc == nil {
		return 0
	}
	return m.proc.PID
}

func residentBytes(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	kb, err := findNumber(string(text), "VmRSS:")
	if err != nil {
		return 0
	}
	return kb << 10
}

// CPUTimes looks at all processes, and tells how long one has computed with its
// children and those that it has waited for.
func CPUTimes() func(pid int) time.Duration {
	children, ticks := map[int][]int{}, map[int]int64{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name in parentheses may hold anything; after it the parent and the
		// times are fields 2 and 12 to 15.
		f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || len(f) < 15 {
			continue
		}
		parent, _ := strconv.Atoi(f[1]) // numbers, as proc(5) says
		children[parent] = append(children[parent], pid)
		for _, v := range f[11:15] {
			n, _ := strconv.ParseInt(v, 10, 64)
			ticks[pid] += n
		}
	}
	var sum func(int) int64
	sum = func(pid int) int64 {
		total := ticks[pid]
		for _, c := range children[pid] {
			total += sum(c)
		}
		return total
	}
	return func(pid int) time.Duration {
		if pid == 0 {
			return 0
		}
		return time.Duration(sum(pid)) * 10 * time.Millisecond
	}
}

// findNumber finds the one that follows a name at the begin of a line.
func findNumber(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return strconv.ParseInt(f[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s in what was said", name)
}
