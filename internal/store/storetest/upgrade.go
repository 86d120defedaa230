package storetest

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/store/unit"
)

// Former is a store of the former version, filled by former.sql: 20,000 people with one
// conversation each, and ten messages in each of those.
type Former struct {
	DB *sql.DB // closed by Upgrade
	// Open opens it with this program.
	Open func(ctx context.Context, set unit.Settings) (store.Store, error)
	// Read opens it for reading, beside the program.
	Read func() (*sql.DB, error)
}

// doorOpens is how long messages may wait for a new version to start.
const doorOpens = 10 * time.Second

const formerPeople = 20_000

// Upgrade brings the former store up to date and handles a message of one of its people,
// within doorOpens. Existing rows are unchanged, and the new columns agree with them.
func Upgrade(t *testing.T, f Former) {
	t.Helper()
	before := snapshot(t, f.DB)
	if n := before["messages"].rows; n != 10*formerPeople {
		t.Fatalf("%d messages in the former store", n)
	}
	if err := f.DB.Close(); err != nil {
		t.Fatal(err)
	}

	began := time.Now()
	s, err := f.Open(t.Context(), Settings(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	opened := time.Since(began)

	db, err := f.Read()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	after := map[string]table{}
	for name, was := range before {
		after[name] = read(t, db, name, was.columns)
	}
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(table{})); diff != "" {
		t.Errorf("what was written changed (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(expected(), tallies(t, db)); diff != "" {
		t.Errorf("names and new columns (-want +got):\n%s", diff)
	}

	began = time.Now()
	somebody := inbound.Person{Phone: "5491100000002"}
	now := time.Now()
	results, err := s.Turn(t.Context(), now, []inbound.Arrival{says(somebody, "after", "menu", now)})
	if err != nil || len(results) != 1 || results[0].Conversation != "v2" {
		t.Errorf("a message of somebody who was there: %+v, %v", results, err)
	}
	answered := time.Since(began)
	t.Logf("open after %v, the first turn took %v", opened, answered)
	if opened+answered > doorOpens {
		t.Errorf("messages waited %v for the new version, want at most %v", opened+answered, doorOpens)
	}
}

// table is a table's content: a hash of all its rows, in the order of its key.
type table struct {
	columns []string
	rows    int
	hash    uint64
}

// formerTables are the tables that former.sql fills, in the order of their keys. Aliases of
// Brazilian phones are only counted: a version may write them in its own way.
func formerTables() map[string]string {
	return map[string]string{
		"contacts": "ORDER BY n", "conversations": "ORDER BY n", "messages": "ORDER BY conversation, n",
		"handoffs": "ORDER BY conversation, n", "tickets": "ORDER BY ticket",
		"aliases": "WHERE alias NOT LIKE 'phone:55%' ORDER BY alias",
	}
}

func snapshot(t *testing.T, db *sql.DB) map[string]table {
	t.Helper()
	all := map[string]table{}
	for name := range formerTables() {
		all[name] = read(t, db, name, []string{"*"})
	}
	return all
}

func read(t *testing.T, db *sql.DB, name string, columns []string) (got table) {
	t.Helper()
	query := fmt.Sprintf("SELECT %s FROM %s %s", strings.Join(columns, ", "), name, formerTables()[name])
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	if got.columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	values := make([]sql.RawBytes, len(got.columns))
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	hash, size := fnv.New64a(), []byte{}
	for ; rows.Next(); got.rows++ {
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			size = binary.AppendVarint(size[:0], int64(len(v)))
			if v == nil { // NULL is not the same as an empty value
				size = binary.AppendVarint(size[:0], -1)
			}
			_, _ = hash.Write(size) // never fails
			_, _ = hash.Write(v)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	got.hash = hash.Sum64()
	return got
}

// tallies counts aliases, and conversations by the new columns.
func tallies(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT 'area ' || last_area, count(*) FROM conversations GROUP BY last_area
		UNION ALL SELECT 'left ' || left_reason, count(*) FROM conversations GROUP BY left_reason
		UNION ALL SELECT 'names', count(*) FROM aliases
		UNION ALL SELECT 'left with its word', count(*) FROM conversations WHERE left_reason <> '' AND asked_at = last_inbound`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := map[string]int{}
	for rows.Next() {
		var what string
		var n int
		if err := rows.Scan(&what, &n); err != nil {
			t.Fatal(err)
		}
		got[what] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}

// expected returns the expected tallies, person by person as former.sql makes them.
func expected() map[string]int {
	want := map[string]int{"names": formerPeople}
	for n := 1; n <= formerPeople; n++ {
		switch n % 5 {
		case 0: // a team has it
			want["area ventas"]++
		case 1: // closed, two teams had it
			want["area admin"]++
		default: // in the menu
			want["area "]++
		}
		optedOut, blocked := n%100 == 7 || n%100 == 11 || n%100 == 15, n%1000 == 7
		thisWeek, answered := n/100%2 == 0, n%700 == 7
		if optedOut && !blocked && thisWeek && !answered && n%5 != 0 {
			want["left opted_out"]++
			want["left with its word"]++
		} else {
			want["left "]++
		}
	}
	return want
}
