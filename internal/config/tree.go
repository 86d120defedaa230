package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

type kind uint8

const (
	scalar kind = iota
	mapping
	list
)

// node is one value of the file or the environment, with where it stands. Its
// scalars are text until the struct says what they are, so 0123 stays a name.
type node struct {
	kind     kind
	text     string
	null     bool
	from     string
	children map[string]*node // of a mapping
	items    []*node          // of a list
}

func newMapping(from string) *node {
	return &node{kind: mapping, from: from, children: map[string]*node{}}
}

// keys returns the keys of a mapping in a fixed order.
func (n *node) keys() []string {
	keys := make([]string, 0, len(n.children))
	for k := range n.children {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Limits of a file, far above any honest one.
const (
	maxNodes = 20_000
	maxDepth = 20
)

type reader struct {
	file     string
	lookup   func(string) (string, bool)
	nodes    int
	problems Problems
}

// read turns YAML into nodes.
func (r *reader) read(src []byte) *node {
	var doc yaml.Node
	if err := yaml.Unmarshal(src, &doc); err != nil {
		r.problems = append(r.problems, Problem{
			Key: r.file, Reason: "is not YAML: " + yamlReason(err),
			Fix: "indent with spaces, put a space after each colon, and quote values with : or # in them, and ${NAME} between { and }",
		})
		return newMapping(r.file)
	}
	if doc.Kind == 0 { // an empty file
		return newMapping(r.file)
	}
	root := r.convert(&doc, "", 0)
	if root.kind != mapping {
		if !root.null {
			r.problems = append(r.problems, Problem{Key: r.file, From: root.from, Reason: "is no list of keys and values", Fix: "write `key: value`, one a line"})
		}
		return newMapping(r.file)
	}
	return root
}

func yamlReason(err error) string {
	return strings.TrimPrefix(strings.SplitN(err.Error(), "\n", 2)[0], "yaml: ")
}

func (r *reader) bad(key, from, reason, cure string) {
	if key == "" {
		key = r.file
	}
	r.problems = append(r.problems, Problem{key, from, reason, cure})
}

func (r *reader) convert(y *yaml.Node, path string, depth int) *node {
	from := fmt.Sprintf("%s:%d", r.file, y.Line)
	r.nodes++
	if r.nodes > maxNodes || depth > maxDepth {
		if r.nodes <= maxNodes+1 {
			r.bad(r.file, from, "is too large or too deep for a configuration", "take anchors and repetitions out")
			r.nodes = maxNodes + 1
		}
		return &node{null: true, from: from}
	}
	switch y.Kind {
	case yaml.DocumentNode:
		return r.convert(y.Content[0], path, depth)
	case yaml.AliasNode:
		return r.convert(y.Alias, path, depth+1)
	case yaml.SequenceNode:
		n := &node{kind: list, from: from}
		for i, item := range y.Content {
			n.items = append(n.items, r.convert(item, join(path, strconv.Itoa(i)), depth+1))
		}
		return n
	case yaml.MappingNode:
		n := newMapping(from)
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, value := y.Content[i], y.Content[i+1]
			if key.Tag == "!!merge" {
				r.bad(path, from, "uses a YAML merge (<<)", "write the keys out")
				continue
			}
			name := join(path, key.Value)
			if _, twice := n.children[key.Value]; twice {
				r.bad(name, fmt.Sprintf("%s:%d", r.file, key.Line), "stands here twice", "keep one of them")
			}
			n.children[key.Value] = r.convert(value, name, depth+1)
		}
		return n
	default:
		n := &node{text: y.Value, null: y.Tag == "!!null", from: from}
		if !n.null {
			n.text = r.expand(y.Value, path, from)
		}
		return n
	}
}

// expand replaces ${VAR} and ${VAR:-default}; $${ stands for ${.
func (r *reader) expand(s, path, from string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "${")
		if !found {
			b.WriteString(s)
			return b.String()
		}
		if literal, escaped := strings.CutSuffix(before, "$"); escaped {
			b.WriteString(literal + "${")
			s = after
			continue
		}
		b.WriteString(before)
		name, rest, closed := strings.Cut(after, "}")
		if !closed {
			r.bad(path, from, "has ${ without }", "write ${NAME}, or $${ for the two characters themselves")
			return b.String()
		}
		name, fallback, hasFallback := strings.Cut(name, ":-")
		value, set := r.lookup(name)
		switch {
		case set && (value != "" || !hasFallback):
			b.WriteString(value)
		case hasFallback:
			b.WriteString(fallback)
		default:
			r.bad(path, from, "needs the variable "+printable(name)+", which is not set", "set it, or write ${"+printable(name)+":-default}")
		}
		s = rest
	}
}

func join(path, key string) string {
	key = printable(key)
	if key == "" {
		key = `""`
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// printable keeps a key that somebody typed from breaking the message it is
// shown in.
func printable(s string) string {
	const most = 60
	clean := strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
	if runes := []rune(clean); len(runes) > most {
		clean = string(runes[:most]) + "…"
	}
	return clean
}

// parseValue reads the text of a variable for a key that takes lists: [a, b] is
// YAML, a,b too where commas cannot be part of a value.
func parseValue(text, from string, commas bool) (*node, error) {
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]") {
		r := &reader{file: from, lookup: func(string) (string, bool) { return "", false }}
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(trimmed), &doc); err != nil || doc.Kind == 0 {
			return nil, errors.New("begins with [ but is no list")
		}
		n := r.convert(&doc, "", 0)
		if len(r.problems) > 0 {
			return nil, errors.New("is no plain list")
		}
		n.setFrom(from)
		return n, nil
	}
	if !commas || !strings.Contains(text, ",") {
		return &node{text: text, from: from}, nil
	}
	n := &node{kind: list, from: from}
	for part := range strings.SplitSeq(text, ",") {
		n.items = append(n.items, &node{text: strings.TrimSpace(part), from: from})
	}
	return n, nil
}

func (n *node) setFrom(from string) {
	n.from = from
	for _, item := range n.items {
		item.setFrom(from)
	}
	for _, child := range n.children {
		child.setFrom(from)
	}
}
