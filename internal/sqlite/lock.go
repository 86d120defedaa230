package sqlite

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

// fileLock is the lock file beside a database. The kernel releases the lock when the process
// ends, so there is never a stale lock to delete.
type fileLock struct{ file *os.File }

// Close unlocks explicitly before it closes the file: a child that was just forked shares the
// file until its exec (flock(2)).
func (l fileLock) Close() error {
	return errors.Join(syscall.Flock(int(l.file.Fd()), syscall.LOCK_UN), l.file.Close())
}

// ownFile locks the lock file beside the database and writes our process id into it.
func ownFile(path string) (l fileLock, err error) {
	f, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return l, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		holder, _ := io.ReadAll(io.LimitReader(f, 20))
		f.Close()
		return l, fmt.Errorf("%s: %w by process %s: stop that process, or give this one a data_dir of its own",
			path, ErrLocked, strings.TrimSpace(string(holder)))
	}
	if err != nil {
		f.Close()
		return l, fmt.Errorf("lock %s.lock: %w", path, err)
	}
	if err := f.Truncate(0); err == nil {
		_, err = fmt.Fprintf(f, "%d\n", os.Getpid())
		if err != nil {
			f.Close()
			return l, fmt.Errorf("write %s.lock: %w", path, err)
		}
	}
	return fileLock{f}, nil
}
