package flow

import (
	"slices"
	"strconv"
	"strings"
)

// Button is the effect of a tap on a template's button. Exactly one of Option, Handoff and
// Reply is set.
type Button struct {
	Option  string // menu/code
	Handoff *Handoff
	Reply   string // the answer; nothing else changes
	Tag     string // for the conversation; "" for none
}

// Button finds the button of a payload: an entry of the flow's buttons, or the option that
// the payload names as menu/code.
func (f *Flow) Button(payload string) (Button, bool) {
	if b, ok := f.Buttons[payload]; ok {
		return b, true
	}
	_, ok := f.OptionNamed(payload)
	return Button{Option: payload}, ok
}

// OptionNamed finds an option by its name, menu/code.
func (f *Flow) OptionNamed(name string) (Choice, bool) {
	menu, code, _ := strings.Cut(name, "/")
	c, ok := f.Codes[code]
	return c, ok && c.Menu == menu
}

// mostPayload is the longest payload that WhatsApp allows, in Units.
const mostPayload = 128

func (r *reader) buttons(f *Flow, fd field) {
	f.Buttons = make(map[string]Button)
	for _, button := range r.fields(fd.path, fd.value, `{"turnos/confirmar": {reply: "¡Gracias!"}}`) {
		var b Button
		for _, p := range r.fields(button.path, button.value, `{reply: "¡Gracias!"}`, "option", "reply", "handoff", "tag") {
			switch p.key {
			case "option":
				b.Option = r.text(p.path, p.value)
			case "reply":
				b.Reply = r.text(p.path, p.value)
			case "handoff":
				b.Handoff = r.handoff(p)
			case "tag":
				b.Tag = r.text(p.path, p.value)
			}
		}
		f.Buttons[button.key] = b
	}
}

// lintButtons checks that each button has one effect, and that its target exists.
func (l *linter) lintButtons() {
	for _, payload := range keys(l.f.Buttons) {
		b, path, label := l.f.Buttons[payload], "buttons."+payload, "button "+strconv.Quote(payload)
		l.fits(path, payload, mostPayload)
		if _, ok := l.f.OptionNamed(b.Option); b.Option != "" && !ok {
			l.errorf(path+".option", "%s chooses the option %q, which does not exist%s", label, b.Option, didYouMean(b.Option, l.optionNames()))
		}
		l.lintOneTarget(path, label, "option", b.Option, b.Handoff, b.Reply)
	}
}

func (l *linter) optionNames() (names []string) {
	for code, c := range l.f.Codes {
		names = append(names, c.Menu+"/"+code)
	}
	slices.Sort(names)
	return names
}
