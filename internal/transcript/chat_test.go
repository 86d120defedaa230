package transcript

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/router"
)

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

func chatWith(t *testing.T, input string, o Options) string {
	t.Helper()
	o.Now = func() time.Time { return firstDay }
	var out bytes.Buffer
	if err := Chat(t.Context(), strings.NewReader(input), &out, psi(t), o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestChatFromTheReadme(t *testing.T) {
	t.Parallel()
	got := chatWith(t, "hola\n1\n11\n", Options{})
	t.Log(got)
	t.Log(chatWith(t, "hola\n\n# nota\n[tap: Alumnos]\n[tap: nada]\n* close\n@ +25h\nhola", Options{JSON: true, Lang: "en"}))
}
