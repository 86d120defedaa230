// Package clustertest lets a test binary also run as the router, for a cluster to start.
// Only tests may use it.
package clustertest

import (
	"context"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"

	"github.com/psivisionhub/psi-router/internal/app"
	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/observe"
)

// Main runs the tests of a package. Started by a cluster as "psi-router serve" it runs the
// router, with changed options. Call it from TestMain.
func Main(m *testing.M, change ...func(*app.Options)) {
	if len(os.Args) == 8 && os.Args[0] == "psi-router" && os.Args[1] == "serve" {
		os.Exit(serve(os.Args[3], os.Args[5], os.Args[7], change))
	}
	os.Exit(m.Run())
}

func serve(file, role, hurry string, change []func(*app.Options)) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	logger := observe.NewLogger(os.Stderr, "info", "json")
	cfg, err := config.Load(config.Options{File: file, Env: os.Environ()})
	if err == nil {
		times, _ := strconv.ParseFloat(hurry, 64)
		o := app.Options{Config: cfg, Role: role, Version: "test", BackoffSpeedup: times, Log: logger}
		for _, f := range change {
			f(&o)
		}
		err = app.Run(ctx, o)
	}
	if err != nil {
		logger.Error("serve", "error", err)
		return 1
	}
	return 0
}
