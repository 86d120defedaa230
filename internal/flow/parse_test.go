package flow

import (
	"os"
	"testing"
)

func psi(t *testing.T) *Flow {
	t.Helper()
	src, err := os.ReadFile("../../flows/psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, problems := Check("psi.yaml", src)
	if len(problems) > 0 {
		t.Fatalf("psi.yaml must lint clean:\n%v", problems)
	}
	return f
}

func TestShippedFlowIsClean(t *testing.T) {
	t.Parallel()
	psi(t)
}
