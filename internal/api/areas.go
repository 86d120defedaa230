package api

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/flow"
)

// areas are the flow's areas with every name that they go by.
type areas struct {
	ids     []string
	names   map[string]string // id → what people call it
	aliases map[string]string // folded name or alias → id
}

func newAreas(list []flow.Area) areas {
	a := areas{names: make(map[string]string), aliases: make(map[string]string)}
	for _, area := range list {
		a.ids = append(a.ids, area.ID)
		a.names[area.ID] = area.Name
		for _, name := range append([]string{area.Name}, area.Aliases...) {
			a.aliases[flow.Normalize(name)] = area.ID
		}
	}
	for _, id := range a.ids { // an id wins over another area's alias
		a.aliases[flow.Normalize(id)] = id
	}
	return a
}

// find returns the id of the area with the name or alias.
func (a areas) find(name string) (id string, ok bool) {
	if len(a.ids) == 0 {
		return strings.TrimSpace(name), true
	}
	id, ok = a.aliases[flow.Normalize(name)]
	return id, ok
}

func (a areas) list() string { return strings.Join(a.ids, ", ") }

// resolve is find for a field of a request; "" stays "".
func (a areas) resolve(name, where string) (string, error) {
	if name == "" {
		return "", nil
	}
	id, ok := a.find(name)
	if !ok {
		return "", flawed(codeUnknownArea, where, "unknown area", "There is no area of this name. Use one of "+a.list()+", or an alias of one.")
	}
	return id, nil
}

// Area is a team.
type Area struct {
	_    struct{} `additionalProperties:"true"`
	ID   string   `json:"id" example:"admin" doc:"As conversations name it."`
	Name string   `json:"name" example:"Administración" doc:"As people call it."`
}

// AreaList is all areas.
type AreaList struct {
	_          struct{} `additionalProperties:"true"`
	Items      []Area   `json:"items" nullable:"false" doc:"Areas, as the flow lists them."`
	NextCursor *string  `json:"next_cursor" example:"" doc:"Always null: there is one page."`
}

func (s *server) registerAreas() {
	register(s, operation{
		id: "listAreas", method: http.MethodGet, path: "/areas", tag: tagConversations, role: Viewer,
		summary: "List the areas",
		about:   "The teams that a conversation can be handed to. All are listed: a key may hand over to any.",
	}, func(context.Context, caller, *struct{}) (*output[AreaList], error) {
		out := &output[AreaList]{AreaList{Items: []Area{}}}
		for _, id := range s.areas.ids {
			out.Body.Items = append(out.Body.Items, Area{ID: id, Name: s.areas.names[id]})
		}
		return out, nil
	})
}

func (s *server) lineNames() string { return strings.Join(slices.Sorted(maps.Keys(s.lines)), ", ") }
