package bench

import (
	"syscall"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
)

// meter measures the CPU time of processes, which depends far less than a rate on the
// other load of the machine.
type meter struct {
	names []string
	pids  map[string][]int
	begin map[string]time.Duration
}

// add adds a process with its children.
func (m *meter) add(name string, pid int) {
	if m.pids == nil {
		m.pids = map[string][]int{}
	}
	if m.pids[name] == nil {
		m.names = append(m.names, name)
	}
	m.pids[name] = append(m.pids[name], pid)
}

// start begins to count: the start of the processes does not belong to the messages.
func (m *meter) start() { m.begin = m.spent() }

func (m *meter) spent() map[string]time.Duration {
	all, spent := map[string]time.Duration{}, cluster.CPUTimes()
	for name, pids := range m.pids {
		for _, pid := range pids {
			all[name] += spent(pid)
		}
	}
	return all
}

// report reports the CPU time of each message.
func (m *meter) report(b *testing.B, messages int) {
	b.Helper()
	spent := m.spent()
	for _, name := range m.names {
		b.ReportMetric(float64((spent[name]-m.begin[name]).Microseconds())/float64(max(messages, 1)), name+"-us/msg")
	}
}

// ownCPU is the CPU time of this process without its children.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
