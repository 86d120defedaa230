package spool_test

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
	"github.com/psivisionhub/psi-router/internal/queue/queuetest"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		crash(dir)
	}
	bubbletest.UseOneProcessor()
	flag.Parse()
	if err := queuetest.FewChecks(); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(os.Exit))
}
