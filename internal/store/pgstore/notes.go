package pgstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
)

// Notes keep short texts outside of the database, for all its processes, to detect that the
// database is an older one. They are small and few, and must be as durable as the queue's
// jobs. Safe for concurrent use.
type Notes interface {
	// Note stores a text under a name, and then returns the text of another name, "" for
	// none.
	Note(ctx context.Context, name, text, other string) (string, error)
	// Notes returns all texts by name.
	Notes(ctx context.Context) (map[string]string, error)
	DropNotes(ctx context.Context, names ...string) error
}

// memoryNotes are for one process, and end with it.
type memoryNotes struct {
	file string // "" for none

	mu    sync.Mutex
	texts map[string]string
}

// NewNotes returns notes in memory: for tests, and for programs that only read.
func NewNotes() Notes { return &memoryNotes{texts: map[string]string{}} }

func (m *memoryNotes) Note(_ context.Context, name, text, other string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.texts[name] = text
	return m.texts[other], m.save()
}

func (m *memoryNotes) Notes(context.Context) (map[string]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.texts), nil
}

func (m *memoryNotes) DropNotes(_ context.Context, names ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		delete(m.texts, name)
	}
	return m.save()
}

// FileNotes returns notes in a file of dir, for a database's only process. The file is not
// synced: the power would have to fail at the very moment in which the database goes back
// in time.
func FileNotes(dir string) (Notes, error) {
	m := &memoryNotes{file: filepath.Join(dir, "store.notes"), texts: map[string]string{}}
	raw, err := os.ReadFile(m.file)
	if errors.Is(err, fs.ErrNotExist) {
		// Earlier versions had one note.
		if raw, err = os.ReadFile(filepath.Join(dir, "store.mark")); errors.Is(err, fs.ErrNotExist) {
			return m, nil
		}
		m.texts[storeNote], raw = string(raw), []byte("{}")
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes about the database: %w", err)
	}
	if err := json.Unmarshal(raw, &m.texts); err != nil {
		return nil, fmt.Errorf("%s cannot be read: remove it if the database was not put back from a backup (%w)", m.file, err)
	}
	return m, nil
}

func (m *memoryNotes) save() error {
	if m.file == "" {
		return nil
	}
	raw, err := json.Marshal(m.texts)
	if err != nil {
		return err
	}
	if err := os.WriteFile(m.file+".new", raw, 0o600); err != nil {
		return err
	}
	return os.Rename(m.file+".new", m.file)
}
