package config

import (
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// decoder fills the struct from nodes and gathers everything that is wrong.
type decoder struct {
	readFile func(string) ([]byte, error)
	problems Problems
	// unread is set when nothing of the file could be read: what it lacks is then
	// not worth a word.
	unread bool
	// ours is how many keys at the end of api_keys are of the development identity.
	ours int
}

func (d *decoder) bad(key, from, reason, cure string) {
	d.problems = append(d.problems, Problem{printable(key), printable(from), reason, cure})
}

// parser is a scalar that reads itself; its error is a *flaw.
type parser interface{ parse(string) error }

// fields lists the settable fields of a struct type by key.
func fields(t reflect.Type) []reflect.StructField {
	var out []reflect.StructField
	for f := range t.Fields() {
		if key := f.Tag.Get("key"); key != "" && key != "-" {
			out = append(out, f)
		}
	}
	return out
}

var (
	secretType = reflect.TypeFor[Secret]()
	prefixType = reflect.TypeFor[netip.Prefix]()
)

func (d *decoder) object(v reflect.Value, n *node, path string) {
	if n != nil && n.kind != mapping && !n.null {
		d.bad(path, n.from, "must hold keys and values", "write its keys below it, indented")
		n = nil
	}
	known := map[string]bool{}
	for _, f := range fields(v.Type()) {
		key := f.Tag.Get("key")
		known[key] = true
		var child, file *node
		if n != nil {
			child = n.children[key]
			if f.Type == secretType {
				file = n.children[key+"_file"]
				known[key+"_file"] = true
			}
		}
		where := join(path, key)
		switch {
		case f.Type == secretType:
			d.secret(v.FieldByIndex(f.Index), child, file, where)
		case child == nil || child.null:
			d.fallback(v.FieldByIndex(f.Index), f, where)
		default:
			d.fallback(v.FieldByIndex(f.Index), f, where) // stays when the value is no good
			d.value(v.FieldByIndex(f.Index), f.Tag, child, where)
		}
		if f.Tag.Get("required") == "true" && v.FieldByIndex(f.Index).IsZero() {
			d.missing(path, key, f.Tag.Get("doc"))
		}
	}
	if n == nil {
		return
	}
	for _, key := range n.keys() {
		if !known[key] {
			d.unknown(v.Type(), path, key, n.children[key].from)
		}
	}
}

func (d *decoder) missing(path, key, doc string) {
	if d.unread {
		return
	}
	d.bad(join(path, key), "", "is missing", "set it: "+strings.TrimSuffix(doc, ".")+"; in the environment it is "+EnvName(join(path, key)))
}

func (d *decoder) fallback(v reflect.Value, f reflect.StructField, path string) {
	switch {
	case f.Type.Kind() == reflect.Struct:
		d.object(v, nil, path)
	case f.Type.Kind() == reflect.Slice && f.Tag.Get("default") != "":
		n, err := parseValue(f.Tag.Get("default"), "default", true)
		if err == nil {
			d.value(v, f.Tag, n, path)
		}
	case f.Tag.Get("default") != "":
		d.value(v, f.Tag, &node{text: f.Tag.Get("default"), from: "default"}, path)
	}
}

func (d *decoder) value(v reflect.Value, tag reflect.StructTag, n *node, path string) {
	switch {
	case v.Kind() == reflect.Map:
		d.lines(v, n, path)
	case v.Kind() == reflect.Slice:
		d.slice(v, tag, n, path)
	case v.Kind() == reflect.Struct && v.Type() != prefixType:
		d.object(v, n, path)
	case n.kind != scalar:
		d.bad(path, n.from, "must be one value", "write it on one line, "+path[strings.LastIndexByte(path, '.')+1:]+": value")
	default:
		d.scalar(v, tag, n, path)
	}
}

func (d *decoder) scalar(v reflect.Value, tag reflect.StructTag, n *node, path string) {
	text := strings.TrimSpace(n.text)
	if p, ok := v.Addr().Interface().(parser); ok {
		if err := p.parse(text); err != nil {
			f, _ := err.(*flaw) //nolint:errorlint // parsers return this type and nothing else
			d.bad(path, n.from, strconv.Quote(printable(text))+" "+f.reason, f.cure)
		}
		return
	}
	switch v.Interface().(type) {
	case netip.Prefix:
		p, err := netip.ParsePrefix(text)
		if addr, alone := netip.ParseAddr(text); err != nil && alone == nil {
			p, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			d.bad(path, n.from, strconv.Quote(printable(text))+" is no address range", "write one such as 10.0.0.0/8 or 127.0.0.1")
			return
		}
		v.Set(reflect.ValueOf(p))
	case bool:
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			v.SetBool(true)
		case "false", "no", "off", "0":
			v.SetBool(false)
		default:
			d.bad(path, n.from, strconv.Quote(printable(text))+" is neither true nor false", "write true or false")
		}
	case int:
		i, err := strconv.Atoi(text)
		least, _ := strconv.Atoi(tag.Get("min"))
		most, _ := strconv.Atoi(tag.Get("max"))
		if err != nil || i < least || i > most {
			d.bad(path, n.from, strconv.Quote(printable(text))+" is not possible", fmt.Sprintf("write a whole number from %d to %d", least, most))
			return
		}
		v.SetInt(int64(i))
	default: // string
		if one := tag.Get("oneof"); one != "" && !slices.Contains(strings.Fields(one), text) {
			d.bad(path, n.from, strconv.Quote(printable(text))+" is not possible", "write one of "+strings.Join(strings.Fields(one), ", "))
			return
		}
		v.SetString(text)
	}
}

