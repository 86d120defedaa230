package flow

// lintGraph sets the parent of each menu and finds unreachable menus and endless loops.
func (l *linter) lintGraph() {
	reached := l.walk()
	if l.problems.Fatal() {
		return // after missing targets the rest would be noise
	}
	for _, id := range l.f.MenuOrder {
		path := "menus." + id
		if !reached[id] {
			l.warnf(path, "nobody can reach the menu %s by choosing; write an option with menu: %s, or remove it", id, id)
			l.f.Menus[id].Parent = l.anyParent(id)
		}
		if !l.ends(id, make(map[string]bool)) && len(l.f.Menus[id].Options) > 0 {
			l.errorf(path, "the menu %s leads only to other menus, in a circle; write an option with handoff or reply", id)
		}
		for i, o := range l.f.Menus[id].Options {
			if o.Menu == id {
				l.warnf(optionPath(id, i)+".menu", "option %q leads to the menu it is in; write another target", o.Title)
			}
		}
	}
}

// walk goes breadth first from every start menu. The menu that first leads to another
// becomes its parent.
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

// anyParent returns a menu with an option for an unreachable menu, "" if there is none.
// Codes may still lead there.
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

// ends reports whether a menu leads to a hand-off or an answer.
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
