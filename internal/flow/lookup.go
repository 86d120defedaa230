package flow

import "slices"

// Area finds a team by its id, its name or one of its old names, whatever the
// case or the accents.
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

// AreaList returns the areas as they stand in the file.
func (f *Flow) AreaList() []Area {
	list := make([]Area, 0, len(f.AreaOrder))
	for _, id := range f.AreaOrder {
		list = append(list, f.Areas[id])
	}
	return list
}

// Option returns the option that a choice names.
func (f *Flow) Option(c Choice) (Option, bool) {
	m := f.Menus[c.Menu]
	if m == nil || c.Index < 0 || c.Index >= len(m.Options) {
		return Option{}, false
	}
	return m.Options[c.Index], true
}

// Match finds the option that a normalised message names, for somebody who is
// in the given menu: by any code of the flow, else by a title or synonym of this
// menu, else by a synonym that only one option of the whole flow has.
func (f *Flow) Match(menu, word string) (Choice, bool) {
	if word == "" {
		return Choice{}, false
	}
	if c, ok := f.Codes[word]; ok {
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

// onlySynonym finds the one option of the flow that has the synonym; two would
// be a guess.
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
