package flow

import (
	"slices"
	"strconv"
)

// lintWords fills the table of codes and finds words with two meanings.
func (l *linter) lintWords() {
	commands := l.lintCommands()
	for _, id := range l.f.MenuOrder {
		for i, o := range l.f.Menus[id].Options {
			if o.Code == "" {
				continue
			}
			path := optionPath(id, i) + ".code"
			if command, taken := commands[o.Code]; taken {
				l.errorf(path, "code %q is a word of commands.%s and would never be chosen; write another code, or remove that word there", o.Code, command)
			}
			if first, twice := l.f.Codes[o.Code]; twice {
				l.errorf(path, "code %q is used twice (first on line %d, menu %s); codes work from any menu, write another one",
					o.Code, l.where(optionPath(first.Menu, first.Index)).line, first.Menu)
				continue
			}
			l.f.Codes[o.Code] = Choice{Menu: id, Index: i}
		}
	}
	for _, id := range l.f.MenuOrder {
		l.lintSynonyms(l.f.Menus[id], commands)
	}
}

func optionPath(menu string, i int) string { return "menus." + menu + ".options." + strconv.Itoa(i) }

// yieldDefaults removes a default word for stop or start that the flow uses for something
// else: "baja" may be an option. Lists that the flow writes itself stay.
func (l *linter) yieldDefaults() {
	own := make(map[string]bool)
	c := l.f.Commands
	for _, words := range [][]string{c.Menu, c.Back, c.Person, c.Greeting, c.Courtesy, c.Yes, c.No} {
		for _, w := range words {
			own[w] = true
		}
	}
	for _, m := range l.f.Menus {
		for _, o := range m.Options {
			own[o.Code], own[Normalize(o.Title)] = true, true
			for _, w := range o.Synonyms {
				own[w] = true
			}
		}
	}
	for key, words := range map[string]*[]string{"stop": &l.f.Commands.Stop, "start": &l.f.Commands.Start} {
		if _, written := l.at["commands."+key]; !written {
			*words = slices.DeleteFunc(*words, func(w string) bool { return own[w] })
		}
	}
}

// lintCommands returns the command of each word. Yes and no are left out: they only count
// after an offer, so their words may also be courtesies.
func (l *linter) lintCommands() map[string]string {
	c := l.f.Commands
	owner := make(map[string]string)
	for _, list := range []struct {
		key   string
		words []string
	}{{"menu", c.Menu}, {"back", c.Back}, {"person", c.Person}, {"stop", c.Stop}, {"start", c.Start}, {"greeting", c.Greeting}, {"courtesy", c.Courtesy}} {
		for _, w := range list.words {
			if other, taken := owner[w]; taken {
				l.errorf(l.written("commands."+list.key, "commands."+other), "%q is a word of commands.%s and of commands.%s; keep it in one", w, other, list.key)
				continue
			}
			owner[w] = list.key
		}
	}
	for _, list := range []struct {
		key   string
		words []string
	}{{"yes", c.Yes}, {"no", c.No}} {
		for _, w := range list.words {
			switch other := owner[w]; {
			case other == "menu" || other == "back" || other == "person" || other == "stop" || other == "start":
				l.errorf("commands."+list.key, "%q is a word of commands.%s, which comes first; take it out of one", w, other)
			case list.key == "no" && slices.Contains(c.Yes, w):
				l.errorf("commands.no", "%q is a word of commands.yes too; keep it in one", w)
			}
		}
	}
	if len(c.Menu) == 0 {
		l.warnf("commands.menu", "nobody can ask for the menu; write menu: [menu, \"0\"]")
	}
	if len(c.Back) == 0 && len(l.f.Menus) > 1 {
		l.warnf("commands.back", "nobody can go back from a submenu; write back: [volver]")
	}
	if len(c.Yes) == 0 {
		l.warnf("commands.yes", "nobody can accept a person in words; write yes: [si]")
	}
	return owner
}

// written returns the first path that is in the file, as a default has no position.
func (l *linter) written(paths ...string) string {
	for _, path := range paths {
		if _, there := l.at[path]; there {
			return path
		}
	}
	return paths[0]
}

func (l *linter) lintSynonyms(m *Menu, commands map[string]string) {
	mine := make(map[string]int)
	for i, o := range m.Options {
		mine[Normalize(o.Title)] = i
	}
	for i, o := range m.Options {
		l.lintTypedTitle(o.Title, optionPath(m.ID, i)+".title", commands)
		path := optionPath(m.ID, i) + ".synonyms"
		for _, w := range o.Synonyms {
			code, isCode := l.f.Codes[w]
			other, known := mine[w]
			switch {
			case commands[w] != "" && commands[w] != "greeting" && commands[w] != "courtesy":
				l.errorf(path, "synonym %q is a word of commands.%s and would never choose this; write another one", w, commands[w])
			case commands[w] != "":
				l.errorf(path, "synonym %q is a word of commands.%s; take it out of one", w, commands[w])
			case isCode && code != (Choice{Menu: m.ID, Index: i}):
				l.errorf(path, "synonym %q is the code of another option (menu %s); write another one", w, code.Menu)
			case known && other != i:
				l.errorf(path, "synonym %q also means option %q of this menu; keep it in one", w, m.Options[other].Title)
			case l.elsewhere(m.ID, w):
				l.warnf(path, "synonym %q is in another menu too, so it works only inside its own menu", w)
			}
			mine[w] = i
		}
	}
}

// lintTypedTitle warns of a title that, when typed, stops or resumes marketing.
func (l *linter) lintTypedTitle(title, path string, commands map[string]string) {
	if command := commands[Normalize(title)]; command == "stop" || command == "start" {
		l.warnf(path, "title %q is a word of commands.%s, which wins when somebody types it; write another title, or remove that word there", title, command)
	}
}

// elsewhere reports whether an earlier menu of the file has the synonym.
func (l *linter) elsewhere(menu, word string) bool {
	for _, id := range l.f.MenuOrder {
		if id == menu {
			return false
		}
		for _, o := range l.f.Menus[id].Options {
			if slices.Contains(o.Synonyms, word) {
				return true
			}
		}
	}
	return false
}
