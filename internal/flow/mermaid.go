package flow

import (
	"fmt"
	"strings"
)

// Mermaid draws the flow as a Mermaid flowchart. The same flow gives the same text.
func Mermaid(f *Flow) string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	for i, id := range f.LineOrder {
		fmt.Fprintf(&b, "  line%d([%s]) --> %s\n", i, quoted("línea "+id), node(f.Lines[id].Start))
	}
	for _, id := range f.MenuOrder {
		fmt.Fprintf(&b, "  %s[%s]\n", node(id), quoted(firstSentence(f.Menus[id].Text)))
	}
	for _, id := range f.AreaOrder {
		fmt.Fprintf(&b, "  %s[[%s]]\n", areaNode(id), quoted(f.Areas[id].Name))
	}
	for _, id := range f.MenuOrder {
		for i, o := range f.Menus[id].Options {
			label := quoted(o.Code + " · " + o.Title)
			switch {
			case o.Menu != "":
				fmt.Fprintf(&b, "  %s -->|%s| %s\n", node(id), label, node(o.Menu))
			case o.Handoff != nil:
				fmt.Fprintf(&b, "  %s -.->|%s| %s\n", node(id), label, areaNode(o.Handoff.Area))
			default:
				fmt.Fprintf(&b, "  %s -->|%s| %s_%d>%s]\n", node(id), label, node(id), i, quoted(firstSentence(o.Reply)))
			}
		}
	}
	return b.String()
}

// node names have a prefix, as they must not be keywords of Mermaid ("end", "graph").
func node(menu string) string     { return "menu_" + strings.ReplaceAll(menu, "-", "__") }
func areaNode(area string) string { return "area_" + strings.ReplaceAll(area, "-", "__") }

// quoted returns a label in quotes, with Mermaid's special characters escaped.
func quoted(s string) string {
	s = strings.NewReplacer("#", "#35;", `"`, "#quot;", "<", "#lt;", ">", "#gt;", "*", "", "\n", " ", "\r", " ", "`", "'").Replace(s)
	return `"` + s + `"`
}

// firstSentence returns the first line of a text, shortened to 60 letters.
func firstSentence(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return shorten(s, 60)
}

// shorten cuts a text to at most most letters, ellipsis included.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return strings.TrimSpace(string(r[:most-1])) + "…"
}
