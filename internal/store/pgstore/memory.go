package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/psivisionhub/psi-router/internal/store"
)

const (
	storeNote  = "store"  // a Mark: which store this is
	serverNote = "server" // the server that somebody compared last, or is about to
	// emptiedNote is when all other notes were found to be gone, as time.RFC3339Nano.
	emptiedNote = "emptied"
	// processNotes is before the names of processes.
	processNotes = "process:"

	// numbered counts events.
	numbered = "numbered"
	// How many numbers are noted at once. After a restore they are gaps.
	positionsAhead = 100_000
	ticketsAhead   = 100
)

// processNote is what a process keeps outside.
type processNote struct {
	Generation int64            `json:"generation"`
	Slots      []int64          `json:"slots"` // see witnesses.onDisk
	High       map[string]int64 `json:"high,omitempty"`
}

// memory is what a process knows of the database that the database may forget.
type memory struct {
	notes Notes

	mu      sync.Mutex
	at      string        // the server that was compared
	ahead   time.Duration // by how many whole seconds its clock is ahead of ours
	mark    Mark
	highest map[string]int64 // by counter: nothing above is given out
}

func (m *memory) server() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at
}

func (m *memory) markSeen() Mark {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mark
}

func (m *memory) generation() int64 { return m.markSeen().Generation }

// take remembers what was compared, and reports whether that is another store than
// before.
func (m *memory) take(now *state) (news bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	news = m.mark.ID != now.mark.ID || m.mark.Generation != now.mark.Generation
	if news {
		m.highest = map[string]int64{}
	}
	m.at, m.mark, m.ahead = now.server, now.mark, now.ahead
	return news
}

// clock is the server's time at a moment of ours. Rows that several processes compare
// with the time are written and read by it.
func (s *Store) clock(now time.Time) time.Time {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return now.Add(s.memory.ahead)
}

func (m *memory) high(counter string) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.highest[counter]
}

func (m *memory) raiseTo(high map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for counter, value := range high {
		m.highest[counter] = max(m.highest[counter], value)
	}
}

// witness notes outside how far this process is. It returns only once the note
// holds for everybody: whoever compares the database later knows of it. What was
// claimed may be posted then.
func (s *Store) witness(ctx context.Context) error {
	server, err := s.note(ctx)
	if err != nil || server == s.memory.server() {
		return err
	}
	// Somebody found another server, and ours may be no more; or the notes are gone.
	if err := s.compare(ctx, s.pool); err != nil || server != "" {
		return err
	}
	return fmt.Errorf("the notes about the database were gone: %w", store.ErrUnavailable)
}

// note writes this process's note, and returns the server that was announced last.
func (s *Store) note(ctx context.Context) (server string, err error) {
	s.memory.mu.Lock()
	n := processNote{Generation: s.memory.mark.Generation, Slots: s.witnesses.onDisk(), High: maps.Clone(s.memory.highest)}
	s.memory.mu.Unlock()
	text, err := json.Marshal(n)
	if err != nil {
		return "", err
	}
	server, err = s.memory.notes.Note(ctx, processNotes+s.witnesses.name(), string(text), serverNote)
	if err != nil {
		return "", fmt.Errorf("note how far the database is: %w: %w", store.ErrUnavailable, err)
	}
	return server, nil
}

// raise notes that more of a counter's numbers may be given out.
func (s *Store) raise(ctx context.Context, pool *pgxpool.Pool, counter string) error {
	var value int64
	const query = `SELECT coalesce((SELECT value FROM psi_router.counters WHERE name = $1), 0)`
	if err := pool.QueryRow(ctx, query, counter).Scan(&value); err != nil {
		return err
	}
	ahead := int64(ticketsAhead)
	if counter == numbered {
		ahead = positionsAhead
	}
	s.memory.mu.Lock()
	was := s.memory.highest[counter]
	s.memory.highest[counter] = max(value, was) + ahead
	s.memory.mu.Unlock()
	_, err := s.note(ctx)
	if err != nil { // what is not noted must not be given out
		s.memory.mu.Lock()
		s.memory.highest[counter] = was
		s.memory.mu.Unlock()
	}
	return err
}

// highNotes is the highest number of each counter that anybody may have given out.
func highNotes(all map[string]processNote) map[string]int64 {
	high := map[string]int64{}
	for _, n := range all {
		for counter, value := range n.High {
			high[counter] = max(high[counter], value)
		}
	}
	return high
}

