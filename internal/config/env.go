package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

const prefix = "PSI_"

// notOurs are variables with our prefix that are not configuration: those of
// the command line, of the tests, and those that orchestrators make up for a
// service called psi-router.
func notOurs(name string) bool {
	return slices.Contains([]string{"PSI_CONFIG", "PSI_URL", "PSI_KEY", "PSI_PROOF"}, name) || strings.HasPrefix(name, "PSI_ROUTER_")
}

// EnvName is the variable that sets a key.
func EnvName(path string) string {
	return prefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(path))
}

// place is where a variable's value goes.
type place struct {
	path   []string
	commas bool // its text may be a list with commas
	list   bool // its text may be a list
}

// locate finds the key that a variable (without prefix) names.
func locate(t reflect.Type, rest string) (place, bool) {
	var found place
	for _, f := range fields(t) {
		key := f.Tag.Get("key")
		name := strings.ToUpper(key)
		switch {
		case rest == name:
			return place{
				path: []string{key}, list: f.Type == secretType || f.Type.Kind() == reflect.Slice,
				commas: f.Type.Kind() == reflect.Slice,
			}, true
		case f.Type == secretType && rest == name+"_FILE":
			return place{path: []string{key + "_file"}}, true
		}
		inner, deeper := strings.CutPrefix(rest, name+"_")
		if !deeper {
			continue
		}
		below, ok := within(f.Type, inner)
		if ok && len(found.path) == 0 {
			below.path = append([]string{key}, below.path...)
			found = below
		}
	}
	return found, len(found.path) > 0
}

func within(t reflect.Type, rest string) (place, bool) {
	switch {
	case t == secretType || t == prefixType:
		return place{}, false
	case t.Kind() == reflect.Struct:
		return locate(t, rest)
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != prefixType:
		index, inner, _ := strings.Cut(rest, "_")
		if _, err := strconv.ParseUint(index, 10, 16); err != nil {
			return place{}, false
		}
		p, ok := locate(t.Elem(), inner)
		p.path = append([]string{index}, p.path...)
		return p, ok
	case t.Kind() == reflect.Map:
		// The id may hold the separator: the key is what the name ends with,
		// the longest that fits.
		for i := range len(rest) {
			if rest[i] != '_' || i == 0 {
				continue
			}
			if p, ok := locate(t.Elem().Elem(), rest[i+1:]); ok {
				p.path = append([]string{strings.ToLower(rest[:i])}, p.path...)
				return p, true
			}
		}
	}
	return place{}, false
}

// overlay puts the PSI_ variables over the file.
func (d *decoder) overlay(root *node, env map[string]string) {
	names := make([]string, 0, len(env))
	for name := range env {
		if strings.HasPrefix(name, prefix) && !notOurs(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	seen := map[string]string{}
	for _, name := range names {
		value := env[name]
		p, ok := locate(reflect.TypeFor[Config](), strings.TrimPrefix(name, prefix))
		if !ok {
			d.bad(name, "environment", "is unknown", unknownVariable(name))
			continue
		}
		if value == "" { // as good as not set
			continue
		}
		n := &node{text: value, from: name}
		if p.list {
			parsed, err := parseValue(value, name, p.commas)
			if err != nil {
				d.bad(strings.Join(p.path, "."), name, err.Error(), "write one value, or [a, b]")
				continue
			}
			n = parsed
		}
		one := strings.TrimSuffix(strings.Join(p.path, "."), "_file")
		if other, twice := seen[one]; twice {
			d.bad(one, name, "is also set by "+other, "keep one of them")
			continue
		}
		seen[one] = name
		d.put(root, p.path, n)
	}
}

// put sets one value, making what is missing on the way.
func (d *decoder) put(root *node, path []string, value *node) {
	at := root
	for i, key := range path[:len(path)-1] {
		index, err := strconv.Atoi(key)
		if err == nil && i == 1 && at.kind == list {
			if index > len(at.items) {
				d.bad(strings.Join(path, "."), value.from, "leaves a gap: there is no number "+strconv.Itoa(len(at.items)), "count from 0 without gaps")
				return
			}
			if index == len(at.items) {
				at.items = append(at.items, newMapping(value.from))
			}
			at = at.items[index]
			continue
		}
		if i == 1 && at.kind == mapping {
			key = lineKey(at, key)
		}
		next := at.children[key]
		if next == nil || next.null {
			next = newMapping(value.from)
			if i == 0 && isList(key) {
				next.kind = list
			}
			if at.children == nil {
				return // a scalar where keys should be: reported when decoded
			}
			at.children[key] = next
		}
		at = next
	}
	if at.kind != mapping || at.children == nil {
		return
	}
	last := path[len(path)-1]
	delete(at.children, strings.TrimSuffix(last, "_file"))
	if secretKey(path) {
		delete(at.children, strings.TrimSuffix(last, "_file")+"_file")
	}
	at.children[last] = value
}

// lineKey finds the id that a variable's part means: ids with - are written
// with _ there.
func lineKey(lines *node, part string) string {
	for _, id := range lines.keys() {
		if strings.ReplaceAll(id, "-", "_") == part {
			return id
		}
	}
	return part
}

func isList(key string) bool {
	for _, f := range fields(reflect.TypeFor[Config]()) {
		if f.Tag.Get("key") == key {
			return f.Type.Kind() == reflect.Slice
		}
	}
	return false
}

func secretKey(path []string) bool {
	key := strings.TrimSuffix(path[len(path)-1], "_file")
	for _, s := range sections() {
		for _, f := range fields(s.typ) {
			if f.Tag.Get("key") == key && f.Type == secretType {
				return true
			}
		}
	}
	return false
}

func unknownVariable(name string) string {
	var all []string
	for _, s := range sections() {
		for _, key := range keysOf(s.typ) {
			if s.path == "" {
				all = append(all, strings.ToLower(EnvName(key)))
			}
		}
	}
	if rest, found := strings.CutPrefix(name, "PSI_LINES_"); found {
		return "end it with the key of a line, PSI_LINES_<ID>_<KEY>: " + strings.ToUpper(strings.Join(keysOf(reflect.TypeFor[Line]()), ", ")) + " do exist, for " + printable(rest) + " none fits"
	}
	if near := nearest(name, all); near != "" {
		return "did you mean " + strings.ToUpper(near) + "?"
	}
	return "unset it, or see docs/configuration.md for the names"
}
