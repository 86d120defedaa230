package redisqueue

import (
	"errors"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/methodtest"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestErrorsHaveTheFix runs the commands in the error; after them the queue has to open.
func TestErrorsHaveTheFix(t *testing.T) {
	t.Parallel()
	command := regexp.MustCompile(`redis-cli [^&(]+`)
	for _, c := range []struct {
		name, durability string
		config           []string
		say              string
	}{
		{"no file", "fsync", nil, "appendonly no"},
		{"a file that is synced each second", "fsync", []string{"appendonly yes"}, "appendfsync everysec"},
		{"no file beside the copy", "replica", nil, "appendonly no"},
		{"a file beside the copy that is behind", "replica", []string{"appendonly yes", "appendfsync everysec"}, "appendfsync everysec"},
		{"eviction", "relaxed", []string{"maxmemory 100mb", "maxmemory-policy allkeys-lru"}, "maxmemory-policy allkeys-lru"},
		{"both", "", []string{"maxmemory-policy volatile-lru"}, "maxmemory-policy volatile-lru"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := redistest.Start(t, c.config...)
			for range 3 {
				e, err := Open(t.Context(), Options{URL: s.URL(), Durability: c.durability})
				if err == nil {
					if err := e.Close(); err != nil {
						t.Error(err)
					}
					return
				}
				if !errors.Is(err, ErrSetup) {
					t.Fatalf("got %v, want ErrSetup", err)
				}
				if !strings.Contains(err.Error(), c.say) {
					t.Errorf("%q does not say %q", err, c.say)
				}
				c.say = ""
				for _, cmd := range command.FindAllString(err.Error(), -1) {
					args := strings.Fields(cmd)
					if out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "OK") {
						t.Fatalf("%s: %s, %v", cmd, out, err)
					}
				}
			}
			t.Error("the cures do not cure")
		})
	}
}

func TestBadOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{
		{URL: "redis://127.0.0.1:1", Durability: "always"},
		{URL: "http://127.0.0.1:1"},
		{URL: "redis://127.0.0.1:1", Prefix: "a{b"},
	} {
		if _, err := Open(t.Context(), o); err == nil || errors.Is(err, queue.ErrUnavailable) {
			t.Errorf("%+v: got %v", o, err)
		}
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	s := must(shared.single())(t)
	e := open(t, Options{URL: s.URL()})
	enqueue(t, e, job("a", 0))
	if _, err := s.Do(t.Context(), "HSET", e.state("q").keys[0], "v", "99"); err != nil {
		t.Fatal(err)
	}
	_, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)})
	if !errors.Is(err, ErrSetup) || !strings.Contains(err.Error(), "99") {
		t.Errorf("enqueue: %v", err)
	}
	if _, err := e.Exchange(t.Context(), "q", nil, 1, 1e9); !errors.Is(err, ErrSetup) {
		t.Errorf("exchange: %v", err)
	}
	if _, err := Open(t.Context(), Options{URL: s.URL(), Durability: "relaxed", Prefix: e.opts.Prefix}); !errors.Is(err, ErrSetup) {
		t.Errorf("open: %v", err)
	}
}

// TestServerThatChangedIsLookedAt: a new connection may lead to a server with weaker
// settings.
func TestChangedServerIsInspected(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, redistest.AOF...)
	e := open(t, Options{URL: s.URL(), Durability: "fsync"})
	enqueue(t, e, job("a", 0))
	for _, set := range []string{"everysec", "always"} {
		if _, err := s.Do(t.Context(), "CONFIG", "SET", "appendfsync", set); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"); err != nil {
			t.Fatal(err)
		}
		if set == "always" {
			settles(t, "enqueue", func() error {
				_, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)})
				if errors.Is(err, ErrSetup) {
					return queue.ErrUnavailable
				}
				return err
			})
			return
		}
		for range 100 {
			_, err := e.Enqueue(t.Context(), []queue.Job{job("a", 2)})
			if err == nil {
				t.Fatal("accepted what the disk may not have")
			}
			if errors.Is(err, ErrSetup) {
				break
			}
		}
	}
}

