package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const prefix = "PSI_"

// notOurs reports variables with our prefix that are not configuration: those of the
// command line and the tests, and those that orchestrators derive from a service
// called psi-router.
func notOurs(name string) bool {
	return slices.Contains([]string{"PSI_CONFIG", "PSI_URL", "PSI_KEY", "PSI_PROOF"}, name) || strings.HasPrefix(name, "PSI_ROUTER_")
}

// EnvName is the variable that sets a key.
func EnvName(path string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// locate finds the key that a variable sets, and its type. An id may contain the
// separator: if two keys match, the longer one wins.
func locate(name string) (path []string, t reflect.Type) {
	for _, s := range sections() {
		for _, f := range fields(s.typ) {
			key := keyOf(f)
			shape := strings.NewReplacer("<ID>", "(.+)", "<N>", `(\d{1,4})`).Replace(EnvName(join(s.path, key)))
			parts := regexp.MustCompile("^" + shape + "$").FindStringSubmatch(name)
			if parts == nil || path != nil && len(key) < len(path[len(path)-1]) {
				continue
			}
			path, t = strings.Split(join(s.path, key), "."), f.Type
			if len(parts) > 1 {
				path[1] = strings.ToLower(parts[1])
			}
		}
	}
	if of, isFile := strings.CutSuffix(name, "_FILE"); isFile && path == nil {
		if path, t = locate(of); t == secretType {
			path[len(path)-1] += "_file"
			return path, t
		}
		return nil, nil
	}
	return path, t
}

// overlay sets the keys that PSI_ variables name; they win over the file.
func (d *decoder) overlay(root *yaml.Node) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(d.env)) {
		if !strings.HasPrefix(name, prefix) || notOurs(name) {
			continue
		}
		text, from := d.env[name], printable(name)
		path, t := locate(name)
		if path == nil {
			d.bad(name, "environment", "is unknown", unknownVariable(name))
			continue
		}
		if text == "" { // counts as not set
			continue
		}
		value, key := newScalar(text, from), strings.Join(path, ".")
		if !strings.HasSuffix(key, "_file") && (t == secretType || t.Kind() == reflect.Slice) {
			var err error
			if value, err = list(text, from, t != secretType); err != nil {
				d.bad(key, from, err.Error(), "write one value, or [a, b]")
				continue
			}
		}
		one := strings.TrimSuffix(key, "_file")
		if other, twice := seen[one]; twice {
			d.bad(one, from, "is also set by "+other, "keep one of them")
			continue
		}
		seen[one] = name
		d.put(root, path, t, value)
	}
}

// put sets a key and creates missing parents. A parent that is not a mapping is
// reported by decode.
func (d *decoder) put(root *yaml.Node, path []string, t reflect.Type, value *yaml.Node) {
	at, last := root, len(path)-1
	for i, key := range path[:last] {
		if at.Kind == yaml.SequenceNode {
			index, _ := strconv.Atoi(key)
			if index > len(at.Content) {
				d.bad(strings.Join(path, "."), value.LineComment, "leaves a gap: there is no element "+strconv.Itoa(len(at.Content)), "number the elements from 0 without gaps")
				return
			}
			if index == len(at.Content) {
				at.Content = append(at.Content, newMapping(value.LineComment))
			}
			at = at.Content[index]
			continue
		}
		if i == 1 {
			key = lineKey(at, key)
		}
		next := get(at, key)
		if isNull(next) && at.Kind == yaml.MappingNode {
			next = newMapping(value.LineComment)
			if last == 2 && i == 0 && key != "lines" {
				next.Kind = yaml.SequenceNode
			}
			set(at, key, next)
		}
		if at = next; at == nil {
			return
		}
	}
	if at.Kind != yaml.MappingNode {
		return
	}
	if t == secretType {
		key := strings.TrimSuffix(path[last], "_file")
		set(at, key, nil)
		set(at, key+"_file", nil)
	}
	set(at, path[last], value)
}

// lineKey finds the id that a part of a variable's name stands for: variables write
// the - of an id as _.
func lineKey(lines *yaml.Node, part string) string {
	for id := range pairs(lines) {
		if strings.ReplaceAll(id, "-", "_") == part {
			return id
		}
	}
	return part
}

func unknownVariable(name string) string {
	if rest, found := strings.CutPrefix(name, "PSI_LINES_"); found {
		return "end it with a key of a line, PSI_LINES_<ID>_<KEY>; the keys are " + strings.ToUpper(strings.Join(keysOf(reflect.TypeFor[Line]()), ", ")) + ", and none fits " + printable(rest)
	}
	all := keysOf(reflect.TypeFor[Config]())
	for i, key := range all {
		all[i] = strings.ToLower(EnvName(key))
	}
	if near := nearest(name, all); near != "" {
		return "did you mean " + strings.ToUpper(near) + "?"
	}
	return "unset it, or see docs/configuration.md for the names"
}
