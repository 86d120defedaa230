package config

import (
	"cmp"
	"encoding"
	"fmt"
	"io/fs"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decoder reads the configuration and collects its problems.
type decoder struct {
	readFile func(string) ([]byte, error)
	name     string            // of the file or the variable being read
	env      map[string]string // nil while a variable is read
	nodes    int               // read so far
	problems Problems
	notes    []string // keys without effect
	// unread is set when nothing of the file could be read: missing keys are then not
	// reported.
	unread bool
	// ours counts the keys of the development identity, at the end of api_keys.
	ours int
}

func (d *decoder) bad(key, place, reason, cure string) {
	d.problems = append(d.problems, Problem{printable(cmp.Or(key, d.name)), place, reason, cure})
}

var (
	secretType = reflect.TypeFor[Secret]()
	prefixType = reflect.TypeFor[netip.Prefix]()
)

// fields lists the settable fields of a struct type.
func fields(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range t.Fields() {
		if keyOf(f) != "-" {
			out = append(out, f)
		}
	}
	return out
}

func keyOf(f reflect.StructField) string { return f.Tag.Get("yaml") }

// isStruct reports whether a type is a mapping with keys.
func isStruct(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && t != secretType && t != prefixType
}

// decode checks the tree, and then the YAML library decodes it into the struct.
// The check reports problems by key, which the library's errors lack. It removes
// invalid values and adds defaults.
func (d *decoder) decode(root *yaml.Node, c *Config) {
	d.object(reflect.TypeFor[Config](), root, "")
	if err := root.Decode(c); err != nil { // err may hold a value, so it is not shown
		d.bad("configuration", "", "cannot be decoded", "report this as a bug, with the file but without its secrets")
	}
	for id, line := range c.Lines {
		line.ID = id
	}
}

func (d *decoder) object(t reflect.Type, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		if !isNull(n) {
			d.bad(path, n.LineComment, "must hold keys and values", "write the keys below it, indented")
		}
		*n = *newMapping(n.LineComment)
	}
	var known []string
	for _, f := range fields(t) {
		key, where := keyOf(f), join(path, keyOf(f))
		known = append(known, key)
		value := get(n, key)
		if why := f.Tag.Get("later"); why != "" && !isNull(value) {
			d.notes = append(d.notes, key+" has no effect in this version: "+why)
		}
		if f.Type == secretType {
			known = append(known, key+"_file")
			value = d.secret(value, get(n, key+"_file"), where)
		} else if isNull(value) || !d.value(f.Type, f.Tag, value, where) {
			value = d.standard(f, where)
		}
		set(n, key, value)
		if f.Tag.Get("required") == "true" && (value == nil || value.Kind == yaml.ScalarNode && value.Value == "") {
			d.missing(path, key, f.Tag.Get("doc"))
		}
	}
	for key, value := range pairs(n) {
		if !slices.Contains(known, key) {
			d.unknown(t, path, key, value.LineComment)
		}
	}
}

func (d *decoder) missing(path, key, doc string) {
	if d.unread {
		return
	}
	d.bad(join(path, key), "", "is missing", "set it: "+strings.TrimSuffix(doc, ".")+"; in the environment it is "+EnvName(join(path, key)))
}

// standard is the default of a field, nil without one.
func (d *decoder) standard(f reflect.StructField, path string) *yaml.Node {
	n := newScalar(f.Tag.Get("default"), "default")
	if isStruct(f.Type) {
		n = newMapping("")
	} else if n.Value == "" {
		return nil
	}
	d.value(f.Type, f.Tag, n, path)
	return n
}

// value reports whether a value fits a type, and rewrites it into the form that the
// library decodes.
func (d *decoder) value(t reflect.Type, tag reflect.StructTag, n *yaml.Node, path string) bool {
	switch {
	case t.Kind() == reflect.Map:
		return d.lines(t.Elem().Elem(), n, path)
	case t.Kind() == reflect.Slice:
		return d.items(t.Elem(), tag, n, path)
	case isStruct(t):
		d.object(t, n, path)
		return true
	case n.Kind != yaml.ScalarNode:
		d.bad(path, n.LineComment, "must be a single value", "write it on one line, "+path[strings.LastIndexByte(path, '.')+1:]+": value")
		return false
	}
	n.Tag, n.Value = textTag, strings.TrimSpace(n.Value)
	wrong := d.scalar(t, tag, n)
	if wrong != nil {
		d.bad(path, n.LineComment, strconv.Quote(printable(n.Value))+" "+wrong.reason, wrong.cure)
	}
	return wrong == nil
}

