package transcript

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
)

var update = flag.Bool("update", false, "write the golden files anew")

func psi(t *testing.T) router.Rules {
	t.Helper()
	src, err := os.ReadFile("../../flows/psi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	f, err := flow.Parse("psi.yaml", src)
	if err != nil {
		t.Fatal(err)
	}
	return router.Rules{Flow: f, HandoffTimeout: 24 * time.Hour, Window: 24 * time.Hour}
}

func TestChat(t *testing.T) {
	t.Parallel()
	everything := "hola\n\n# nota\n[tap: Alumnos]\n[tap: nada]\n22\n* agent Hola\n* dance\n@ +25h\n@ nunca\ngracias"
	for _, tc := range []struct {
		golden, input string
		options       Options
	}{
		{"readme", "hola\n1\n11\n", Options{}},
		{"everything", everything, Options{Lang: "en", Line: "ventas_api"}},
		{"everything.json", everything, Options{Lang: "en", JSON: true}},
		{"terminal", "hola\n[image]\n15", Options{Color: true, Prompt: true}},
	} {
		t.Run(tc.golden, func(t *testing.T) {
			t.Parallel()
			tc.options.Now = func() time.Time { return firstDay }
			var out bytes.Buffer
			if err := Chat(t.Context(), strings.NewReader(tc.input), &out, psi(t), tc.options); err != nil {
				t.Fatal(err)
			}
			file := "testdata/" + tc.golden + ".golden"
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(out.String(), string(want)); diff != "" {
				t.Errorf("%s (-got +want), write it anew with -update:\n%s", file, diff)
			}
		})
	}
}

// TestChatEndsWithItsContext: an idle terminal does not block the end.
func TestChatEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	in, keep := io.Pipe()
	defer keep.Close()
	done := make(chan error)
	go func() { done <- Chat(ctx, in, io.Discard, psi(t), Options{}) }()
	if _, err := keep.Write([]byte("hola\n")); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestChatReportsBrokenStreams(t *testing.T) {
	t.Parallel()
	if err := Chat(t.Context(), broken{}, io.Discard, psi(t), Options{}); !errors.Is(err, errBroken) {
		t.Errorf("reading: %v", err)
	}
	if err := Chat(t.Context(), strings.NewReader("hola"), broken{}, psi(t), Options{}); !errors.Is(err, errBroken) {
		t.Errorf("writing: %v", err)
	}
}
