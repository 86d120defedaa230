package flow

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/psivisionhub/psi-router/internal/limits"
)

// resolveStyle replaces StyleAuto: up to three short options fit on buttons, up to ten in a
// list.
func (l *linter) resolveStyle(m *Menu) Style {
	if m.Style != StyleAuto {
		return m.Style
	}
	if len(m.Options) > limits.Rows {
		return StyleText
	}
	if len(m.Options) > limits.Buttons {
		return StyleList
	}
	for _, o := range m.Options {
		if o.Description != "" || limits.Units(o.Title) > limits.ButtonTitle {
			return StyleList
		}
	}
	return StyleButtons
}

func (l *linter) lintMenu(m *Menu) {
	path := "menus." + m.ID
	m.Style = l.resolveStyle(m)
	if !idShape.MatchString(m.ID) {
		l.errorf(path, "menu id %q may hold only a-z, 0-9, _ and -, and at most 40; write %q", m.ID, slug(m.ID))
	}
	if m.Text == "" && l.missing(path) {
		l.errorf(path, "menu %s has no text; write text: \"¿Qué necesitás?\"", m.ID)
	}
	l.placeholders(path+".text", m.Text, nil)
	l.placeholders(path+".footer", m.Footer, nil)
	l.fits(path+".footer", m.Footer, limits.Footer)
	l.fits(path+".button", m.Button, limits.ListButton)
	if m.Button != "" && m.Style != StyleList {
		l.warnf(path+".button", "menu %s is shown as %s, which has no button to open it; remove button", m.ID, m.Style)
	}
	switch n := len(m.Options); {
	case n == 0 && l.missing(path):
		l.errorf(path, "menu %s has no options; write options: [%s]", m.ID, exampleOption)
	case m.Style == StyleList && n > limits.Rows:
		l.errorf(path+".options", "a list takes %d rows and this has %d; move some to another menu, or write style: text", limits.Rows, n)
	case m.Style == StyleButtons && n > limits.Buttons:
		l.errorf(path+".options", "there is room for %d buttons and this has %d; write style: list", limits.Buttons, n)
	}
	titles := make(map[string]int)
	for i := range m.Options {
		l.lintOption(m, i, titles)
	}
	l.lintBody(m)
}

// lintBody checks the length of a menu's text, alone and after each sentence that may come
// before it.
func (l *linter) lintBody(m *Menu) {
	path, most, size := "menus."+m.ID+".text", limits.Body, limits.Units(m.Text)
	if m.Style == StyleText {
		most = limits.Text
		size += limits.Units(m.Footer)
		for _, o := range m.Options {
			size += limits.Units(o.Code) + limits.Units(o.Title) + limits.Units(o.Description) + limits.Units("\n** ·  — ")
		}
	}
	if size > most {
		l.errorf(path, "menu %s has %d characters and WhatsApp takes %d when it is shown as %s; write %d fewer", m.ID, size, most, m.Style, size-most)
		return
	}
	type lead struct{ key, text string }
	t := l.f.Texts
	leads := []lead{{"invalid", t.Invalid}, {"stale_reply", t.StaleReply}, {"unsupported", t.Unsupported}, {"window_reopen", t.WindowReopen}}
	if l.f.Policies.AfterOutage == AfterOutageMenu && l.starts(m.ID) {
		leads = append(leads, lead{"apology", t.Apology})
	}
	for _, lead := range leads {
		if n := limits.Units(lead.text) + len("\n\n") + size; n > most {
			l.errorf(path, "menu %s with texts.%s before it has %d characters and WhatsApp takes %d; write %d fewer in one of them", m.ID, lead.key, n, most, n-most)
			return
		}
	}
}

// starts reports whether conversations begin in the menu.
func (l *linter) starts(menu string) bool {
	for _, line := range l.f.Lines {
		if line.Start == menu {
			return true
		}
	}
	return false
}