// scalar returns the flaw of a scalar, nil without one.
func (d *decoder) scalar(t reflect.Type, tag reflect.StructTag, n *yaml.Node) *flaw {
	switch v := reflect.New(t).Interface().(type) {
	case *netip.Prefix:
		p, err := netip.ParsePrefix(n.Value)
		if addr, alone := netip.ParseAddr(n.Value); err != nil && alone == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return &flaw{"is not an address range", "write one such as 10.0.0.0/8 or 127.0.0.1"}
		}
		n.Value = p.String()
	case encoding.TextUnmarshaler:
		if f, ok := v.UnmarshalText([]byte(n.Value)).(*flaw); ok { //nolint:errorlint // ours return this type and nothing else
			return f
		}
	case *bool:
		switch strings.ToLower(n.Value) {
		case "true", "yes", "on", "1":
			n.Tag, n.Value = "!!bool", "true"
		case "false", "no", "off", "0":
			n.Tag, n.Value = "!!bool", "false"
		default:
			return &flaw{"is neither true nor false", "write true or false"}
		}
	case *int:
		i, err := strconv.Atoi(n.Value)
		least, _ := strconv.Atoi(tag.Get("min"))
		most, _ := strconv.Atoi(tag.Get("max"))
		if err != nil || i < least || i > most {
			return &flaw{"is not possible", fmt.Sprintf("write a whole number from %d to %d", least, most)}
		}
		n.Tag, n.Value = "!!int", strconv.Itoa(i)
	default: // string
		if one := strings.Fields(tag.Get("oneof")); len(one) > 0 && !slices.Contains(one, n.Value) {
			return &flaw{"is not possible", "write one of " + strings.Join(one, ", ")}
		}
	}
	return nil
}

func (d *decoder) items(elem reflect.Type, tag reflect.StructTag, n *yaml.Node, path string) bool {
	if n.Kind == yaml.MappingNode || n.Kind == yaml.ScalarNode && isStruct(elem) {
		d.bad(path, n.LineComment, "must be a list", "write each element on its own line, after a dash")
		return false
	}
	if n.Kind == yaml.ScalarNode { // one element, or none
		one := *n
		*n = yaml.Node{Kind: yaml.SequenceNode}
		if strings.TrimSpace(one.Value) != "" {
			n.Content = []*yaml.Node{&one}
		}
	}
	good := n.Content[:0]
	for i, item := range n.Content {
		if d.value(elem, tag, item, join(path, strconv.Itoa(i))) {
			good = append(good, item)
		}
	}
	n.Content = good
	return true
}

func (d *decoder) lines(line reflect.Type, n *yaml.Node, path string) bool {
	if n.Kind != yaml.MappingNode {
		d.bad(path, n.LineComment, "must map ids to lines", "write `wsp4: {provider: cloud, …}` below it")
		return false
	}
	for id, value := range pairs(n) {
		where := join(path, id)
		if !lineID.MatchString(id) {
			d.bad(where, value.LineComment, "is not a valid line id", "use at most 32 lower-case letters, digits, _ and -, the first a letter or digit")
		}
		d.object(line, value, where)
	}
	return true
}

// secret returns the values of a secret as a list, nil without any.
func (d *decoder) secret(n, file *yaml.Node, path string) *yaml.Node {
	given := func(n *yaml.Node) bool { return !isNull(n) && (n.Kind != yaml.ScalarNode || n.Value != "") }
	if given(file) {
		if given(n) {
			d.bad(path, file.LineComment, "is set both here and by "+path[strings.LastIndexByte(path, '.')+1:]+"_file", "keep one of them")
			return nil
		}
		n = d.secretFile(file, path)
	}
	if !given(n) {
		return nil
	}
	items := n.Content
	if n.Kind != yaml.SequenceNode {
		items = []*yaml.Node{n}
	}
	var texts []string
	for _, item := range items {
		switch text := strings.TrimSpace(item.Value); {
		case item.Kind != yaml.ScalarNode:
			d.bad(path, item.LineComment, "must be one value or a list of values", "write `[new, old]` while you change it")
		case text == "":
			d.bad(path, item.LineComment, "holds an empty value", "remove it from the list")
		case strings.ContainsAny(text, " \t\r\n\x00"):
			d.bad(path, item.LineComment, "contains white space", "copy it again: tokens and secrets have none")
		default:
			texts = append(texts, text)
		}
	}
	if texts == nil {
		return nil
	}
	return newList(texts, n.LineComment)
}

// secretFile reads the values of a secret from a file, one a line.
func (d *decoder) secretFile(file *yaml.Node, path string) *yaml.Node {
	if file.Kind != yaml.ScalarNode {
		d.bad(path+"_file", file.LineComment, "must be the path of one file", "write one path; the file may hold several values, one a line")
		return nil
	}
	src, err := d.readFile(file.Value)
	if err != nil {
		d.bad(path, file.LineComment, "cannot be read from its file: "+reason(err), "correct the path, or make the file readable for the user that runs psi-router")
		return nil
	}
	values := slices.DeleteFunc(strings.Split(string(src), "\n"), func(line string) bool { return strings.TrimSpace(line) == "" })
	if len(values) == 0 {
		d.bad(path, file.LineComment, "has an empty file", "write the value into the file")
	}
	return newList(values, file.LineComment)
}

// reason is the text of an error, of a file error without the operation.
func reason(err error) string {
	if p, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost wrapper is taken off
		return printable(p.Path) + ": " + p.Err.Error()
	}
	return err.Error()
}
