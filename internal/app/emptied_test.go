package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestRedisComesBackEmpty, under a running router and while none runs: it is reported, an
// operator's pause stays, and the next message is answered.
func TestRedisComesBackEmpty(t *testing.T) {
	db, redis := pgtest.New(t, pgtest.Options{}), redistest.Start(t, redistest.AOF...)
	dir := t.TempDir()
	env := []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + dir,
		"PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}
	r := startAs(t, roleAll, env...)
	stop := func() {
		r.stop()
		if !strings.Contains(r.logs.String(), "Redis came back empty") {
			t.Error("it is not in the log")
		}
	}
	for n, flush := range []func(){
		func() { flushRedis(t, redis.Addr) },
		func() {
			stop()
			flushRedis(t, redis.Addr)
			r = startAs(t, roleAll, env...)
		},
	} {
		since := time.Now()
		ana := fmt.Sprintf("54911555509%02d", n)
		r.write(ana, fmt.Sprint("wamid.e", n), "hola")
		r.messages(ana, answered(1, "Con quién querés hablar"))
		r.order(dir, "/api/v1/queues/media/pause")
		flush()
		eventually(t, "it is noticed, and the pause is back", func() bool {
			var list struct {
				Items []struct {
					Name   string
					Paused bool
				}
				EmptiedAt time.Time `json:"emptied_at"`
			}
			r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/queues", &list)
			paused := 0
			for _, q := range list.Items {
				if q.Paused {
					paused++
				}
			}
			return list.EmptiedAt.After(since) && paused == 1
		})
		r.write(ana, fmt.Sprint("wamid.f", n), "1")
		r.messages(ana, answered(2, "Administración"))
		r.order(dir, "/api/v1/queues/media/resume")
	}
	// A resumed queue does not come back paused.
	flushRedis(t, redis.Addr)
	since := time.Now()
	eventually(t, "it is noticed again", func() bool {
		var list struct {
			Items     []struct{ Paused bool }
			EmptiedAt time.Time `json:"emptied_at"`
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/queues", &list)
		for _, q := range list.Items {
			if q.Paused {
				t.Fatal("a queue is paused that was resumed")
			}
		}
		return list.EmptiedAt.After(since)
	})
	stop()
}

// order posts to the admin socket in a data_dir.
func (r *testRouter) order(dir, path string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, "http://router"+path, http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", filepath.Join(dir, SocketName))
		},
	}}
	res, err := client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		r.t.Fatalf("%s: %d %s", path, res.StatusCode, text)
	}
}

// flushRedis empties a Redis.
func flushRedis(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "FLUSHALL\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 5)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "+OK\r\n" {
		t.Fatalf("FLUSHALL: %q, %v", answer, err)
	}
}