// readNotes returns the note about the store, and those of the processes.
func (m *memory) readNotes(ctx context.Context) (kept Mark, known bool, all map[string]processNote, err error) {
	texts, err := m.notes.Notes(ctx)
	if err != nil {
		return kept, false, nil, fmt.Errorf("read how far the database was: %w: %w", store.ErrUnavailable, err)
	}
	if text := texts[storeNote]; text != "" {
		known = json.Unmarshal([]byte(text), &kept) == nil
	}
	all = map[string]processNote{}
	for name, text := range texts {
		var n processNote
		if id, ok := strings.CutPrefix(name, processNotes); ok && json.Unmarshal([]byte(text), &n) == nil {
			all[id] = n
		}
	}
	return kept, known, all, nil
}

// state is what the database itself says.
type state struct {
	server    string
	ahead     time.Duration // its clock, of ours
	mark      Mark
	used      bool                       // some router has written to it
	witnesses map[string]map[int64]int64 // by process and slot
}

// readState reads the witnesses of some processes, and which server has them.
func (s *Store) readState(ctx context.Context, pool *pgxpool.Pool, processes []string) (st state, err error) {
	err = on(ctx, pool, func(c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		queue(b, beginRead)
		queue(b, settings)
		began := s.now()
		queue(b, `SELECT psi_router.server(), clock_timestamp()`).QueryRow(func(row pgx.Row) error {
			var there pgtype.Timestamptz
			err := scan(row, &st.server, &there)
			here := s.now()
			st.ahead = instant(there).Sub(here.Add(-here.Sub(began) / 2)).Round(time.Second)
			return err
		})
		queue(b, selectMark).QueryRow(func(row pgx.Row) error { return scan(row, &st.mark.ID, &st.mark.Generation, &st.mark.Pos) })
		queue(b, `SELECT EXISTS (SELECT FROM psi_router.witnesses)`).QueryRow(func(row pgx.Row) error { return scan(row, &st.used) })
		st.witnesses = map[string]map[int64]int64{}
		queue(b, `SELECT process, slot, n FROM psi_router.witnesses WHERE process = ANY ($1::text[])`, processes).Query(each(func(rows pgx.Rows) error {
			var process string
			var slot, n int64
			err := scan(rows, &process, &slot, &n)
			if st.witnesses[process] == nil {
				st.witnesses[process] = map[int64]int64{}
			}
			st.witnesses[process][slot] = n
			return err
		}))
		queue(b, `COMMIT`)
		return send(ctx, c, b)
	})
	return st, err
}

// lost says whose commits a database lacks; "" is nobody's.
func (st *state) lost(notes map[string]processNote) string {
	for _, process := range slices.Sorted(maps.Keys(notes)) {
		n := notes[process]
		if n.Generation != st.mark.Generation {
			continue // of a database that is no more
		}
		for slot, synced := range n.Slots {
			if st.witnesses[process][int64(slot)] < synced {
				return process
			}
		}
	}
	return ""
}

// Witnesses of processes that have written nothing for so long. Every process writes
// when it prunes.
const (
	prunePace = 10 * time.Minute
	noteFor   = `1 hour` // its note goes: those who wrote since know of its commits too
	rowFor    = `7 days` // its rows go: it may have been stopped, and go on
)

// prune removes what processes that are gone have left. Their highest numbers become
// this process's.
func (s *Store) prune(ctx context.Context) error {
	_, _, notes, err := s.memory.readNotes(ctx)
	if err != nil {
		return err
	}
	const query = `SELECT process FROM psi_router.witnesses WHERE process = ANY ($1::text[])
		GROUP BY process HAVING max(at) < clock_timestamp() - $2::text::interval`
	rows, err := s.pool.Query(ctx, query, slices.Collect(maps.Keys(notes)), noteFor)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	err = s.short(ctx, func(b *pgx.Batch) {
		queue(b, `DELETE FROM psi_router.witnesses WHERE at < clock_timestamp() - $1::text::interval`, rowFor)
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	theirs, names := map[string]processNote{}, []string{}
	for _, process := range gone {
		theirs[process] = notes[process]
		names = append(names, processNotes+process)
	}
	s.memory.raiseTo(highNotes(theirs))
	if _, err := s.note(ctx); err != nil {
		return err
	}
	return s.memory.notes.DropNotes(ctx, names...)
}

// NoteEmptied remembers when the notes were found to be gone; Emptied returns it, zero
// for never.
func (s *Store) NoteEmptied(ctx context.Context, at time.Time) error {
	_, err := s.memory.notes.Note(ctx, emptiedNote, at.UTC().Format(time.RFC3339Nano), emptiedNote)
	return err
}

// Emptied is when the notes were found to be gone last.
func (s *Store) Emptied(ctx context.Context) (at time.Time, err error) {
	texts, err := s.memory.notes.Notes(ctx)
	if err != nil || texts[emptiedNote] == "" {
		return at, err
	}
	return time.Parse(time.RFC3339Nano, texts[emptiedNote])
}
