package observe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHoldReason(t *testing.T) {
	t.Parallel()
	const why = "send:wsp4 is held: nothing can be sent: HTTP 500 (code 0)"
	for lang, want := range map[string]string{
		"en": why, "es": "send:wsp4 is held: no se puede mandar nada: HTTP 500 (code 0)",
	} {
		if got := HoldReason(lang, why); got != want {
			t.Errorf("%s: got %q, want %q", lang, got, want)
		}
	}
	if got := HoldReason("es", "something new"); got != "something new" {
		t.Errorf("got %q", got)
	}
}

// TestHoldReasonsAreTranslated: a reason that changes needs its translation changed too.
func TestHoldReasonsAreTranslated(t *testing.T) {
	t.Parallel()
	var code strings.Builder
	for _, dir := range []string{"worker", "delivery"} {
		files, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			code.Write(src)
		}
	}
	for _, sentence := range holdReasons {
		if !strings.Contains(code.String(), `"`+sentence.EN+`"`) {
			t.Errorf("nobody says %q any more", sentence.EN)
		}
	}
}
