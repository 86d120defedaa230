package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func schema(ctx context.Context, db *sql.DB) error {
	_, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, s TEXT UNIQUE, b BLOB) STRICT")
	return err
}

func open(t *testing.T, o Options) *DB {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "a b?#%.db")
	}
	o.Migrate = schema
	db, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func insert(s string) func(*Tx) error {
	return func(tx *Tx) error {
		_, err := tx.Exec("INSERT INTO t (s) VALUES (?)", s)
		return err
	}
}

func all(t *testing.T, db *DB) []string {
	t.Helper()
	var got []string
	err := db.Read(t.Context(), func(tx *Tx) error {
		rows, err := tx.Query("SELECT s FROM t ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				return err
			}
			got = append(got, s)
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// together holds the writer until all functions wait, so that they share one
// transaction, and returns their errors.
func together(db *DB, fns ...func(*Tx) error) []error {
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(context.Background(), func(*Tx) error { close(held); <-release; return nil })
	})
	<-held
	errs := make([]error, len(fns))
	for i, fn := range fns {
		wg.Go(func() {
			defer func() {
				if p := recover(); p != nil {
					errs[i] = errors.New(p.(string))
				}
			}()
			errs[i] = db.Write(context.Background(), fn)
		})
		for len(db.writer.requests) < i+1 {
			runtime.Gosched()
		}
	}
	close(release)
	wg.Wait()
	return errs
}

func TestWritesSurviveReopening(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	db := open(t, Options{Path: path})
	if err := db.Write(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), insert("b")); !errors.Is(err, ErrClosed) {
		t.Errorf("write after close: %v, want ErrClosed", err)
	}
	if err := db.Read(t.Context(), func(*Tx) error { return nil }); !errors.Is(err, ErrClosed) {
		t.Errorf("read after close: %v, want ErrClosed", err)
	}
	db2, err := Open(t.Context(), Options{Path: path, Migrate: schema})
	if err != nil {
		t.Fatal(err)
	}
	defer db2.Close()
	if diff := cmp.Diff(all(t, db2), []string{"a"}); diff != "" {
		t.Error(diff)
	}
}

func TestSecondOwnerIsRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.db")
	open(t, Options{Path: path})
	_, err := Open(t.Context(), Options{Path: path})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "data_dir") {
		t.Errorf("got %v, want ErrLocked with a cure", err)
	}
}

// TestClosedDatabaseIsFreeWhileAChildStarts: a child shares all open files of the process from
// its fork to its exec.
func TestClosedDatabaseIsFreeWhileAChildStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "q.db")
	db := open(t, Options{Path: path})
	shared, err := syscall.Dup(int(db.lock.file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(shared)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, Options{Path: path})
}

func TestNeighboursOfAFailingMember(t *testing.T) {
	t.Parallel()
	mine := errors.New("mine")
	for name, bad := range map[string]func(*Tx) error{
		"fails before it wrote": func(*Tx) error { return mine },
		"fails after it wrote": func(tx *Tx) error {
			if err := insert("bad")(tx); err != nil {
				return err
			}
			return mine
		},
		"breaks a constraint": insert("a"),
		"panics after it wrote": func(tx *Tx) error {
			if err := insert("bad")(tx); err != nil {
				return err
			}
			panic("mine")
		},
		"fails in its flush": func(tx *Tx) error {
			tx.BeforeCommit(func() error { return mine })
			return insert("bad")(tx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := open(t, Options{})
			commits := 0
			counted := func(tx *Tx) error {
				tx.OnCommit(func() { commits++ })
				return insert("b")(tx)
			}
			failing := func(tx *Tx) error {
				tx.OnCommit(func() { t.Error("OnCommit ran for a failed member") })
				return bad(tx)
			}
			errs := together(db, insert("a"), failing, counted)
			if errs[0] != nil || errs[1] == nil || errs[2] != nil {
				t.Errorf("got errors %v, want only the second", errs)
			}
			if Unavailable(errs[1]) {
				t.Errorf("%v is no outage", errs[1])
			}
			if diff := cmp.Diff(all(t, db), []string{"a", "b"}); diff != "" {
				t.Error(diff)
			}
			if commits != 1 {
				t.Errorf("%d hooks ran, want 1", commits)
			}
		})
	}
}

func TestScratchIsSharedAndFlushedOnce(t *testing.T) {
	t.Parallel()
	db := open(t, Options{})
	count := func(tx *Tx) error {
		n, _ := tx.Scratch.(*int)
		if n == nil {
			n = new(int)
			tx.Scratch = n
			tx.BeforeCommit(func() error { return insert(strings.Repeat("x", *n))(tx) })
		}
		*n++
		return nil
	}
	for i, err := range together(db, count, count, count) {
		if err != nil {
			t.Errorf("member %d: %v", i, err)
		}
	}
	if diff := cmp.Diff(all(t, db), []string{"xxx"}); diff != "" {
		t.Error(diff)
	}
}

func TestFullDatabaseServesWritesWithoutRoom(t *testing.T) {
	t.Parallel()
	db := open(t, Options{MaxPages: 40})
	if err := db.Write(t.Context(), insert("a")); err != nil {
		t.Fatal(err)
	}
	huge := func(tx *Tx) error {
		if err := insert("huge")(tx); err != nil {
			return err
		}
		_, err := tx.Exec("UPDATE t SET b = zeroblob(1000000) WHERE s = 'huge'")
		return err
	}
	errs := together(db, insert("b"), huge, insert("c"))
	if errs[0] != nil || !Full(errs[1]) || !Unavailable(errs[1]) || errs[2] != nil {
		t.Errorf("got %v, want only the second to be full", errs)
	}
	if diff := cmp.Diff(all(t, db), []string{"a", "b", "c"}); diff != "" {
		t.Error(diff)
	}
}

func TestAbandonedWriteNeverRuns(t *testing.T) {
	t.Parallel()
	db := open(t, Options{})
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(context.Background(), func(*Tx) error { close(held); <-release; return nil })
	})
	<-held
	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() { cancelled <- db.Write(ctx, insert("never")) }()
	for len(db.writer.requests) == 0 {
		runtime.Gosched()
	}
	cancel()
	if err := <-cancelled; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	close(release)
	wg.Wait()
	if got := all(t, db); len(got) != 0 {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestTooManyWaitingAndClose(t *testing.T) {
	t.Parallel()
	db := open(t, Options{Waiting: 1, Patience: time.Millisecond})
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = db.Write(context.Background(), func(*Tx) error { close(held); <-release; return nil })
	})
	<-held
	wg.Go(func() {
		if err := db.Write(context.Background(), insert("a")); err != nil {
			t.Error(err)
		}
	})
	for len(db.writer.requests) == 0 {
		runtime.Gosched()
	}
	if err := db.Write(t.Context(), insert("b")); !errors.Is(err, ErrBusy) || !Unavailable(err) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	go close(release)
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestIdleWriterTidiesUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	synctest.Test(t, func(t *testing.T) {
		db, err := Open(context.Background(), Options{Path: path, Migrate: schema})
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		pages := func() (n int64) {
			if err := db.Read(t.Context(), func(tx *Tx) error {
				_, err := tx.Row("SELECT page_count FROM pragma_page_count()", nil, &n)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			return n
		}
		err = db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec("INSERT INTO t (s, b) VALUES ('big', zeroblob(40000000))")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		before := pages()
		err = db.Write(t.Context(), func(tx *Tx) error {
			_, err := tx.Exec("DELETE FROM t")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if after := pages(); after > 5000 || before < 9000 {
			t.Errorf("%d pages became %d, want under 5000", before, after)
		}
	})
}
