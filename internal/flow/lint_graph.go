package flow

// lintGraph finds the parent of each menu and what people would fall into.
func (l *linter) lintGraph() {
	reached := l.walk()
	if l.problems.Fatal() {
		return // with targets that do not exist, the rest would be noise
	}
	for _, id := range l.f.MenuOrder {
		path := "menus." + id
		if !reached[id] {
			l.warnf(path, "nobody can reach the menu %s by choosing; write an option with menu: %s, or remove it", id, id)
			l.f.Menus[id].Parent = l.anyParent(id)
		}
		if !l.ends(id, make(map[string]bool)) && len(l.f.Menus[id].Options) > 0 {
			l.errorf(path, "from the menu %s people only get to menus, round and round; write an option with handoff or reply", id)
		}
		for i, o := range l.f.Menus[id].Options {
			if o.Menu == id {
				l.warnf(optionPath(id, i)+".menu", "option %q leads to the menu it is in; write another target", o.Title)
			}
		}
	}
}

// walk goes breadth first from every start and makes the menu that led to each
// its parent.
func (l *linter) walk() map[string]bool {
	reached := make(map[string]bool)
	for _, line := range l.f.LineOrder {
		start := l.f.Lines[line].Start
		if l.f.Menus[start] == nil || reached[start] {
			continue
		}
		reached[start] = true
		for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
			for _, o := range l.f.Menus[queue[0]].Options {
				if to := l.f.Menus[o.Menu]; to != nil && !reached[o.Menu] {
					reached[o.Menu] = true
					to.Parent = queue[0]
					queue = append(queue, o.Menu)
				}
			}
		}
	}
	return reached
}

// anyParent is a menu that leads to an unreachable one, if only codes get there.
func (l *linter) anyParent(id string) string {
	for _, from := range l.f.MenuOrder {
		for _, o := range l.f.Menus[from].Options {
			if o.Menu == id && from != id {
				return from
			}
		}
	}
	return ""
}

// ends reports whether a hand-off or an answer can be reached from a menu.
func (l *linter) ends(id string, seen map[string]bool) bool {
	m := l.f.Menus[id]
	if m == nil || seen[id] {
		return false
	}
	seen[id] = true
	for _, o := range m.Options {
		if o.Handoff != nil || o.Reply != "" || l.ends(o.Menu, seen) {
			return true
		}
	}
	return false
}
