package flow

import (
	"strconv"

	"go.yaml.in/yaml/v3"
)

func (r *reader) menus(f *Flow, fd field) {
	for _, menu := range r.fields(fd.path, fd.value, "{principal: {text: \"¡Hola!\", options: […]}}") {
		m := &Menu{ID: menu.key, Style: StyleAuto, Line: menu.value.Line}
		for _, p := range r.fields(menu.path, menu.value, "{text: \"¡Hola!\", options: […]}", "style", "text", "footer", "button", "options") {
			switch p.key {
			case "style":
				m.Style = r.style(p)
			case "text":
				m.Text = r.text(p.path, p.value)
			case "footer":
				m.Footer = r.text(p.path, p.value)
			case "button":
				m.Button = r.text(p.path, p.value)
			case "options":
				m.Options = r.options(p)
			}
		}
		f.Menus[m.ID] = m
		f.MenuOrder = append(f.MenuOrder, m.ID)
	}
}

func (r *reader) style(p field) Style {
	s := Style(r.text(p.path, p.value))
	switch s {
	case StyleAuto, StyleText, StyleList, StyleButtons:
		return s
	}
	r.errorf(p.path, "unknown style %q%s", s, didYouMean(string(s), []string{"auto", "text", "list", "buttons"}))
	return StyleAuto
}

const exampleOption = `{code: "11", title: Pagos, handoff: {area: admin, tag: pagos}}`

func (r *reader) options(p field) []Option {
	n := r.open(p.path, p.value)
	if empty(n) {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.misshapen(p.path, "%s must be a list; write - %s", name(p.path), exampleOption)
		return nil
	}
	var list []Option
	for i, item := range n.Content {
		list = append(list, r.option(join(p.path, strconv.Itoa(i)), item))
	}
	return list
}

func (r *reader) option(path string, n *yaml.Node) Option {
	o := Option{Line: n.Line}
	for _, p := range r.fields(path, n, exampleOption, "code", "title", "description", "synonyms", "menu", "handoff", "reply") {
		switch p.key {
		case "code":
			o.Code = r.text(p.path, p.value)
		case "title":
			o.Title = r.text(p.path, p.value)
		case "description":
			o.Description = r.text(p.path, p.value)
		case "synonyms":
			o.Synonyms = r.words(p)
		case "menu":
			o.Menu = r.text(p.path, p.value)
		case "handoff":
			o.Handoff = r.handoff(p)
		case "reply":
			o.Reply = r.text(p.path, p.value)
		}
	}
	return o
}

func (r *reader) handoff(p field) *Handoff {
	h := &Handoff{}
	for _, v := range r.fields(p.path, p.value, "{area: admin, tag: pagos}", "area", "tag") {
		switch v.key {
		case "area":
			h.Area = r.text(v.path, v.value)
		case "tag":
			h.Tag = r.text(v.path, v.value)
		}
	}
	return h
}
