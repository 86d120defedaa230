package sqlite

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// lookPace is how often the path is compared with the open file.
const lookPace = time.Second

// place is where the file is. A copy that somebody puts there while it is in use has
// the path, and we have the file: what we write is gone when we close it.
type place struct {
	path string
	file os.FileInfo

	mu     sync.Mutex
	looked time.Time
	err    error
}

func newPlace(path string) (*place, error) {
	file, err := os.Stat(path)
	return &place{path: path, file: file}, err
}

// check returns ErrReplaced once the path leads elsewhere. It stays so.
func (p *place) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.err != nil || now.Sub(p.looked) < lookPace && !now.Before(p.looked) {
		return p.err
	}
	p.looked = now
	if there, err := os.Stat(p.path); err != nil || !os.SameFile(p.file, there) {
		p.err = fmt.Errorf("%s: %w: stop the router, put queue.db and store.db back together, and start it", p.path, ErrReplaced)
	}
	return p.err
}

// Replaced returns ErrReplaced when the path leads to another file by now.
func (db *DB) Replaced() error { return db.writer.place.check() }
