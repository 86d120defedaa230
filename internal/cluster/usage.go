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

// Memory is the memory of the router and of Redis in bytes; 0 if absent.
type Memory struct {
	Redis  int64 `json:"redis"`  // used_memory
	Router int64 `json:"router"` // resident, of all processes together
}

// Memory measures the current memory.
func (c *Cluster) Memory(ctx context.Context) (m Memory, err error) {
	for _, p := range c.Nodes {
		m.Router += residentBytes(p.PID())
	}
	if c.Redis == nil {
		return m, nil
	}
	info, err := c.Redis.Do(ctx, "INFO", "memory")
	if err != nil {
		return m, fmt.Errorf("read the memory of Redis: %w", err)
	}
	m.Redis, err = findNumber(info, "used_memory:")
	return m, err
}

// CPU is processor time.
type CPU struct{ Router, Redis, Postgres time.Duration }

// Since is the processor time since before.
func (c CPU) Since(before CPU) CPU {
	return CPU{c.Router - before.Router, c.Redis - before.Redis, c.Postgres - before.Postgres}
}

// CPU measures the processor time of the running processes, in steps of 1/100 s; 0
// without a cluster.
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

// PID is the id of the process, 0 while it is not running.
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

// CPUTimes reads the processor times of all processes. The function returns the time of
// one process, its children and those that it has waited for.
func CPUTimes() func(pid int) time.Duration {
	children, ticks := map[int][]int{}, map[int]int64{}
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is valid
	for _, path := range all {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // the process has ended
		}
		// The name in parentheses may contain anything. After it, field 2 is the parent, and
		// 12 to 15 are the times.
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

// findNumber returns the number after a name at the start of a line.
func findNumber(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return strconv.ParseInt(f[0], 10, 64)
			}
		}
	}
	return 0, fmt.Errorf("no %s in the text", name)
}
