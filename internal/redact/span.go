package redact

import (
	"slices"
	"strings"
)

// span is a part of a text.
type span struct{ from, to int }

// replace replaces the spans. Spans that touch or overlap count as one.
func replace(s string, spans []span, with func(string) string) string {
	if len(spans) == 0 {
		return s
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	at := 0
	for i := 0; i < len(spans); {
		whole := spans[i]
		for i++; i < len(spans) && spans[i].from <= whole.to; i++ {
			whole.to = max(whole.to, spans[i].to)
		}
		out.WriteString(s[at:whole.from])
		out.WriteString(with(s[whole.from:whole.to]))
		at = whole.to
	}
	out.WriteString(s[at:])
	return out.String()
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func digit(c byte) bool { return c >= '0' && c <= '9' }
