package api

import (
	"net/http"
	"strings"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// areas knows every name that a team goes by at the edges.
type areas struct {
	ids     []string
	aliases map[string]string // folded name → id
}

func newAreas(list []flow.Area) areas {
	a := areas{aliases: make(map[string]string)}
	for _, area := range list {
		a.ids = append(a.ids, area.ID)
		for _, name := range append([]string{area.Name}, area.Aliases...) {
			a.aliases[fold(name)] = area.ID
		}
	}
	for _, id := range a.ids { // an id wins over another area's alias
		a.aliases[fold(id)] = id
	}
	return a
}

func fold(name string) string { return flow.Normalize(name) }

// find returns the id of the area that the name means.
func (a areas) find(name string) (id string, ok bool) {
	if len(a.ids) == 0 {
		return strings.TrimSpace(name), true
	}
	id, ok = a.aliases[fold(name)]
	return id, ok
}

func (a areas) names() string { return strings.Join(a.ids, ", ") }

// resolve is find for a request; "" stays "".
func (a areas) resolve(name, where string) (string, error) {
	if name == "" {
		return "", nil
	}
	id, ok := a.find(name)
	if !ok {
		p := problem(http.StatusUnprocessableEntity, codeUnknownArea, "There is no area of this name. Use one of "+a.names()+", or an alias of one.")
		p.Errors = []Flaw{{Location: where, Message: "unknown area"}}
		return "", p
	}
	return id, nil
}