var codeShape = regexp.MustCompile(`^[\p{L}\p{N}]{1,10}$`)

func (l *linter) lintOption(m *Menu, i int, titles map[string]int) {
	o, path := m.Options[i], "menus."+m.ID+".options."+strconv.Itoa(i)
	label := "option " + strconv.Quote(o.Title)
	switch {
	case o.Code == "" && l.missing(path):
		l.errorf(path, "%s of menu %s has no code; write code: \"%d\"", label, m.ID, i+1)
	case o.Code != "" && (!codeShape.MatchString(o.Code) || Normalize(o.Code) != o.Code):
		l.errorf(path+".code", "code %q can never be typed; write digits or lower-case letters without accents, for example \"%d\"", o.Code, i+1)
	}
	switch first, twice := titles[Normalize(o.Title)]; {
	case o.Title == "" && l.missing(path):
		l.errorf(path, "option %q of menu %s has no title; write title: what people read", o.Code, m.ID)
	case twice && o.Title != "":
		l.errorf(path+".title", "title %q is also option %d of this menu; write titles that differ", o.Title, first+1)
	default:
		titles[Normalize(o.Title)] = i
	}
	if strings.ContainsAny(o.Title+o.Description, "\n\r") {
		l.errorf(path, "%s has a line break in its title or description; write it in one line", label)
	}
	if strings.ContainsAny(o.Title, "*_~`") && m.Style != StyleText {
		l.warnf(path+".title", "WhatsApp shows %q as it is, without bold or italics; remove the signs", o.Title)
	}
	switch m.Style {
	case StyleButtons:
		l.fits(path+".title", o.Title, limits.ButtonTitle)
		if o.Description != "" {
			l.errorf(path+".description", "buttons have no description; write style: list, or remove it")
		}
	case StyleList:
		l.fits(path+".title", o.Title, limits.RowTitle)
		if o.Description != "" { // a list shows the code before it
			l.fits(path+".description", o.Code+" · "+o.Description, limits.RowDescription)
		}
	}
	l.lintTarget(o, path, label)
}

// lintTarget checks that an option has exactly one target, and that it exists.
func (l *linter) lintTarget(o Option, path, label string) {
	if o.Menu != "" && l.f.Menus[o.Menu] == nil {
		l.errorf(path+".menu", "%s leads to the menu %q, which does not exist%s", label, o.Menu, didYouMean(o.Menu, l.f.MenuOrder))
	}
	l.lintOneTarget(path, label, "menu", o.Menu, o.Handoff, o.Reply)
}

// lintOneTarget checks that exactly one of target (named key), h and reply is set, and that
// h and reply are valid.
func (l *linter) lintOneTarget(path, label, key, target string, h *Handoff, reply string) {
	targets := 0
	if target != "" {
		targets++
	}
	if reply != "" {
		targets++
		l.placeholders(path+".reply", reply, nil)
		l.fits(path+".reply", reply, limits.Text)
	}
	if h != nil {
		targets++
		switch _, ok := l.f.Areas[h.Area]; {
		case h.Area == "" && l.missing(path+".handoff"):
			l.errorf(path+".handoff", "%s hands off to nobody; write handoff: {area: %s}", label, l.anArea())
		case h.Area != "" && !ok && len(l.f.Areas) > 0:
			l.errorf(path+".handoff.area", "%s hands off to the area %q, which does not exist%s", label, h.Area, didYouMean(h.Area, l.f.AreaOrder))
		}
	}
	switch {
	case targets == 0 && l.missing(path):
		l.errorf(path, "%s leads nowhere; write %s: …, handoff: {area: …} or reply: …", label, key)
	case targets > 1:
		l.errorf(path, "%s leads to %d places; keep one of %s, handoff and reply", label, targets, key)
	}
}

func (l *linter) anArea() string {
	if len(l.f.AreaOrder) > 0 {
		return l.f.AreaOrder[0]
	}
	return "admin"
}
