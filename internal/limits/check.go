package limits

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Flaw is one thing that WhatsApp would refuse. It never quotes the message.
type Flaw struct {
	Place string // interactive.action.sections[1].rows[3].title
	Got   string // "25 characters"
	Want  string // "1 to 24 characters"
}

func (f Flaw) String() string { return f.Got + "; WhatsApp takes " + f.Want }

// Check returns the flaws of a message: kind is its type, object the member of that name. A
// message of an unknown type has no flaws.
func Check(kind string, object json.RawMessage) []Flaw {
	var value any
	if err := json.Unmarshal(object, &value); err != nil {
		return []Flaw{{kind, "no JSON", "an object"}}
	}
	root := spot{value: map[string]any{kind: value}}
	apply := rules[kind]
	if kind == "interactive" {
		apply = append(apply[:len(apply):len(apply)], rules[kind+"/"+wordAt(value, "type")]...)
	}
	var flaws []Flaw
	seen := map[string]bool{}
	for _, r := range apply {
		for _, f := range r.check(resolve(root, strings.Split(r.path, "."))) {
			if !seen[f.Place] { // one flaw per place
				seen[f.Place] = true
				flaws = append(flaws, f)
			}
		}
	}
	return flaws
}

// rule is a check for the values at a path.
type rule struct {
	path  string
	check check
}

// check returns the flaws of all values of a path together.
type check func([]spot) []Flaw

// spot is a value with its place; the value is nil if missing.
type spot struct {
	place string
	value any
}

func (s spot) flaw(got, want string) *Flaw { return &Flaw{s.place, got, want} }

// resolve finds the values at a path below a spot. A value that is not a list has no items;
// a member of a missing value is missing.
func resolve(at spot, path []string) []spot {
	if len(path) == 0 {
		return []spot{at}
	}
	name, each := strings.CutSuffix(path[0], "[]")
	name, optional := strings.CutSuffix(name, "?")
	members, _ := at.value.(map[string]any)
	next := spot{strings.TrimPrefix(at.place+"."+name, "."), members[name]}
	switch {
	case optional && next.value == nil:
		return nil
	case !each:
		return resolve(next, path[1:])
	}
	var found []spot
	items, _ := next.value.([]any)
	for i, item := range items {
		found = append(found, resolve(spot{fmt.Sprintf("%s[%d]", next.place, i), item}, path[1:])...)
	}
	return found
}

// wordAt returns a string member of an object, "" if there is none.
func wordAt(object any, name string) string {
	members, _ := object.(map[string]any)
	word, _ := members[name].(string)
	return word
}
