package delivery_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
	"github.com/psivisionhub/psi-router/internal/store"
)

// fakeMediaStore records the states of files.
type fakeMediaStore struct {
	mu    sync.Mutex
	media map[string]store.Media
	log   []string
	err   error
}

func (a *fakeMediaStore) SaveMedia(ctx context.Context, id string, m store.Media) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.err != nil {
		return a.err
	}
	a.media[id] = m
	a.log = append(a.log, id+" "+m.State)
	return nil
}

// fakeFetcher serves files by media id, or fails with a script.
type fakeFetcher struct {
	mu     sync.Mutex
	files  map[string]string
	mime   string
	script func(n int) error
	calls  int
	body   func(string) io.Reader
}

func (s *fakeFetcher) Fetch(_ context.Context, m inbound.Media) (io.ReadCloser, string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.script != nil {
		if err := s.script(s.calls); err != nil {
			return nil, "", err
		}
	}
	var r io.Reader = strings.NewReader(s.files[m.ID])
	if s.body != nil {
		r = s.body(s.files[m.ID])
	}
	return io.NopCloser(r), s.mime, nil
}

type mediaRig struct {
	*testing.T
	model   *queuetest.Model
	store   *fakeMediaStore
	fetcher *fakeFetcher
	dir     string
	stop    func()
}

