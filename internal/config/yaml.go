package config

import (
	"errors"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The tree of a configuration is made of the YAML library's nodes: mappings, lists and
// scalars only. Every scalar is text, so that 0123 stays a name. LineComment holds a
// node's place, for messages.

const (
	nullTag = "!!null"
	textTag = "!!str"
)

func newMapping(place string) *yaml.Node {
	return &yaml.Node{Kind: yaml.MappingNode, LineComment: place}
}

func newScalar(text, place string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: textTag, Value: text, LineComment: place}
}

func newList(texts []string, place string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode, LineComment: place}
	for _, text := range texts {
		n.Content = append(n.Content, newScalar(strings.TrimSpace(text), place))
	}
	return n
}

func isNull(n *yaml.Node) bool { return n == nil || n.Tag == nullTag }

// pairs iterates over the keys and values of a mapping.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content) && yield(n.Content[i].Value, n.Content[i+1]); i += 2 {
		}
	}
}

// get returns the value of a key, nil without one.
func get(n *yaml.Node, key string) *yaml.Node {
	for k, value := range pairs(n) {
		if k == key {
			return value
		}
	}
	return nil
}

// set replaces the value of a key; nil removes the key.
func set(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			break
		}
	}
	if value != nil {
		n.Content = append(n.Content, newScalar(key, ""), value)
	}
}

// Limits of a file, far above the size of any real one.
const (
	maxNodes = 20_000
	maxDepth = 20
)

// file reads the configuration file into a tree, an empty one if it cannot.
func (d *decoder) file(path string) *yaml.Node {
	d.name = printable(path)
	root := newMapping(d.name)
	src, err := d.readFile(path)
	if err != nil {
		d.bad("--config", d.name, "cannot be read: "+reason(err), "correct the path, or omit --config to start with the sandbox")
	} else if err := yaml.Unmarshal(src, root); err != nil {
		why, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "yaml: "), "\n")
		d.bad(d.name, "", "is not YAML: "+why, "indent with spaces, put a space after each colon, and quote values that contain : or #, and ${NAME} between { and }")
	} else if root.Kind == yaml.DocumentNode { // an empty file leaves root alone
		root = d.tree(root.Content[0], "", 0)
	}
	if root.Kind != yaml.MappingNode {
		if !isNull(root) {
			d.bad("", root.LineComment, "is not a list of keys and values", "write `key: value`, one a line")
		}
		root = newMapping(d.name)
	}
	d.unread = len(d.problems) > 0 && len(root.Content) == 0
	return root
}

// list parses a variable's text for a key that takes lists: [a, b] as YAML, and a,b
// where a value cannot contain commas.
func list(text, variable string, commas bool) (*yaml.Node, error) {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.HasPrefix(trimmed, "[") && strings.HasSuffix(trimmed, "]"):
		var doc yaml.Node
		if err := yaml.Unmarshal([]byte(trimmed), &doc); err != nil {
			return nil, errors.New("begins with [ but is not a list")
		}
		d := &decoder{name: variable}
		n := d.tree(doc.Content[0], "", 0)
		if len(d.problems) > 0 {
			return nil, errors.New("is not a plain list")
		}
		return n, nil
	case commas && strings.Contains(text, ","):
		return newList(strings.Split(text, ","), variable), nil
	}
	return newScalar(text, variable), nil
}

// tree copies the library's nodes and resolves aliases: each copy of an aliased node can
// then be changed alone.
func (d *decoder) tree(y *yaml.Node, path string, depth int) *yaml.Node {
	place := func(y *yaml.Node) string {
		if d.env == nil { // a variable
			return d.name
		}
		return d.name + ":" + strconv.Itoa(y.Line)
	}
	n := &yaml.Node{Kind: y.Kind, LineComment: place(y)}
	d.nodes++
	if d.nodes > maxNodes || depth > maxDepth {
		if d.nodes <= maxNodes+1 {
			d.bad("", n.LineComment, "is too large or too deep for a configuration", "remove anchors and repetitions")
			d.nodes = maxNodes + 1
		}
		n.Kind, n.Tag = yaml.ScalarNode, nullTag
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		return d.tree(y.Alias, path, depth+1)
	case yaml.SequenceNode:
		for i, item := range y.Content {
			n.Content = append(n.Content, d.tree(item, join(path, strconv.Itoa(i)), depth+1))
		}
	case yaml.MappingNode:
		for i := 0; i < len(y.Content); i += 2 {
			key := y.Content[i]
			if key.Tag == "!!merge" {
				d.bad(path, n.LineComment, "uses a YAML merge (<<)", "write the keys out")
				continue
			}
			name := join(path, key.Value)
			if get(n, key.Value) != nil {
				d.bad(name, place(key), "is here twice", "keep one of them")
			}
			set(n, key.Value, d.tree(y.Content[i+1], name, depth+1))
		}
	default:
		n.Tag, n.Value = nullTag, y.Value
		if y.Tag != nullTag {
			n.Tag, n.Value = textTag, d.expand(y.Value, path, n.LineComment)
		}
	}
	return n
}

var reference = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)

// expand replaces ${VAR} and ${VAR:-default}; $${ stands for ${.
func (d *decoder) expand(s, path, place string) string {
	return reference.ReplaceAllStringFunc(s, func(ref string) string {
		if ref == "$${" {
			return "${"
		}
		inner, closed := strings.CutSuffix(ref[2:], "}")
		name, fallback, hasFallback := strings.Cut(inner, ":-")
		value, set := d.env[name]
		switch {
		case !closed:
			d.bad(path, place, "has ${ without }", "write ${NAME}, or $${ for a literal ${")
		case set && (value != "" || !hasFallback):
			return value
		case !hasFallback:
			d.bad(path, place, "needs the variable "+printable(name)+", which is not set", "set it, or write ${"+printable(name)+":-default}")
		}
		return fallback
	})
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

// printable makes a typed key safe to show in a message: it replaces control characters
// and cuts long text.
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
