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
	"github.com/psivisionhub/psi-router/internal/store/sqlrow"
)

const (
	storeNote  = "store"  // a Watermark: which store this is
	serverNote = "server" // the last server that a process compared, or is about to compare
	// emptiedNote is when all other notes were found missing, as time.RFC3339Nano.
	emptiedNote = "emptied"
	// processPrefix precedes the name of a process.
	processPrefix = "process:"
)

// processNote is what a process keeps outside of the database.
type processNote struct {
	Generation int64            `json:"generation"`
	Slots      []int64          `json:"slots"` // see witnesses.syncedCommits
	High       map[string]int64 `json:"high,omitempty"`
}

// rewindGuard is what a process knows of the database that the database may forget.
type rewindGuard struct {
	notes Notes

	mu         sync.Mutex
	server     string        // the server that was compared
	clockAhead time.Duration // by how many whole seconds its clock is ahead of ours
	watermark  Watermark
	limits     map[string]int64 // by counter: no higher number is given out
}

func (g *rewindGuard) verifiedServer() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.server
}

func (g *rewindGuard) currentWatermark() Watermark {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.watermark
}

func (g *rewindGuard) generation() int64 { return g.currentWatermark().Generation }

// accept stores what was compared, and reports whether the store is another one than
// before.
func (g *rewindGuard) accept(now *serverState) (news bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	news = g.watermark.ID != now.watermark.ID || g.watermark.Generation != now.watermark.Generation
	if news {
		g.limits = map[string]int64{}
	}
	g.server, g.watermark, g.clockAhead = now.server, now.watermark, now.clockAhead
	return news
}

// serverTime returns the server's time at a time of ours. Rows that several processes
// compare with the time use it.
func (s *Store) serverTime(now time.Time) time.Time {
	s.guard.mu.Lock()
	defer s.guard.mu.Unlock()
	return now.Add(s.guard.clockAhead)
}

func (g *rewindGuard) limit(counter string) int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.limits[counter]
}

func (g *rewindGuard) raiseLimits(high map[string]int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for counter, value := range high {
		g.limits[counter] = max(g.limits[counter], value)
	}
}

// publishProgress notes outside how far this process is. It returns once the note is in
// force: whoever compares the database later sees it. Claimed messages may be posted then.
func (s *Store) publishProgress(ctx context.Context) error {
	server, err := s.writeNote(ctx)
	if err != nil || server == s.guard.verifiedServer() {
		return err
	}
	// Another process found another server, and ours may be gone; or the notes are gone.
	if err := s.verify(ctx, s.pool); err != nil || server != "" {
		return err
	}
	return fmt.Errorf("the notes about the database were gone: %w", store.ErrUnavailable)
}

// writeNote writes this process's note, and returns the server that was announced last.
func (s *Store) writeNote(ctx context.Context) (server string, err error) {
	s.guard.mu.Lock()
	n := processNote{Generation: s.guard.watermark.Generation, Slots: s.witnesses.syncedCommits(), High: maps.Clone(s.guard.limits)}
	s.guard.mu.Unlock()
	text, err := json.Marshal(n)
	if err != nil {
		return "", err
	}
	server, err = s.guard.notes.Note(ctx, processPrefix+s.witnesses.processName(), string(text), serverNote)
	if err != nil {
		return "", fmt.Errorf("write the notes about the database: %w: %w", store.ErrUnavailable, err)
	}
	return server, nil
}

// raiseLimit notes that more of a counter's numbers may be given out.
func (s *Store) raiseLimit(ctx context.Context, pool *pgxpool.Pool, counter string) error {
	var value int64
	const query = `SELECT coalesce((SELECT value FROM psi_router.counters WHERE name = $1), 0)`
	if err := pool.QueryRow(ctx, query, counter).Scan(&value); err != nil {
		return err
	}
	ahead := int64(sqlrow.TicketsAhead)
	if counter == sqlrow.NumberedCounter {
		ahead = sqlrow.PositionsAhead
	}
	s.guard.mu.Lock()
	was := s.guard.limits[counter]
	s.guard.limits[counter] = max(value, was) + ahead
	s.guard.mu.Unlock()
	_, err := s.writeNote(ctx)
	if err != nil { // a number that is not noted must not be given out
		s.guard.mu.Lock()
		s.guard.limits[counter] = was
		s.guard.mu.Unlock()
	}
	return err
}

// highestLimits returns the highest number of each counter that any process may have given
// out.
func highestLimits(all map[string]processNote) map[string]int64 {
	high := map[string]int64{}
	for _, n := range all {
		for counter, value := range n.High {
			high[counter] = max(high[counter], value)
		}
	}
	return high
}

