package sqlitequeue

import (
	"crypto/sha256"
	"database/sql"

	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/sqlite"
)

// hash stands for an ID: 16 bytes, whatever the ID's length.
type hash [16]byte

func hashOf(j queue.Job) hash {
	sum := sha256.Sum256([]byte(j.Queue + "\x00" + j.ID))
	return hash(sum[:16])
}

// seen holds the IDs of the dedupe window. Hashes are random keys: in a table, each would
// make its job write another page, more than the job itself writes. So the file keeps them
// packed, in order of arrival, and the index is in memory: about 26 bytes for each ID of
// the last 24 to 36 hours. It belongs to the writer.
type seen struct {
	gens        map[int64]map[hash]struct{}
	tail        packed
	expiredLeft bool // rows of dropped generations are still in the file
}

// packed is one row of the table seen.
type packed struct {
	id, gen int64
	hashes  []byte
}

// One row fits into a page.
const hashesPerRow = 3840 / 16

func (s *seen) contains(gen int64, h hash) bool {
	for g := gen - 2; g <= gen; g++ {
		if _, found := s.gens[g][h]; found {
			return true
		}
	}
	return false
}

func (s *seen) add(gen int64, h hash) {
	if s.gens[gen] == nil {
		s.gens[gen] = map[hash]struct{}{}
	}
	s.gens[gen][h] = struct{}{}
}

// dropBefore drops the generations before first; each commit deletes a few of their rows.
func (s *seen) dropBefore(tx *sqlite.Tx, first int64) error {
	const chunk = 200
	old := s.expiredLeft
	for g := range s.gens {
		old = old || g < first
	}
	if !old {
		return nil
	}
	r, err := tx.Exec(`DELETE FROM seen WHERE id IN (SELECT id FROM seen WHERE gen < ? LIMIT ?)`, first, chunk)
	if err != nil {
		return err
	}
	n, err := r.RowsAffected()
	if err != nil {
		return err
	}
	tx.OnCommit(func() {
		s.expiredLeft = n == chunk
		for g := range s.gens {
			if g < first {
				delete(s.gens, g)
			}
		}
	})
	return nil
}

// load reads the table seen.
func (s *seen) load(tx *sqlite.Tx) error {
	s.gens = map[int64]map[hash]struct{}{}
	return tx.Each(`SELECT id, gen, hashes FROM seen ORDER BY id`, nil, func(row *sql.Rows) error {
		if err := row.Scan(&s.tail.id, &s.tail.gen, &s.tail.hashes); err != nil {
			return err
		}
		for b := s.tail.hashes; len(b) >= 16; b = b[16:] {
			s.add(s.tail.gen, hash(b))
		}
		return nil
	})
}

// admit reports whether the ID is new, and records it for the end of the transaction.
func (st *txState) admit(s *seen, gen int64, h hash) bool {
	if s.contains(gen, h) {
		return false
	}
	if g, found := st.newIDs[h]; found && g >= gen-2 && g <= gen {
		return false
	}
	if st.newIDs == nil {
		st.newIDs = map[hash]int64{}
		st.tx.BeforeCommit(func() error { return s.save(st) })
	}
	st.newIDs[h] = gen
	return true
}

// save appends the transaction's new IDs to the table seen.
func (s *seen) save(st *txState) error {
	byGen := map[int64][]byte{}
	for h, gen := range st.newIDs {
		byGen[gen] = append(byGen[gen], h[:]...)
	}
	tail := s.tail
	for gen, hashes := range byGen {
		for len(hashes) > 0 {
			if tail.gen != gen || len(tail.hashes) >= hashesPerRow*16 || tail.id == 0 {
				tail = packed{id: tail.id + 1, gen: gen}
			}
			n := min(len(hashes), hashesPerRow*16-len(tail.hashes))
			tail.hashes = append(tail.hashes[:len(tail.hashes):len(tail.hashes)], hashes[:n]...)
			hashes = hashes[n:]
			if _, err := st.tx.Exec(`INSERT INTO seen (id, gen, hashes) VALUES (?, ?, ?)
				ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes`, tail.id, tail.gen, tail.hashes); err != nil {
				return err
			}
		}
	}
	st.tx.OnCommit(func() {
		s.tail = tail
		for h, gen := range st.newIDs {
			s.add(gen, h)
		}
	})
	return nil
}
