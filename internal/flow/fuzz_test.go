package flow

import (
	"errors"
	"testing"
)

// FuzzParse: no text makes the parser panic, every refusal has a position, and every reference
// in an accepted flow resolves.
func FuzzParse(f *testing.F) {
	f.Add(good) // small seeds: long ones are minimised for ever
	f.Add(odd)
	f.Add("")
	f.Add("a: &a [*a]")
	f.Add("- - -")
	f.Add("version: 1\nmenus: {a: {options: [{menu: a}]}}")
	f.Add("version: 1\n<<: {lines: }\nmenus: [\xff]")
	f.Fuzz(func(t *testing.T, src string) {
		flow, err := Parse("fuzz.yaml", []byte(src))
		if err != nil {
			var problems Problems
			if !errors.As(err, &problems) || !problems.Fatal() || flow != nil {
				t.Fatalf("refused with %T: %v", err, err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 || p.Message == "" || p.File != "fuzz.yaml" {
					t.Fatalf("a problem that says too little: %+v", p)
				}
			}
			return
		}
		walk(t, flow)
		_ = Mermaid(flow)
		_ = SVG(flow)
	})
}

func walk(t *testing.T, f *Flow) {
	t.Helper()
	if f.Start("any line") == nil {
		t.Fatal("conversations start nowhere")
	}
	for id, l := range f.Lines {
		if f.Menus[l.Start] == nil || f.Start(id) == nil {
			t.Fatalf("line %q starts nowhere", id)
		}
	}
	for _, id := range f.MenuOrder {
		m := f.Menus[id]
		if m.Style == StyleAuto || m.Text == "" || len(m.Options) == 0 {
			t.Fatalf("menu %q: %+v", id, m)
		}
		if m.Parent != "" && f.Menus[m.Parent] == nil {
			t.Fatalf("menu %q has the parent %q", id, m.Parent)
		}
		for i, o := range m.Options {
			if f.Codes[o.Code] != (Choice{Menu: id, Index: i}) {
				t.Fatalf("code %q does not choose %q", o.Code, o.Title)
			}
			if o.Menu != "" && f.Menus[o.Menu] == nil {
				t.Fatalf("option %q leads to no menu", o.Title)
			}
			if o.Handoff != nil && f.Areas[o.Handoff.Area].Name == "" {
				t.Fatalf("option %q hands off to nobody", o.Title)
			}
		}
	}
	if f.Areas[f.Policies.OfferArea].Name == "" || f.Policies.AutoPerHour < 1 || f.Policies.InvalidLimit < 1 {
		t.Fatalf("policies: %+v", f.Policies)
	}
}