func TestOpenWithoutServer(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	if _, err := Open(t.Context(), Options{URL: s.URL(), Durability: "relaxed"}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	e := open(t, Options{URL: s.URL(), Lazy: true})
	woke := waiting(t, e)
	if err := <-woke; !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("wait: %v", err)
	}
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("enqueue: %v", err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("enqueue before it is ready: %v", err)
	}
	settles(t, "ready", func() error { return e.Ready(t.Context()) })
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); err != nil {
		t.Errorf("enqueue: %v", err)
	}
	check(t, e)
}

// TestNothingBeforeReady: until Ready, every call returns ErrUnavailable, also if the
// server is up; and its limits are set before the first use.
func TestNothingBeforeReady(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	want := queue.Limit{Rate: 7, Burst: 3}
	e := open(t, Options{URL: s.URL(), Durability: "relaxed", Limits: map[string]queue.Limit{"q": want}, Lazy: true})
	refuses := func() {
		t.Helper()
		for name, err := range methodtest.Errors[queue.Engine](t, e, "Close") {
			if !errors.Is(err, queue.ErrUnavailable) {
				t.Errorf("%s: got %v, want ErrUnavailable", name, err)
			}
		}
	}
	refuses()
	if err := e.Ready(t.Context()); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("without a server: got %v, want ErrUnavailable", err)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	refuses()
	settles(t, "ready", func() error { return e.Ready(t.Context()) })
	if got := stats(t, e).Limit; got != want {
		t.Errorf("limit: got %+v, want %+v", got, want)
	}
}

// TestMisconfiguredRedisComesUpLater: a server that comes later with the wrong settings is
// not used, and Ready says why.
func TestMisconfiguredRedisComesUpLater(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Kill()
	e := open(t, Options{URL: s.URL(), Durability: "fsync", Lazy: true})
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	end := time.After(30 * time.Second)
	for !errors.Is(e.Ready(t.Context()), ErrSetup) {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-end:
			t.Fatalf("got %v, want ErrSetup", e.Ready(t.Context()))
		}
	}
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); !errors.Is(err, queue.ErrUnavailable) || !errors.Is(err, ErrSetup) {
		t.Errorf("enqueue: got %v, want ErrUnavailable for ErrSetup", err)
	}
}

func TestRefusesWithoutReplica(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "appendonly yes", "appendfsync no", "repl-diskless-sync-delay 0")
	e := open(t, Options{URL: s.URL(), Durability: "replica", Timeout: 500 * time.Millisecond})
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("without a replica: %v", err)
	}
	host, port, _ := strings.Cut(s.Addr, ":")
	r := redistest.Start(t, "replicaof "+host+" "+port)
	synced(t, s, r)
	var added []bool
	settles(t, "enqueue", func() (err error) {
		added, err = e.Enqueue(t.Context(), []queue.Job{job("a", 0)})
		return err
	})
	if added[0] {
		t.Error("the repeat is a duplicate")
	}
	r.Kill()
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 0)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("a duplicate must pass the same wait: %v", err)
	}

	// A queue that a failed call created is registered and limited like any other.
	want := queue.Limit{Rate: 1000, Burst: 10}
	if err := e.SetLimit(t.Context(), "q", want); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Do(t.Context(), "FLUSHALL"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)}); !errors.Is(err, queue.ErrUnavailable) {
		t.Errorf("without a replica: %v", err)
	}
	synced(t, s, redistest.Start(t, "replicaof "+host+" "+port))
	settles(t, "enqueue", func() error {
		_, err := e.Enqueue(t.Context(), []queue.Job{job("a", 1)})
		return err
	})
	if st := stats(t, e); st.Enqueued != 1 || st.Limit != want {
		t.Errorf("stats %+v", st)
	}
}
