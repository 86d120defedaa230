package transcript

import (
	"os"
	"path/filepath"
	"testing"
)

// TestShippedTranscripts plays every conversation that documents PSI's flow.
func TestShippedTranscripts(t *testing.T) {
	t.Parallel()
	rules := psi(t)
	files, err := filepath.Glob("../../flows/*.chat")
	if err != nil || len(files) < 12 {
		t.Fatalf("found %d transcripts (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := Run(filepath.Base(file), src, rules); err != nil {
				t.Error("\n" + err.Error())
			}
		})
	}
}
