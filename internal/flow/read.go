package flow

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reader turns YAML nodes into values and remembers their positions for later checks. Its
// methods never fail: they note a problem and go on with the zero value.
type reader struct {
	file     string
	at       map[string]position // by path: menus.admin.options.0.title
	broken   map[string]bool     // paths with a part that could not be read
	problems Problems
	opened   int // number of nodes, counted again for each alias
}

// mostNodes bounds the nodes of a file with its aliases unfolded.
const mostNodes = 100_000

func newReader(file string) *reader {
	return &reader{file: file, at: make(map[string]position), broken: make(map[string]bool)}
}

type position struct{ line, column int }

type field struct {
	key   string
	path  string
	value *yaml.Node
}

func (r *reader) note(severity Severity, at position, format string, args ...any) {
	r.problems = append(r.problems, Problem{
		File: r.file, Line: at.line, Column: at.column, Severity: severity, Message: fmt.Sprintf(format, args...),
	})
}

// errorf notes an error at a path, or at its nearest parent that is in the file.
func (r *reader) errorf(path, format string, args ...any) {
	r.note(SeverityError, r.where(path), format, args...)
}

func (r *reader) warnf(path, format string, args ...any) {
	r.note(SeverityWarning, r.where(path), format, args...)
}

// misshapen notes that a value has the wrong type for its key.
func (r *reader) misshapen(path, format string, args ...any) {
	r.errorf(path, format, args...)
	r.broken[path] = true
	if dot := strings.LastIndexByte(path, '.'); dot >= 0 {
		r.broken[path[:dot]] = true
	} else {
		r.broken[""] = true
	}
}

// missing reports whether an absent value was left out, rather than misspelt or misshapen,
// which is already noted.
func (r *reader) missing(path string) bool { return !r.broken[path] }

func (r *reader) where(path string) position {
	for {
		if at, ok := r.at[path]; ok {
			return at
		}
		dot := strings.LastIndexByte(path, '.')
		if dot < 0 {
			return position{1, 1}
		}
		path = path[:dot]
	}
}

// open follows an alias and notes the value's position. For a mapping or a list, fields
// already noted the position of the key.
func (r *reader) open(path string, n *yaml.Node) *yaml.Node {
	if _, noted := r.at[path]; !noted {
		r.at[path] = position{n.Line, n.Column}
	}
	if r.opened++; r.opened == mostNodes {
		r.errorf(path, "the flow unfolds to more than %d values; write it without aliases (*name)", mostNodes)
	}
	if r.opened >= mostNodes {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null"}
	}
	for range 8 { // an alias of an alias of …: nobody writes that by hand
		if n.Kind != yaml.AliasNode || n.Alias == nil {
			break
		}
		n = n.Alias
	}
	return n
}

// fields reads a mapping. If known keys are given, any other key is an error.
func (r *reader) fields(path string, n *yaml.Node, example string, known ...string) []field {
	n = r.open(path, n)
	if empty(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.misshapen(path, "%s must be a mapping; write %s", name(path), example)
		return nil
	}
	var list []field
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		at := position{key.Line, key.Column}
		switch line, twice := seen[key.Value]; {
		case key.Kind != yaml.ScalarNode:
			r.note(SeverityError, at, "a key of %s must be a plain word", name(path))
		case twice:
			r.note(SeverityError, at, "%q is here twice (first on line %d); keep one", key.Value, line)
		case len(known) > 0 && !slices.Contains(known, key.Value):
			r.note(SeverityError, at, "unknown key %q in %s%s", key.Value, name(path), didYouMean(key.Value, known))
			r.broken[path] = true
		default:
			f := field{key: key.Value, path: join(path, key.Value), value: n.Content[i+1]}
			if f.value.Kind != yaml.ScalarNode {
				r.at[f.path] = at
			}
			list = append(list, f)
		}
		seen[key.Value] = key.Line
	}
	return list
}

// text reads a string. A number is read as it is written.
func (r *reader) text(path string, n *yaml.Node) string {
	n = r.open(path, n)
	if n.Kind != yaml.ScalarNode {
		r.misshapen(path, "%s must be a text; write it in quotes", name(path))
		return ""
	}
	if empty(n) {
		return ""
	}
	return strings.TrimSpace(n.Value)
}

// texts reads a list of strings. A single string needs no brackets.
func (r *reader) texts(path string, n *yaml.Node) []string {
	n = r.open(path, n)
	switch {
	case empty(n):
		return []string{}
	case n.Kind == yaml.ScalarNode:
		return []string{r.text(path, n)}
	case n.Kind != yaml.SequenceNode:
		r.misshapen(path, "%s must be a list; write [one, two]", name(path))
		return nil
	}
	list := make([]string, 0, len(n.Content))
	for i, item := range n.Content {
		list = append(list, r.text(join(path, strconv.Itoa(i)), item))
	}
	return list
}

func (r *reader) flag(path string, n *yaml.Node) bool {
	n = r.open(path, n)
	switch n.Value {
	case "true", "false":
		return n.Value == "true"
	}
	r.errorf(path, "%s must be true or false", name(path))
	return false
}

func (r *reader) number(path string, n *yaml.Node, least, most int) int {
	n = r.open(path, n)
	v, err := strconv.Atoi(n.Value)
	if err != nil || v < least || v > most {
		if least == most {
			r.errorf(path, "%s %q is not known here; write %s: %d", name(path), n.Value, name(path), least)
			return least
		}
		r.errorf(path, "%s must be a number from %d to %d", name(path), least, most)
		return least
	}
	return v
}

func empty(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// name returns the name of a path in messages.
func name(path string) string {
	if path == "" {
		return "the flow"
	}
	return path
}
