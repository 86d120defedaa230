package flow

import (
	"slices"
	"strings"
)

// Area finds a team by its id, its name or an alias, ignoring case and accents.
func (f *Flow) Area(name string) (Area, bool) {
	if a, ok := f.Areas[name]; ok {
		return a, true
	}
	want := Normalize(name)
	if want == "" {
		return Area{}, false
	}
	for _, id := range f.AreaOrder {
		a := f.Areas[id]
		same := func(name string) bool { return Normalize(name) == want }
		if same(a.ID) || same(a.Name) || slices.ContainsFunc(a.Aliases, same) {
			return a, true
		}
	}
	return Area{}, false
}

// AreaList returns the areas in the order of the file.
func (f *Flow) AreaList() []Area {
	list := make([]Area, 0, len(f.AreaOrder))
	for _, id := range f.AreaOrder {
		list = append(list, f.Areas[id])
	}
	return list
}

// Option returns the option of a choice.
func (f *Flow) Option(c Choice) (Option, bool) {
	m := f.Menus[c.Menu]
	if m == nil || c.Index < 0 || c.Index >= len(m.Options) {
		return Option{}, false
	}
	return m.Options[c.Index], true
}

// Match finds the option that a normalised message chooses in the given menu: by any code of
// the flow, also as people say it ("opción 11", "1º") or copy it from the menu
// ("11 · Pagos"); else by a title or synonym of this menu; else by a synonym that only one
// option of the whole flow has.
func (f *Flow) Match(menu, word string) (Choice, bool) {
	if word == "" {
		return Choice{}, false
	}
	if c, ok := f.code(word); ok {
		return c, true
	}
	if m := f.Menus[menu]; m != nil {
		for i, o := range m.Options {
			if Normalize(o.Title) == word || slices.Contains(o.Synonyms, word) {
				return Choice{Menu: menu, Index: i}, true
			}
		}
	}
	return f.onlySynonym(word)
}

// before are the words that people put before a code, one or several: "la opción número 1".
var before = []string{"opcion", "opciones", "opc", "op", "numero", "nro", "num", "la", "el"}

// short are the normalised forms of Nº and n.º. The code must follow at once: "no la 1" is
// not a choice.
var short = []string{"no", "n o", "n"}

// ordinals are the normalised suffixes of ordinals: 1º, 1ª, 3ro, 2da.
var ordinals = []string{"o", "a", "er", "ero", "era", "ro", "ra", "do", "da", "to", "ta", "mo", "ma", "vo", "va", "no", "na"}

// words are the suffixes that are also words of their own: "la 1 no", "la 1 va".
var words = []string{"no", "na", "va", "vo", "da"}

// code finds an option by its code: bare, as people say it, or with the rest of its line of
// the menu. With any other word the message is a sentence, which chooses nothing.
func (f *Flow) code(word string) (Choice, bool) {
	if c, ok := f.Codes[word]; ok {
		return c, true
	}
	first, rest, more := strings.Cut(word, " ")
	for more && slices.Contains(before, first) {
		word = rest
		first, rest, more = strings.Cut(word, " ")
	}
	for _, s := range short {
		if after, found := strings.CutPrefix(word, s+" "); found {
			first, rest, _ = strings.Cut(after, " ")
			break
		}
	}
	c, ok := f.Codes[ordinal(glued(first))]
	if !ok {
		return Choice{}, false
	}
	o := f.Menus[c.Menu].Options[c.Index]
	title := Normalize(o.Title)
	said := []string{"", title, title + " " + Normalize(o.Description)}
	if slices.Contains(said, rest) {
		return c, true
	}
	suffix, rest, _ := strings.Cut(rest, " ") // 1.º
	return c, numeral(first) && slices.Contains(ordinals, suffix) && !slices.Contains(words, suffix) && slices.Contains(said, rest)
}

func numeral(word string) bool { return word != "" && strings.Trim(word, "0123456789") == "" }

// glued returns the number of a word like opcion1, which lacks the space. It returns any
// other word as it is.
func glued(word string) string {
	digits := strings.TrimLeft(word, "abcdefghijklmnopqrstuvwxyz")
	if numeral(digits) && slices.Contains(slices.Concat(before, short), word[:len(word)-len(digits)]) {
		return digits
	}
	return word
}

// ordinal returns the number of an ordinal, and any other word as it is.
func ordinal(word string) string {
	digits := strings.TrimRight(word, "abcdefghijklmnopqrstuvwxyz")
	if suffix := word[len(digits):]; slices.Contains(ordinals, suffix) && numeral(digits) {
		return digits
	}
	return word
}

// onlySynonym finds the option with the synonym, if only one has it.
func (f *Flow) onlySynonym(word string) (found Choice, ok bool) {
	for _, id := range f.MenuOrder {
		for i, o := range f.Menus[id].Options {
			if !slices.Contains(o.Synonyms, word) {
				continue
			}
			if ok {
				return Choice{}, false
			}
			found, ok = Choice{Menu: id, Index: i}, true
		}
	}
	return found, ok
}
