package admission

import "syscall"

// Connections may use half of the files that a process may open. The other half is for
// databases, queues and posts.
const (
	mostConnections = 4096 // each takes some memory too
	mostEach        = 128
)

// ProcessLimits returns the Limits that the process's limit of open files allows.
func ProcessLimits() Limits {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		files.Cur = 1024 // the default of most systems
	}
	return limitsFor(files.Cur)
}

func limitsFor(files uint64) Limits {
	all := int(min(files/2, mostConnections)) //nolint:gosec // it is small
	return Limits{All: all, Each: min(mostEach, max(all/8, 1))}
}
