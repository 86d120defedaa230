package sanitize_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/sanitize"
)

func TestValue(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"":                         "",
		"/webhook/wsp4":            "/webhook/wsp4",
		"José Ñandú 👋":             "José Ñandú 👋",
		"a\nlevel=ERROR msg=fake":  "a\uFFFDlevel=ERROR msg=fake",
		"\x1b[2Jgone\a":            "\uFFFD[2Jgone\uFFFD",
		"abc\u202ecba":             "abc\uFFFDcba",
		"zero\u200bwidth\u2028":    "zero\uFFFDwidth\uFFFD",
		"broken \xff\xfe":          "broken \uFFFD\uFFFD",
		strings.Repeat("ñ", 120):   strings.Repeat("ñ", 120),
		strings.Repeat("ñ", 121):   strings.Repeat("ñ", 120) + "… (2 bytes more)",
		strings.Repeat("x", 4<<20): strings.Repeat("x", 120) + "… (4194184 bytes more)",
	} {
		if got := sanitize.Value(given); got != want {
			t.Errorf("%.40q: got %.200q, want %.200q", given, got, want)
		}
	}
}

func TestTextKeepsItsLines(t *testing.T) {
	t.Parallel()
	if got, want := sanitize.Text("goroutine 1:\n\tmain\x1b[0m"), "goroutine 1:\n\tmain\uFFFD[0m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := utf8.RuneCountInString(sanitize.Text(strings.Repeat("á", 10_000))); got > 4050 {
		t.Errorf("got %d characters", got)
	}
}

// TestAnything: for any input the result is short and printable.
func TestAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := sanitize.Value(string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")) + rapid.String().Draw(t, "text"))
		if n := utf8.RuneCountInString(got); n > 150 {
			t.Fatalf("%d characters", n)
		}
		for _, r := range got {
			if !unicode.IsPrint(r) && r != utf8.RuneError {
				t.Fatalf("%q holds %q", got, r)
			}
		}
	})
}