func (d *decoder) slice(v reflect.Value, tag reflect.StructTag, n *node, path string) {
	v.SetZero() // the default
	items := n.items
	switch elem := v.Type().Elem(); {
	case n.kind == mapping, n.kind == scalar && elem.Kind() == reflect.Struct && elem != prefixType:
		d.bad(path, n.from, "must be a list", "begin each element with - on a line of its own")
		return
	case n.kind == scalar && strings.TrimSpace(n.text) == "":
		return
	case n.kind == scalar:
		items = []*node{n}
	}
	for i, item := range items {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(elem, tag, item, join(path, strconv.Itoa(i)))
		v.Set(reflect.Append(v, elem))
	}
}

func (d *decoder) lines(v reflect.Value, n *node, path string) {
	if n.kind != mapping {
		d.bad(path, n.from, "must hold lines by their ids", "write `wsp4: {provider: cloud, …}` below it")
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, id := range n.keys() {
		child := n.children[id]
		where := join(path, id)
		if !lineID.MatchString(id) {
			d.bad(where, child.from, "is no possible id of a line", "use lower-case letters, digits, _ and -, at most 32, beginning with a letter or digit")
		}
		line := &Line{ID: id}
		d.object(reflect.ValueOf(line).Elem(), child, where)
		v.SetMapIndex(reflect.ValueOf(id), reflect.ValueOf(line))
	}
}

func (d *decoder) secret(v reflect.Value, n, file *node, path string) {
	present := func(n *node) bool { return n != nil && !n.null && (n.kind != scalar || n.text != "") }
	switch {
	case present(n) && present(file):
		d.bad(path, file.from, "is given both here and by "+path[strings.LastIndexByte(path, '.')+1:]+"_file", "keep one of them")
	case present(file):
		d.secretFile(v, file, path)
	case present(n):
		items := n.items
		if n.kind != list {
			items = []*node{n}
		}
		var values []string
		for _, item := range items {
			switch text := strings.TrimSpace(item.text); {
			case item.kind != scalar:
				d.bad(path, item.from, "must be one value or a list of values", "write `[new, old]` while you change it")
				return
			case text == "":
				d.bad(path, item.from, "holds an empty value", "take it out of the list")
			default:
				values = append(values, text)
			}
		}
		d.set(v, values, path, n.from)
	}
}

// secretFile reads one value a line.
func (d *decoder) secretFile(v reflect.Value, file *node, path string) {
	if file.kind != scalar {
		d.bad(path+"_file", file.from, "must be the path of one file", "write one path; the file may hold several values, one a line")
		return
	}
	src, err := d.readFile(file.text)
	if err != nil {
		d.bad(path, file.from, "cannot be read from its file: "+reason(err), "correct the path, or let the user that runs psi-router read it")
		return
	}
	var values []string
	for line := range strings.Lines(string(src)) {
		if line = strings.TrimSpace(line); line != "" {
			values = append(values, line)
		}
	}
	if len(values) == 0 {
		d.bad(path, file.from, "has an empty file", "write the value into it")
		return
	}
	d.set(v, values, path, file.from)
}

func (d *decoder) set(v reflect.Value, values []string, path, from string) {
	for _, s := range values {
		if strings.ContainsAny(s, " \t\r\n\x00") {
			d.bad(path, from, "has white space in it", "copy it again: a token or secret has none")
			return
		}
	}
	v.Set(reflect.ValueOf(NewSecret(values...)))
}

// reason is an error of the file system without the path, which stands beside
// it already.
func reason(err error) string {
	if p, ok := err.(*os.PathError); ok { //nolint:errorlint // only the outermost wrapper is taken off
		return printable(p.Path) + ": " + p.Err.Error()
	}
	return err.Error()
}