func newMediaRig(t *testing.T, dir string, o delivery.MediaOptions) *mediaRig {
	t.Helper()
	c := &mediaRig{
		T: t, model: queuetest.NewModel(time.Now), dir: dir,
		store: &fakeMediaStore{media: map[string]store.Media{}}, fetcher: &fakeFetcher{files: map[string]string{}},
	}
	o.Store, o.Queue, o.Dir = c.store, c.model, dir
	if o.Fetchers == nil {
		o.Fetchers = map[string]delivery.Fetcher{"wsp4": c.fetcher}
	}
	o.Backoff.Rand = func() float64 { return 1 }
	m := delivery.NewMedia(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	c.stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	return c
}

func (c *mediaRig) ask(id string, m inbound.Media) {
	c.Helper()
	body, err := json.Marshal(store.MediaRef{MessageID: id, Line: "wsp4", Media: m})
	if err != nil {
		c.Fatal(err)
	}
	if _, err := c.model.Enqueue(c.Context(), []queue.Job{{Queue: "media", Lane: id, ID: id, Body: body}}); err != nil {
		c.Fatal(err)
	}
}

// files lists what is on the disk, unfinished files too.
func (c *mediaRig) onDisk() []string {
	var all []string
	err := filepath.WalkDir(c.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(c.dir, path)
			all = append(all, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil {
		c.Fatal(err)
	}
	return all
}

func (c *mediaRig) stats() queue.Stats {
	all, err := c.model.Stats(context.WithoutCancel(c.Context()))
	if err != nil || len(all) != 1 {
		c.Fatal(all, err)
	}
	return all[0]
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func TestMedia(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n and so on"
	sum := digest(png)
	ready := store.Media{State: "ready", Path: sum[:2] + "/" + sum + ".png", Media: inbound.Media{MIME: "image/png", SHA256: sum, Size: int64(len(png))}}
	with := func(change func(*store.Media)) store.Media {
		m := ready
		change(&m)
		return m
	}
	failed := func(m inbound.Media, why string) store.Media {
		return store.Media{State: "failed", Error: why, Media: m}
	}
	for name, tt := range map[string]struct {
		ask     inbound.Media
		fetcher func(*fakeFetcher)
		opts    delivery.MediaOptions
		want    store.Media
		log     []string
		dead    int64
		calls   int
	}{
		"fetched": {
			ask:  inbound.Media{ID: "1", MIME: "image/png", SHA256: sum, Name: "../../foto.png", URL: "https://short.lived/"},
			want: with(func(m *store.Media) { m.ID, m.Name = "1", "../../foto.png" }), calls: 1,
		},
		"type by what the provider says": {
			ask: inbound.Media{ID: "1"}, fetcher: func(s *fakeFetcher) { s.mime = "image/jpeg; q=1" }, calls: 1,
			want: with(func(m *store.Media) { m.ID, m.MIME, m.Path = "1", "image/jpeg", sum[:2]+"/"+sum+".jpg" }),
		},
		"type by content": {
			ask: inbound.Media{ID: "1", MIME: "weird/thing"}, calls: 1,
			want: with(func(m *store.Media) { m.ID = "1" }),
		},
		"inline, without network": {
			ask:  inbound.Media{MIME: "image/png", Inline: base64.StdEncoding.EncodeToString([]byte(png))},
			want: ready,
		},
		"inline as a data URL": {
			ask:  inbound.Media{MIME: "image/png", Inline: "data:image/png;base64," + base64.RawStdEncoding.EncodeToString([]byte(png))},
			want: ready,
		},
		"broken inline": {
			ask: inbound.Media{Inline: "%%%"}, want: failed(inbound.Media{}, "cannot be fetched: its base64 is broken"),
		},
		"gone": {
			ask: inbound.Media{ID: "1"}, calls: 1,
			fetcher: func(s *fakeFetcher) {
				s.script = func(int) error { return &outbound.Failure{Class: outbound.Permanent, Code: 404, Detail: "gone"} }
			},
			want: failed(inbound.Media{ID: "1"}, "gone (code 404)"),
		},
		"too large": {
			ask: inbound.Media{ID: "1"}, calls: 1, opts: delivery.MediaOptions{MaxBytes: 1 << 20},
			fetcher: func(s *fakeFetcher) { s.files["1"] = strings.Repeat("x", 1<<20+1) },
			want:    failed(inbound.Media{ID: "1"}, "cannot be fetched: larger than 1 MB"),
		},
		"said to be too large": {
			ask: inbound.Media{ID: "1", Size: 200 << 20}, want: failed(inbound.Media{ID: "1", Size: 200 << 20}, "cannot be fetched: larger than 100 MB"),
		},
		"after a failure": {
			ask: inbound.Media{ID: "1"}, calls: 3,
			fetcher: func(s *fakeFetcher) {
				s.script = func(n int) error {
					return map[int]error{1: errors.New("secret token in here"), 2: &outbound.Failure{Class: outbound.Throttle}}[n]
				}
			},
			want: with(func(m *store.Media) { m.ID = "1" }), log: []string{"m pending", "m pending", "m ready"},
		},
		"broken off": {
			ask: inbound.Media{ID: "1"}, calls: 3, dead: 1, opts: delivery.MediaOptions{MaxAttempts: 3},
			fetcher: func(s *fakeFetcher) {
				s.body = func(f string) io.Reader {
					return io.MultiReader(strings.NewReader(f), failing{errors.New("https://x?token=secret: reset")})
				}
			},
			want: failed(inbound.Media{ID: "1"}, "the download broke off"), log: []string{"m pending", "m pending", "m failed"},
		},
		"not what was sent": {
			ask: inbound.Media{ID: "1", SHA256: digest("other")}, calls: 2, dead: 1, opts: delivery.MediaOptions{MaxAttempts: 2},
			want: failed(inbound.Media{ID: "1", SHA256: digest("other")}, "not as it should be: its hash differs"),
			log:  []string{"m pending", "m failed"},
		},
		"empty": {
			ask: inbound.Media{ID: "none"}, calls: 1, dead: 1, opts: delivery.MediaOptions{MaxAttempts: 1},
			want: failed(inbound.Media{ID: "none"}, "not as it should be: it is empty"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				c := newMediaRig(t, dir, tt.opts)
				c.fetcher.files["1"] = png
				if tt.fetcher != nil {
					tt.fetcher(c.fetcher)
				}
				c.ask("m", tt.ask)
				pass(10 * time.Minute)
				c.stop()
				if diff := cmp.Diff(c.store.media["m"], tt.want); diff != "" {
					t.Error(diff)
				}
				if tt.log != nil {
					if diff := cmp.Diff(c.store.log, tt.log); diff != "" {
						t.Error(diff)
					}
				}
				if got := c.stats(); got.Dead != tt.dead || got.Depth != 0 || c.fetcher.calls != tt.calls {
					t.Errorf("%d fetches, %+v", c.fetcher.calls, got)
				}
				want := []string(nil)
				if tt.want.State == "ready" {
					want = []string{tt.want.Path}
					if got, err := os.ReadFile(filepath.Join(dir, tt.want.Path)); err != nil || string(got) != png {
						t.Errorf("on the disk: %q %v", got, err)
					}
				}
				if diff := cmp.Diff(c.onDisk(), want); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestMediaIsThere: a forwarded file, or a repeated job, needs no network; two files with
// one name do not collide.
func TestMediaIsThere(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newMediaRig(t, dir, delivery.MediaOptions{})
		c.fetcher.files["1"], c.fetcher.files["2"] = "one", "two"
		m := inbound.Media{ID: "1", MIME: "application/pdf", SHA256: digest("one"), Name: "factura.pdf"}
		c.ask("a", m)
		pass(time.Second)
		c.ask("b", m)
		c.ask("c", inbound.Media{ID: "2", MIME: "application/pdf", Name: "factura.pdf"})
		pass(time.Second)
		c.stop()
		if c.fetcher.calls != 2 || len(c.onDisk()) != 2 {
			t.Errorf("%d fetches, on disk %v", c.fetcher.calls, c.onDisk())
		}
		if diff := cmp.Diff(c.store.media["a"], c.store.media["b"]); diff != "" {
			t.Error(diff)
		}
		if c.store.media["c"].Path == c.store.media["a"].Path {
			t.Error("one message shows the other's file")
		}
	})
}

// TestMediaOutages: our own outages cost no attempt.
func TestMediaOutages(t *testing.T) {
	t.Run("store", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			c := newMediaRig(t, dir, delivery.MediaOptions{MaxAttempts: 1})
			c.fetcher.files["1"] = "one"
			c.store.err = fmt.Errorf("down: %w", store.ErrUnavailable)
			c.ask("a", inbound.Media{ID: "1", SHA256: digest("one")})
			pass(time.Hour)
			c.store.mu.Lock()
			c.store.err = nil
			c.store.mu.Unlock()
			pass(time.Minute)
			c.stop()
			if c.store.media["a"].State != "ready" || c.fetcher.calls != 1 {
				t.Errorf("%+v, %d fetches", c.store.media["a"], c.fetcher.calls)
			}
		})
	})
	t.Run("disk", func(t *testing.T) {
		dir := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			c := newMediaRig(t, dir, delivery.MediaOptions{MaxAttempts: 1})
			c.fetcher.files["1"] = "one"
			synctest.Wait()
			// A file is where the directory has to be.
			block := filepath.Join(dir, digest("one")[:2])
			if err := os.WriteFile(block, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			c.ask("a", inbound.Media{ID: "1"})
			pass(time.Hour)
			if err := os.Remove(block); err != nil {
				t.Fatal(err)
			}
			pass(5 * time.Minute)
			c.stop()
			if got := c.store.media["a"]; got.State != "ready" {
				t.Errorf("%+v", got)
			}
			if got := c.stats(); got.Retried != 0 || got.Dead != 0 {
				t.Errorf("%+v", got)
			}
		})
	})
}

// TestMediaDrain: a download that is cut off comes again, uncounted, and leaves nothing
// behind.
func TestMediaDrain(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := newMediaRig(t, dir, delivery.MediaOptions{MaxAttempts: 1, Drain: 10 * time.Second})
		c.fetcher.body = func(string) io.Reader { return endless{} }
		c.ask("a", inbound.Media{ID: "1"})
		pass(time.Second)
		c.stop()
		if got := c.stats(); got.Depth != 1 || got.Dead != 0 || got.Retried != 0 || got.InFlight != 0 {
			t.Errorf("%+v", got)
		}
		if got := c.onDisk(); len(got) != 0 || len(c.store.log) != 0 {
			t.Errorf("left behind: %v %v", got, c.store.log)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return copy(p, "x"), nil
}

// TestMediaSweep: the unfinished files of a killed process are removed, those of a running
// one are not.
func TestMediaSweep(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{".part-old": time.Hour, ".part-new": time.Minute} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	m := delivery.NewMedia(delivery.MediaOptions{Store: &fakeMediaStore{}, Queue: queuetest.NewModel(nil), Dir: dir})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.Run(ctx); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, ".part-*"))
	if len(left) != 1 || !bytes.HasSuffix([]byte(left[0]), []byte("new")) {
		t.Errorf("left: %v", left)
	}
}
