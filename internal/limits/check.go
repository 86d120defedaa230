package limits

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Flaw is one thing that WhatsApp would refuse. It repeats no text of a message.
type Flaw struct {
	Place string // interactive.action.sections[1].rows[3].title
	Got   string // what is there: "25 characters"
	Want  string // what WhatsApp takes: "1 to 24 characters"
}

func (f Flaw) String() string { return f.Got + "; WhatsApp takes " + f.Want }

// Check returns what WhatsApp would refuse of a message, by the object of its
// type. A type that it does not know has no flaws.
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
			if !seen[f.Place] { // one cure for a place at a time
				seen[f.Place] = true
				flaws = append(flaws, f)
			}
		}
	}
	return flaws
}

// rule is what holds for the values at a path.
type rule struct {
	path  string
	check check
}

// check looks at all values of a path together.
type check func([]spot) []Flaw

// spot is one value in its place; nil where nothing is.
type spot struct {
	place string
	value any
}

func (s spot) flaw(got, want string) *Flaw { return &Flaw{s.place, got, want} }

// resolve finds the values at a path below a spot. Items of what is no list are
// none; a member of what is not there is not there either.
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

// wordAt is a member of an object, "" where there is none.
func wordAt(object any, name string) string {
	members, _ := object.(map[string]any)
	word, _ := members[name].(string)
	return word
}