// readNotes returns the store's note, and those of the processes.
func (g *rewindGuard) readNotes(ctx context.Context) (kept Watermark, known bool, all map[string]processNote, err error) {
	texts, err := g.notes.Notes(ctx)
	if err != nil {
		return kept, false, nil, fmt.Errorf("read the notes about the database: %w: %w", store.ErrUnavailable, err)
	}
	if text := texts[storeNote]; text != "" {
		known = json.Unmarshal([]byte(text), &kept) == nil
	}
	all = map[string]processNote{}
	for name, text := range texts {
		var n processNote
		if id, ok := strings.CutPrefix(name, processPrefix); ok && json.Unmarshal([]byte(text), &n) == nil {
			all[id] = n
		}
	}
	return kept, known, all, nil
}

// serverState is what the database says of itself.
type serverState struct {
	server     string
	clockAhead time.Duration // relative to ours
	watermark  Watermark
	used       bool                       // some router has written to it
	witnesses  map[string]map[int64]int64 // by process and slot
}

// readState reads the witnesses of some processes, and the server.
func (s *Store) readState(ctx context.Context, pool *pgxpool.Pool, processes []string) (st serverState, err error) {
	err = withConn(ctx, pool, func(c *pgxpool.Conn) error {
		b := &pgx.Batch{}
		queue(b, beginRead)
		queue(b, txSettings)
		began := s.now()
		queue(b, `SELECT psi_router.server(), clock_timestamp()`).QueryRow(func(row pgx.Row) error {
			var there pgtype.Timestamptz
			err := scan(row, &st.server, &there)
			here := s.now()
			st.clockAhead = instant(there).Sub(here.Add(-here.Sub(began) / 2)).Round(time.Second)
			return err
		})
		queue(b, selectWatermark).QueryRow(func(row pgx.Row) error {
			return scan(row, &st.watermark.ID, &st.watermark.Generation, &st.watermark.Pos)
		})
		queue(b, `SELECT EXISTS (SELECT FROM psi_router.witnesses)`).QueryRow(func(row pgx.Row) error { return scan(row, &st.used) })
		st.witnesses = map[string]map[int64]int64{}
		queue(b, `SELECT process, slot, n FROM psi_router.witnesses WHERE process = ANY ($1::text[])`, processes).Query(eachRow(func(rows pgx.Rows) error {
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
		return sendBatch(ctx, c, b)
	})
	return st, err
}

// findLostCommits returns a process whose commits the database lacks, "" for none.
func (st *serverState) findLostCommits(notes map[string]processNote) string {
	for _, process := range slices.Sorted(maps.Keys(notes)) {
		n := notes[process]
		if n.Generation != st.watermark.Generation {
			continue // of an earlier database
		}
		for slot, synced := range n.Slots {
			if st.witnesses[process][int64(slot)] < synced {
				return process
			}
		}
	}
	return ""
}

// Witnesses of processes without recent writes. Every process writes when it prunes.
const (
	pruneInterval = 10 * time.Minute
	noteTTL       = `1 hour` // its note goes: later writers know of its commits too
	witnessTTL    = `7 days` // its rows go: until then it may be stopped, and continue
)

// pruneWitnesses deletes the witnesses of processes that are gone. Their highest numbers
// become this process's.
func (s *Store) pruneWitnesses(ctx context.Context) error {
	_, _, notes, err := s.guard.readNotes(ctx)
	if err != nil {
		return err
	}
	const query = `SELECT process FROM psi_router.witnesses WHERE process = ANY ($1::text[])
		GROUP BY process HAVING max(at) < clock_timestamp() - $2::text::interval`
	rows, err := s.pool.Query(ctx, query, slices.Collect(maps.Keys(notes)), noteTTL)
	if err != nil {
		return err
	}
	gone, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	err = s.writeDirect(ctx, func(b *pgx.Batch) {
		queue(b, `DELETE FROM psi_router.witnesses WHERE at < clock_timestamp() - $1::text::interval`, witnessTTL)
	})
	if err != nil || len(gone) == 0 {
		return err
	}
	theirs, names := map[string]processNote{}, []string{}
	for _, process := range gone {
		theirs[process] = notes[process]
		names = append(names, processPrefix+process)
	}
	s.guard.raiseLimits(highestLimits(theirs))
	if _, err := s.writeNote(ctx); err != nil {
		return err
	}
	return s.guard.notes.DropNotes(ctx, names...)
}

// lostNotes handles missing notes.
func (s *Store) lostNotes(ctx context.Context) error {
	at := s.now().UTC().Format(time.RFC3339Nano)
	if _, err := s.guard.notes.Note(ctx, emptiedNote, at, emptiedNote); err != nil {
		return err
	}
	// The store is not ready yet, so Paused refuses.
	rows, _ := s.pool.Query(ctx, `SELECT queue FROM psi_router.pauses ORDER BY queue`)
	paused, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	return s.opts.OnNotesLost(ctx, paused)
}

// NotesLostAt returns when the notes were last found missing, zero for never.
func (s *Store) NotesLostAt(ctx context.Context) (at time.Time, err error) {
	texts, err := s.guard.notes.Notes(ctx)
	if err != nil || texts[emptiedNote] == "" {
		return at, err
	}
	return time.Parse(time.RFC3339Nano, texts[emptiedNote])
}
