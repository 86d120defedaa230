package flow

import (
	"bytes"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Parse reads a flow. The error is of type Problems and lists everything to change, warnings
// too; warnings alone are not an error. name is the file's name in messages.
func Parse(name string, src []byte) (*Flow, error) {
	f, problems := Check(name, src)
	if problems.Fatal() {
		return nil, problems
	}
	return f, nil
}

// Check reads a flow and returns all problems in the order of the file. The flow is nil if
// one of them is an error.
func Check(name string, src []byte) (*Flow, Problems) {
	r := newReader(name)
	f := r.flow(src)
	if f != nil {
		(&linter{reader: r, f: f}).lint()
	}
	r.problems.sort()
	if r.problems.Fatal() {
		return nil, r.problems
	}
	return f, r.problems
}

// largest bounds a flow file, in bytes. People write far less.
const largest = 256 << 10

var (
	yamlLine = regexp.MustCompile(`line (\d+):`)
	// The library counts lines from 0 in errors of grammar, and from 1 in errors of a
	// single word.
	yamlGrammar = regexp.MustCompile(`did not find expected (node content|key|'-' indicator|',' or)`)
)

func (r *reader) flow(src []byte) *Flow {
	if len(src) > largest {
		r.errorf("", "the file is larger than 256 KiB")
		return nil
	}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(src))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && (doc.Kind != yaml.DocumentNode || empty(doc.Content[0])):
		r.errorf("", "the file is empty; begin with version: 1")
		return nil
	case err != nil:
		r.syntax(err)
		return nil
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			r.syntax(err)
			return nil
		}
		r.note(SeverityError, position{more.Line, more.Column}, "the file must hold one flow; remove the second document (---)")
		return nil
	}
	return r.root(doc.Content[0])
}

// syntax notes an error of the YAML itself, with the line that it names.
func (r *reader) syntax(err error) {
	at := position{1, 1}
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		at.line, _ = strconv.Atoi(m[1])
		text = strings.TrimSpace(strings.Replace(text, m[0], "", 1))
		if yamlGrammar.MatchString(text) {
			at.line++
		}
	}
	r.note(SeverityError, at, "this is not YAML: %s; check indentation, colons and quotes", text)
}

func (r *reader) root(n *yaml.Node) *Flow {
	f := &Flow{
		Lines: make(map[string]Line), Areas: make(map[string]Area), Menus: make(map[string]*Menu),
		Codes: make(map[string]Choice), Texts: defaultTexts(), Commands: defaultCommands(),
		Policies: Policies{InvalidLimit: DefaultInvalidLimit, AutoPerHour: DefaultAutoPerHour, AfterOutage: AfterOutageList},
	}
	for _, fd := range r.fields("", n, "version: 1", "version", "lines", "areas", "texts", "commands", "menus", "buttons", "policies") {
		switch fd.key {
		case "version":
			f.Version = r.number(fd.path, fd.value, 1, 1)
		case "lines":
			r.lines(f, fd)
		case "areas":
			r.areas(f, fd)
		case "texts":
			r.sentences(f, fd)
		case "commands":
			r.commands(f, fd)
		case "menus":
			r.menus(f, fd)
		case "buttons":
			r.buttons(f, fd)
		case "policies":
			r.policies(f, fd)
		}
	}
	if f.Version == 0 && r.at["version"] == (position{}) && r.missing("") {
		r.errorf("", "version is missing; begin with version: 1")
	}
	if f.Policies.OfferArea == "" {
		f.Policies.OfferArea = usualOfferArea(f)
	}
	return f
}

// usualOfferArea returns "revisar" if there is such an area, else the first.
func usualOfferArea(f *Flow) string {
	if _, ok := f.Areas["revisar"]; ok || len(f.AreaOrder) == 0 {
		return "revisar"
	}
	return f.AreaOrder[0]
}

func (r *reader) lines(f *Flow, fd field) {
	for _, line := range r.fields(fd.path, fd.value, "{wsp4: {start: principal}}") {
		var l Line
		for _, p := range r.fields(line.path, line.value, "{start: principal}", "start") {
			l.Start = r.text(p.path, p.value)
		}
		f.Lines[line.key] = l
		f.LineOrder = append(f.LineOrder, line.key)
	}
}

func (r *reader) areas(f *Flow, fd field) {
	for _, area := range r.fields(fd.path, fd.value, "{admin: {name: Administración}}") {
		a := Area{ID: area.key}
		for _, p := range r.fields(area.path, area.value, "{name: Administración}", "name", "expected", "aliases") {
			switch p.key {
			case "name":
				a.Name = r.text(p.path, p.value)
			case "expected":
				a.Expected = r.text(p.path, p.value)
			case "aliases":
				a.Aliases = r.texts(p.path, p.value)
			}
		}
		f.Areas[a.ID] = a
		f.AreaOrder = append(f.AreaOrder, a.ID)
	}
}

func (r *reader) sentences(f *Flow, fd field) {
	t := &f.Texts
	into := map[string]*string{
		"handed_off": &t.HandedOff, "transferred": &t.Transferred, "invalid": &t.Invalid,
		"offer_person": &t.OfferPerson, "offer_yes": &t.OfferYes, "offer_no": &t.OfferNo,
		"stale_reply": &t.StaleReply, "unsupported": &t.Unsupported, "courtesy": &t.Courtesy,
		"menu_button": &t.MenuButton, "window_reopen": &t.WindowReopen, "closed": &t.Closed,
		"opted_out": &t.OptedOut, "opted_in": &t.OptedIn,
		"apology": &t.Apology,
	}
	for _, p := range r.fields(fd.path, fd.value, "{invalid: \"No encontré esa opción\"}", keys(into)...) {
		*into[p.key] = r.text(p.path, p.value)
	}
}

func (r *reader) commands(f *Flow, fd field) {
	c := &f.Commands
	into := map[string]*[]string{
		"menu": &c.Menu, "back": &c.Back, "person": &c.Person, "greeting": &c.Greeting,
		"courtesy": &c.Courtesy, "yes": &c.Yes, "no": &c.No, "stop": &c.Stop, "start": &c.Start,
	}
	for _, p := range r.fields(fd.path, fd.value, "{menu: [menu]}", keys(into)...) {
		*into[p.key] = r.words(p)
	}
}

// words reads a list of whole messages and normalises them.
func (r *reader) words(p field) []string {
	var list []string
	for i, raw := range r.texts(p.path, p.value) {
		word := Normalize(raw)
		switch {
		case word == "":
			r.errorf(join(p.path, strconv.Itoa(i)), "%q can never match: nothing is left of it without punctuation; write a word", raw)
		case !slices.Contains(list, word): // menú and menu are the same word
			list = append(list, word)
		}
	}
	return list
}

func (r *reader) policies(f *Flow, fd field) {
	p := &f.Policies
	for _, v := range r.fields(fd.path, fd.value, "{invalid_limit: 3}", "menu_breaks_handoff", "invalid_limit", "auto_per_hour", "offer_area", "after_outage") {
		switch v.key {
		case "menu_breaks_handoff":
			p.MenuBreaksHandoff = r.flag(v.path, v.value)
		case "invalid_limit":
			p.InvalidLimit = r.number(v.path, v.value, 1, 20)
		case "auto_per_hour":
			p.AutoPerHour = r.number(v.path, v.value, 1, 1000)
		case "offer_area":
			p.OfferArea = r.text(v.path, v.value)
		case "after_outage":
			p.AfterOutage = AfterOutage(r.text(v.path, v.value))
		}
	}
}

func keys[V any](m map[string]V) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
