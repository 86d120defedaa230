package main

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/redistest"
)

// TestOfflineOverServers: with Redis and PostgreSQL configured nothing of a router
// lies in data_dir, and yet there is something to look at.
func TestOfflineOverServers(t *testing.T) {
	t.Parallel()
	db, redis := pgtest.New(t, pgtest.Options{}), redistest.Start(t, redistest.AOF...)
	sh := shell{t, []string{
		"PSI_SANDBOX=true", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_LOG_LEVEL=error",
		"PSI_REDIS_URL=" + redis.URL(), "PSI_DATABASE_URL=" + db.URL(db.Database(t)),
	}}
	sh.want(exitUnreachable, []string{"redis_url and database_url cannot be opened", "psi-router migrate"}, "queue", "stats")

	cfg, err := config.Load(config.Options{Env: sh.environ})
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), app.Options{Config: cfg, Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	sh.fine([]string{"inbound"}, "queue", "stats")

	redis.Kill()
	sh.want(exitUnreachable, []string{"redis_url and database_url cannot be opened", "queue is unavailable"}, "queue", "stats")
}
