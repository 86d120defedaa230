package sqlite

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// checkEvery is how often the path is compared with the open file.
const checkEvery = time.Second

// fileIdentity detects that somebody put a copy in the place of the open file. The path then
// leads to the copy, and our writes are lost when we close the deleted file.
type fileIdentity struct {
	path string
	file os.FileInfo

	mu        sync.Mutex
	checkedAt time.Time
	err       error
}

func newFileIdentity(path string) (*fileIdentity, error) {
	file, err := os.Stat(path)
	return &fileIdentity{path: path, file: file}, err
}

// check returns ErrReplaced once the path leads to another file, and ever after.
func (f *fileIdentity) check() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.err != nil || now.Sub(f.checkedAt) < checkEvery && !now.Before(f.checkedAt) {
		return f.err
	}
	f.checkedAt = now
	if there, err := os.Stat(f.path); err != nil || !os.SameFile(f.file, there) {
		f.err = fmt.Errorf("%s: %w: stop the router, put queue.db and store.db back together, and start it", f.path, ErrReplaced)
	}
	return f.err
}

// Replaced returns ErrReplaced if the path leads to another file by now, else nil.
func (db *DB) Replaced() error { return db.writer.identity.check() }
