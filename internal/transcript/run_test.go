package transcript

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// TestShippedTranscripts plays the transcripts that document PSI's flow.
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

func TestWindowsLineEnds(t *testing.T) {
	t.Parallel()
	if err := Run("a.chat", []byte("> hola\r\n? first_contact\r\n< Con quién querés hablar\r\n\r\n"), psi(t)); err != nil {
		t.Error(err)
	}
}

// TestFailuresShowTheActualOutcome: each wrong line is shown with its position, the wanted and the
// actual outcome.
func TestFailuresShowTheActualOutcome(t *testing.T) {
	t.Parallel()
	rules := psi(t)
	for _, tc := range []struct {
		name, chat string
		want       string
	}{
		{"another reason", "> hola\n? greeting", `a.chat:2: another reason
  want  greeting
  got   first_contact (New or restarted conversation: the menu was shown.)`},
		{"another effect", "> hola\n> 1\n> 11\n! handoff area=ventas", `a.chat:4: this did not happen
  want  handoff area=ventas
  got   handoff area=admin tag=pagos
        state handed_off`},
		{"another answer", "> hola\n> gracias\n< Chau", `a.chat:3: the answer does not have this
  want  Chau
  got   ¡Gracias a vos! 💛 Si necesitás algo más, escribí *menú*.`},
		{"order", "> hola\n> gracias\n< más\n< vos", `a.chat:4: the answer has this, but before the text found last
  want  vos
  got   ¡Gracias a vos! 💛 Si necesitás algo más, escribí *menú*.`},
		{"silence", "> [late] hola\n< hola", `a.chat:2: there was no answer
  want  hola
  got   (silence, because of late)`},
		{"no silence", "> hola\n> gracias\n<", `a.chat:3: there was an answer
  want  (silence)
  got   ¡Gracias a vos! 💛 Si necesitás algo más, escribí *menú*.`},
		{"nothing yet", "< hola\n> hola", `a.chat:1: nothing has happened yet; write a line like "> hola" first`},
		{"nothing at all", "# hola\n\n", `a.chat:1: nobody says anything; write a line like "> hola"`},
		{"a line without a sign", "> hola\nhola", `a.chat:2: a line must begin with one of > < ? ! * @ #
  got   hola`},
		{"an unknown command", "* dance", `a.chat:1: unknown command "dance"; write one of: agent, close, disconnect, handoff, notice, outage, reconnect, reopen, reset, timeout`},
		{"a hand-off to nobody", "> hola\n* handoff tag=x", `a.chat:2: the area is missing; write handoff area=admin`},
		{"an unknown word", "> hola\n* handoff aera=x", `a.chat:2: unknown word "aera=x"; write handoff area=admin tag=pagos`},
		{"a clock", "> hola\n@ mañana\n@ -1h\n@ +x", `a.chat:2: "mañana" is not a time; write +25h, 2026-03-01 09:30, or line wsp4 for a new person
a.chat:3: "-1h" is not a time; write +25h, 2026-03-01 09:30, or line wsp4 for a new person
a.chat:4: "+x" is not a duration; write +25h or +90s`},
		{"brackets", "> [image hola\n> []", `a.chat:1: "]" is missing; write \[ for a text that begins with a bracket
a.chat:2: the brackets are empty; write a message type, for example [image]`},
		{"a title that was not shown", "> hola\n> [tap: Ventas]", `a.chat:2: no row or button "Ventas" was shown; the last ones were: Administración, Alumnos, Inscripciones, Comunidad y vivos, Otra consulta`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			err := Run("a.chat", []byte(tc.chat), rules)
			var failures Failures
			if !errors.As(err, &failures) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(err.Error(), tc.want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
}

// TestNewPersonKeepsCounting: tickets are numbered across people.
func TestNewPersonKeepsCounting(t *testing.T) {
	t.Parallel()
	chat := "> 11\n< PSI-2026-000001\n@ line wsp4\n@ 2027-03-01 09:30\n> \\[hola]\n? first_contact\n> 12\n< PSI-2027-000002"
	if err := Run("a.chat", []byte(chat), psi(t)); err != nil {
		t.Error(err)
	}
	if err := Run("a.chat", []byte(strings.Replace(chat, "000002", "000001", 1)), psi(t)); err == nil {
		t.Error("any number will do")
	}
}

// TestOutage: a message that arrives long after it was sent is not answered; the flow's apology
// follows two minutes later, unless the person wrote again.
func TestOutage(t *testing.T) {
	t.Parallel()
	for policy, chat := range map[flow.AfterOutage]string{
		flow.AfterOutageList:      "@ +1h\n? stale\n<",
		flow.AfterOutageApologize: "@ +1m\n? stale\n@ +1m\n? after_outage\n< Perdoná la demora\n! silence\n",
		flow.AfterOutageMenu:      "@ +2m\n? after_outage\n< Perdoná la demora\n< Con quién querés hablar\n! menu principal",
		flow.AfterOutageHandoff:   "@ +2m\n< Perdoná la demora\n< PSI-2026-000001\n! handoff area=revisar tag=caida",
	} {
		rules := psi(t)
		tree := *rules.Flow
		tree.Policies.AfterOutage = policy
		rules.Flow = &tree
		chat = "* outage 25m\n> hola\n? stale\n<\n" + strings.ReplaceAll(chat, "\n! silence\n", "\n* outage 0m\n> hola\n? first_contact\n@ +2m\n? first_contact")
		if err := Run("a.chat", []byte(chat), rules); err != nil {
			t.Errorf("%s:\n%v", policy, err)
		}
		// A thank-you asks for nothing, and takes nobody off the list.
		thanks := "* outage 25m\n> gracias\n? stale\n@ +3m\n? stale\n<\n"
		if err := Run("a.chat", []byte(thanks), rules); err != nil {
			t.Errorf("%s, a thank-you:\n%v", policy, err)
		}
		if policy == flow.AfterOutageApologize {
			err := Run("a.chat", []byte("* outage 25m\n> hola\n> gracias\n@ +2m\n? after_outage\n< Perdoná la demora\n"), rules)
			if err != nil {
				t.Errorf("a thank-you after a word:\n%v", err)
			}
		}
	}
	if err := Run("a.chat", []byte("* outage much\n> hola"), psi(t)); err == nil || !strings.Contains(err.Error(), `"much" is not a duration`) {
		t.Errorf("got %v", err)
	}
	if err := Run("a.chat", []byte("* outage 9m\n> hola\n? first_contact"), psi(t)); err != nil {
		t.Errorf("a short one: %v", err)
	}
}
