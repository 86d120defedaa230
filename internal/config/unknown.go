package config

import (
	"reflect"
	"slices"
	"strings"
)

// unknown reports a key that does not exist, and suggests the intended one.
func (d *decoder) unknown(t reflect.Type, path, key, from string) {
	cure := "remove it, or see docs/configuration.md for the names"
	if near := nearest(key, keysOf(t)); near != "" {
		cure = "did you mean " + near + "?"
	} else if home := elsewhere(key); home != "" {
		cure = "it belongs to " + home
	} else if keys := keysOf(t); len(keys) <= 12 {
		cure = "remove it; the keys here are " + strings.Join(keys, ", ")
	}
	d.bad(join(path, key), from, "is unknown", cure)
}

func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fields(t) {
		keys = append(keys, keyOf(f))
	}
	return keys
}

// elsewhere returns the section that has this key, "" if none has.
func elsewhere(key string) string {
	for _, s := range sections() {
		if slices.Contains(keysOf(s.typ), key) {
			return s.where
		}
	}
	return ""
}

type section struct {
	path  string // with <id> and <n> as placeholders
	where string // in words
	typ   reflect.Type
}

// sections lists every struct of the configuration.
func sections() []section {
	out := []section{{"", "the top of the file", reflect.TypeFor[Config]()}}
	for _, f := range fields(reflect.TypeFor[Config]()) {
		key := keyOf(f)
		switch t := f.Type; {
		case t.Kind() == reflect.Map:
			out = append(out, section{key + ".<id>", "a line, below " + key + ".<id>", t.Elem().Elem()})
		case t.Kind() == reflect.Slice && isStruct(t.Elem()):
			out = append(out, section{key + ".<n>", "an element of " + key, t.Elem()})
		case isStruct(t):
			out = append(out, section{key, key, t})
		}
	}
	return out
}

// nearest returns the candidate most similar to key, "" if none is similar.
func nearest(key string, candidates []string) string {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	if len(key) > 64 {
		return ""
	}
	best, least := "", len(key)/3+1
	for _, c := range candidates {
		switch n := distance(key, c); {
		case n < least || n == least && best == "":
			best, least = c, n
		}
	}
	return best
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
