package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/psivisionhub/psi-router/internal/api"
	"github.com/psivisionhub/psi-router/internal/config"
)

// AfterRestore makes a store that went back in time usable. It returns how many messages
// may or may not have been sent. Routers on PostgreSQL wait meanwhile and go on by
// themselves. A router that has the files of data_dir does it itself, see AfterRestorePath:
// then AfterRestore returns sqlite.ErrLocked.
func AfterRestore(ctx context.Context, cfg *config.Config) (uncertain int, err error) {
	o := opening{cfg: cfg, log: slog.New(slog.DiscardHandler)}
	if cfg.DatabaseURL.Empty() {
		if _, err := os.Stat(filepath.Join(cfg.DataDir, "store.db")); err != nil {
			return 0, fmt.Errorf("there is no store.db in data_dir %s", cfg.DataDir)
		}
		e, err := openEngines(ctx, o)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, e.close()) }()
		return e.sqliteStore.AfterRestore(ctx, time.Now())
	}
	tree, err := LoadFlow(cfg.Flow)
	if err != nil {
		return 0, err
	}
	e := &engines{flow: tree}
	if !cfg.RedisURL.Empty() { // without Redis the waiting router has the queue
		if err := e.openQueue(ctx, o); err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, e.queue.Close()) }()
	}
	if err := e.newDatabase(ctx, o); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, e.db.Close()) }()
	return e.db.AfterRestore(ctx, time.Now())
}

// AfterRestorePath is the path of the admin socket that makes files usable again that went
// back in time (POST). It answers {"uncertain": messages}.
const AfterRestorePath = api.Prefix + "/after-restore"

func (e *engines) serveAfterRestore(w http.ResponseWriter, r *http.Request) {
	status, answer := http.StatusOK, map[string]any{}
	if e.sqliteStore == nil {
		status, answer = http.StatusConflict, map[string]any{"status": http.StatusConflict, "code": "not_here", "detail": "This router has no files of its own: psi-router migrate --after-restore works on PostgreSQL directly."}
	} else if n, err := e.sqliteStore.AfterRestore(r.Context(), time.Now()); err != nil {
		status, answer = http.StatusServiceUnavailable, map[string]any{"status": http.StatusServiceUnavailable, "code": "unavailable", "detail": err.Error()}
	} else {
		answer["uncertain"] = n
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the store's log has the result too
}
