package admission

import (
	"net/netip"
	"os"
	"testing"

	"github.com/psivisionhub/psi-router/internal/bubbletest"
)

func TestMain(m *testing.M) {
	bubbletest.UseOneProcessor()
	os.Exit(m.Run())
}

var (
	stranger = netip.MustParseAddr("203.0.113.9")
	another  = netip.MustParseAddr("203.0.113.10")
)
