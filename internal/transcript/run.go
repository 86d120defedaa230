package transcript

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Failure is one line of a transcript that does not match.
type Failure struct {
	File    string   `json:"file"`
	Line    int      `json:"line"`
	Message string   `json:"message"`
	Want    string   `json:"want,omitempty"`
	Got     []string `json:"got,omitempty"`
}

func (f Failure) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d: %s", f.File, f.Line, f.Message)
	if f.Want != "" {
		b.WriteString("\n  want  " + f.Want)
	}
	for i, got := range f.Got {
		head := "\n  got   "
		if i > 0 {
			head = "\n        "
		}
		b.WriteString(head + strings.ReplaceAll(got, "\n", "\n        "))
	}
	return b.String()
}

// Failures are all failures of a transcript, in its order.
type Failures []Failure

// Error shows each failure with its position and the actual outcome.
func (fs Failures) Error() string {
	all := make([]string, len(fs))
	for i, f := range fs {
		all[i] = f.String()
	}
	return strings.Join(all, "\n")
}

// firstDay is when a transcript begins by default: a Monday morning in Buenos Aires.
var firstDay = time.Date(2026, time.January, 5, 10, 0, 0, 0, time.FixedZone("ART", -3*60*60))

// Run plays a transcript and returns nil, or Failures with every line that does not match. name
// is the file's name in messages. Each line begins with a sign:
//
//	>  the person writes; see message for taps, media and the rest
//	<  the answer contains this, each line after the one before; alone: no answer
//	?  the reason of the decision
//	!  an effect: handoff area=… tag=…, transfer …, close, reopen, menu ID,
//	   state STATE, silence
//	*  a command of our side: close, agent …, handoff area=…, notice …; or
//	   outage 25m: messages take so long to arrive from here on
//	@  the clock: +25h, 2026-03-01 09:30; or a new person: line wsp4
//	#  a comment
//
// Moving the clock fires the timers, as in the server: the end of a hand-off, and two minutes
// after an unanswered message policies.after_outage.
func Run(name string, src []byte, rules router.Rules) error {
	s := &script{file: name, rules: rules, now: firstDay, player: newPlayer(rules, firstLine(rules))}
	for i, line := range strings.Split(string(src), "\n") {
		s.line = i + 1
		s.play(strings.TrimSpace(strings.TrimSuffix(line, "\r")))
	}
	switch {
	case len(s.failures) > 0:
		return s.failures
	case s.steps == 0:
		return Failures{{File: name, Line: 1, Message: `nobody says anything; write a line like "> hola"`}}
	}
	return nil
}

func firstLine(rules router.Rules) string {
	if rules.Flow == nil || len(rules.Flow.LineOrder) == 0 {
		return ""
	}
	return rules.Flow.LineOrder[0]
}

// script is a transcript that is being played.
type script struct {
	file        string
	line        int
	rules       router.Rules
	now         time.Time
	player      *player
	steps       int
	last        *step
	matchedUpTo int // how far into the answer "<" lines have matched
	failures    Failures
}

func (s *script) fail(message, want string, got ...string) {
	s.failures = append(s.failures, Failure{File: s.file, Line: s.line, Message: message, Want: want, Got: got})
}

func (s *script) play(line string) {
	if line == "" || line[0] == '#' {
		return
	}
	rest := strings.TrimSpace(line[1:])
	switch line[0] {
	case '>', '*':
		t, err := s.player.act(line[0], rest, s.now)
		if err != nil {
			s.fail(err.Error(), "")
		} else if t != nil {
			s.record(*t)
		}
	case '@':
		s.clock(rest)
	case '<', '?', '!':
		if s.last == nil {
			s.fail(`nothing has happened yet; write a line like "> hola" first`, "")
			return
		}
		s.check(line[0], rest)
	default:
		s.fail("a line must begin with one of > < ? ! * @ #", "", line)
	}
}

func (s *script) record(t step) {
	s.steps++
	s.last, s.matchedUpTo = &t, 0
}

func (s *script) clock(rest string) {
	if line, ok := strings.CutPrefix(rest, "line "); ok {
		s.player, s.last = s.player.newPerson(line), nil
		return
	}
	now, err := moveClock(s.now, rest)
	if err != nil {
		s.fail(err.Error(), "")
		return
	}
	s.now = now
	if t := s.player.runTimers(s.now); t.Reason != router.NoEffect {
		s.record(t)
	}
}

// moveClock reads "+25h" or "2026-03-01 09:30".
func moveClock(now time.Time, s string) (time.Time, error) {
	if step, ok := strings.CutPrefix(s, "+"); ok {
		d, err := time.ParseDuration(step)
		if err != nil || d < 0 {
			return now, fmt.Errorf("%q is not a duration; write +25h or +90s", s)
		}
		return now.Add(d), nil
	}
	t, err := time.ParseInLocation("2006-01-02 15:04", s, now.Location())
	if err != nil {
		return now, fmt.Errorf("%q is not a time; write +25h, 2026-03-01 09:30, or line wsp4 for a new person", s)
	}
	return t, nil
}

func (s *script) check(sign byte, want string) {
	switch sign {
	case '<':
		s.checkAnswer(want)
	case '?':
		if got := string(s.last.Reason); got != want {
			s.fail("another reason", want, got+" ("+s.last.Reason.Text("en")+")")
		}
	case '!':
		if !slices.ContainsFunc(s.last.effects(), func(got string) bool { return matches(got, want) }) {
			s.fail("this did not happen", want, s.last.effects()...)
		}
	}
}

// checkAnswer looks for a text in the answer, after the texts found before.
func (s *script) checkAnswer(want string) {
	answer := s.last.answer()
	if want == "" {
		if answer != "" {
			s.fail("there was an answer", "(silence)", answer)
		}
		return
	}
	at := strings.Index(answer[s.matchedUpTo:], want)
	switch {
	case at >= 0:
		s.matchedUpTo += at + len(want)
	case strings.Contains(answer, want):
		s.fail("the answer has this, but before the text found last", want, answer)
	case answer == "":
		s.fail("there was no answer", want, "(silence, because of "+string(s.last.Reason)+")")
	default:
		s.fail("the answer does not have this", want, answer)
	}
}

// answer returns all replies as a person reads them.
func (t step) answer() string {
	parts := make([]string, len(t.Replies))
	for i, r := range t.Replies {
		parts[i] = r.Plain()
	}
	return strings.Join(parts, "\n\n")
}

// matches reports whether an effect begins with want's first word and has all its others.
func matches(got, want string) bool {
	has, wanted := strings.Fields(got), strings.Fields(want)
	if len(wanted) == 0 || has[0] != wanted[0] {
		return false
	}
	for _, w := range wanted[1:] {
		if !slices.Contains(has, w) {
			return false
		}
	}
	return true
}
