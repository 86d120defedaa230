package flow

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/psivisionhub/psi-router/internal/limits"
)

// linter checks a flow after it was read. It also fills in the parts that depend on the
// whole flow: styles, parents and the table of codes.
type linter struct {
	*reader
	f *Flow
}

func (l *linter) lint() {
	l.lintLines()
	l.lintAreas()
	l.lintTexts()
	if len(l.f.Menus) == 0 && l.missing("") {
		l.errorf("menus", `menus are missing; write menus: {principal: {text: "¡Hola!", options: [%s]}}`, exampleOption)
	}
	for _, id := range l.f.MenuOrder {
		l.lintMenu(l.f.Menus[id])
	}
	l.lintPolicies()
	l.yieldDefaults()
	l.lintWords()
	l.lintButtons()
	l.lintGraph()
}

var idShape = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,39}$`)

func (l *linter) lintLines() {
	if len(l.f.Lines) == 0 && l.missing("") {
		l.errorf("lines", "no line says where conversations start; write lines: {wsp4: {start: %s}}", l.aMenu())
	}
	for _, id := range l.f.LineOrder {
		path := "lines." + id
		if !idShape.MatchString(id) {
			l.errorf(path, "line id %q may hold only a-z, 0-9, _ and -; write %q", id, slug(id))
		}
		switch start := l.f.Lines[id].Start; {
		case start == "" && l.missing(path):
			l.errorf(path, "line %s has no start; write start: %s", id, l.aMenu())
		case start != "" && l.f.Menus[start] == nil && len(l.f.Menus) > 0:
			l.errorf(path+".start", "line %s starts in the menu %q, which does not exist%s", id, start, didYouMean(start, l.f.MenuOrder))
		}
	}
}

func (l *linter) aMenu() string {
	if len(l.f.MenuOrder) > 0 {
		return l.f.MenuOrder[0]
	}
	return "principal"
}

func (l *linter) lintAreas() {
	if len(l.f.Areas) == 0 && l.missing("") {
		l.errorf("areas", "no area can take a conversation; write areas: {admin: {name: Administración}}")
	}
	owner := make(map[string]string)
	for _, id := range l.f.AreaOrder {
		a, path := l.f.Areas[id], "areas."+id
		if !idShape.MatchString(id) {
			l.errorf(path, "area id %q may hold only a-z, 0-9, _ and -; write %q", id, slug(id))
		}
		if a.Name == "" && l.missing(path) {
			l.errorf(path, "area %s has no name; write name: what people read, for example %q", id, titleCase(id))
		}
		for i, known := range append([]string{id}, a.Aliases...) {
			at := path
			if i > 0 {
				at = path + ".aliases." + strconv.Itoa(i-1)
			}
			word := Normalize(known)
			if other, taken := owner[word]; taken && other != id {
				l.errorf(at, "%q already names the area %s; keep it in one", known, other)
			}
			owner[word] = id
		}
		if a.Expected == "" && l.missing(path) && strings.Contains(l.f.Texts.HandedOff+l.f.Texts.Transferred, "{expected}") {
			l.warnf(path, `area %s does not say when it answers; write expected: "1 a 2 h hábiles"`, id)
		}
	}
}

func (l *linter) lintPolicies() {
	area := l.f.Policies.OfferArea
	if _, ok := l.f.Areas[area]; !ok && len(l.f.Areas) > 0 {
		l.errorf("policies.offer_area", "policies.offer_area is %q, which is not an area%s", area, didYouMean(area, l.f.AreaOrder))
	}
	if what := string(l.f.Policies.AfterOutage); !slices.Contains(outages(), what) && l.missing("policies.after_outage") {
		l.errorf("policies.after_outage", "policies.after_outage is %q; write list, menu, apologize or handoff%s", what, didYouMean(what, outages()))
	}
}

var placeholder = regexp.MustCompile(`\{[\p{L}\p{N}_ .-]*\}`)

func (l *linter) lintTexts() {
	t := l.f.Texts
	confirmation := []string{"{area}", "{ticket}", "{expected}"}
	l.placeholders("texts.handed_off", t.HandedOff, confirmation)
	l.placeholders("texts.transferred", t.Transferred, confirmation)
	for _, s := range []struct {
		key, text string
		required  bool
		most      int
	}{
		{"handed_off", t.HandedOff, true, limits.Text - 100}, // room for name, ticket and time
		{"transferred", t.Transferred, false, limits.Text - 100},
		{"invalid", t.Invalid, true, limits.Text},
		{"offer_person", t.OfferPerson, true, limits.Body},
		{"offer_yes", t.OfferYes, true, limits.ButtonTitle},
		{"offer_no", t.OfferNo, true, limits.ButtonTitle},
		{"stale_reply", t.StaleReply, true, limits.Text},
		{"unsupported", t.Unsupported, true, limits.Text},
		{"courtesy", t.Courtesy, false, limits.Text},
		{"menu_button", t.MenuButton, true, limits.ListButton},
		{"window_reopen", t.WindowReopen, false, limits.Text},
		{"closed", t.Closed, false, limits.Text},
		{"opted_out", t.OptedOut, true, limits.Text},
		{"opted_in", t.OptedIn, true, limits.Text},
		{"apology", t.Apology, true, limits.Text},
	} {
		path := "texts." + s.key
		if s.required && s.text == "" {
			l.errorf(path, "texts.%s is empty; write a sentence, or remove the key for the default", s.key)
		}
		l.fits(path, s.text, s.most)
		if s.key != "handed_off" && s.key != "transferred" {
			l.placeholders(path, s.text, nil)
		}
	}
	if t.OfferYes != "" && Normalize(t.OfferYes) == Normalize(t.OfferNo) {
		l.errorf("texts.offer_no", "the two buttons of the offer say the same; write different words")
	}
	if !l.f.Policies.MenuBreaksHandoff {
		l.emptyPromise("texts.handed_off", t.HandedOff)
		l.emptyPromise("texts.transferred", t.Transferred)
	}
	if t.HandedOff != "" && !strings.Contains(t.HandedOff, "{ticket}") {
		l.warnf("texts.handed_off", "people do not learn their ticket; write {ticket} somewhere in the text")
	}
}

// emptyPromise finds a confirmation that offers the menu: its word does nothing while a team
// has the conversation.
func (l *linter) emptyPromise(path, text string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		if slices.Contains(l.f.Commands.Menu, Normalize(word)) {
			l.warnf(path, "the text promises %q, which does nothing while a team has the conversation; remove it, or write policies: {menu_breaks_handoff: true}", word)
			return
		}
	}
}

// placeholders refuses {words} that are not replaced.
func (l *linter) placeholders(path, text string, known []string) {
	for _, p := range placeholder.FindAllString(text, -1) {
		switch {
		case slices.Contains(known, p):
		case len(known) == 0:
			l.errorf(path, "%s would be shown as it is: nothing is replaced in this text; write it out", p)
		default:
			l.errorf(path, "unknown placeholder %s%s", p, didYouMean(p, known))
		}
	}
}

// fits checks a text against a limit of WhatsApp's, in Units.
func (l *linter) fits(path, text string, most int) {
	if n := limits.Units(text); n > most {
		l.errorf(path, "%s has %d characters and WhatsApp takes %d; write %d fewer (an emoji counts two)", path, n, most, n-most)
	}
}

func slug(s string) string {
	s = strings.ReplaceAll(Normalize(s), " ", "_")
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return -1
	}, s)
}

func titleCase(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[0])) + string(r[1:])
}
