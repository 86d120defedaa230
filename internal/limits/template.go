package limits

import (
	"fmt"
	"strings"
)

// components checks the values that fill a template. Only WhatsApp knows which of them the
// template needs.
func components(spots []spot) (flaws []Flaw) {
	body := BodyValue
	if len(spots) == 1 {
		body = OnlyBodyValue
	}
	return filled(spots, body)
}

// filled checks the values of the components of a template or of one card. body is the
// limit of a value in the body.
func filled(spots []spot, body int) (flaws []Flaw) {
	first := map[string]string{}
	for _, s := range spots {
		kind := strings.ToLower(wordAt(s.value, "type"))
		name := kind
		switch kind {
		case "header":
			flaws = append(flaws, atMost(1)(resolve(s, []string{"parameters[]"}))...)
			flaws = append(flaws, values(s, HeaderValue)...)
		case "body":
			flaws = append(flaws, values(s, body)...)
		case "button":
			index := resolve(s, []string{"index"})
			flaws = append(flaws, text(1, 50)(resolve(s, []string{"sub_type"}))...)
			flaws = append(flaws, whole(0, ButtonIndex)(index)...)
			name = fmt.Sprint(kind, " ", index[0].value)
		case "carousel":
			flaws = append(flaws, count(1, Cards)(resolve(s, []string{"cards"}))...)
			for _, card := range resolve(s, []string{"cards[]"}) {
				flaws = append(flaws, filled(resolve(card, []string{"components[]"}), CardBody)...)
			}
		default:
			continue
		}
		if where, twice := first[name]; twice {
			flaws = append(flaws, *s.flaw("the same as "+where, "each once"))
			continue
		}
		first[name] = s.place
	}
	return flaws
}

// values checks the texts among the parameters of a component.
func values(component spot, most int) (flaws []Flaw) {
	for _, p := range resolve(component, []string{"parameters[]"}) {
		flaws = append(flaws, text(1, 50)(resolve(p, []string{"type"}))...)
		if wordAt(p.value, "type") == "text" {
			flaws = append(flaws, text(1, most)(resolve(p, []string{"text"}))...)
		}
	}
	return flaws
}
