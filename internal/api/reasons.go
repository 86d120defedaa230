package api

import (
	"context"
	"net/http"

	"github.com/psivisionhub/psi-router/internal/router"
)

// Reason is a reason and its sentences.
type Reason struct {
	_      struct{} `additionalProperties:"true"`
	Reason string   `json:"reason" example:"window_closed" doc:"The code, as messages carry it."`
	ES     string   `json:"es" example:"No salió: la ventana de WhatsApp está cerrada y hace falta una plantilla." doc:"In Spanish."`
	EN     string   `json:"en" example:"Not sent: the service window is closed and a template is needed." doc:"In English."`
}

// ReasonList is all reasons.
type ReasonList struct {
	_          struct{} `additionalProperties:"true"`
	Items      []Reason `json:"items" nullable:"false" doc:"Reasons, those about messages first."`
	NextCursor *string  `json:"next_cursor" example:"" doc:"Always null: there is one page."`
}

func (s *server) registerReasons() {
	register(s, operation{
		id: "listReasons", method: http.MethodGet, path: "/reasons", tag: tagReasons, role: Viewer,
		summary: "List every reason with its sentences",
		about:   "The list is closed: every decision of the router, the door, the queue and delivery carries one of these.",
	}, func(context.Context, caller, *struct{}) (*output[ReasonList], error) {
		out := &output[ReasonList]{ReasonList{Items: []Reason{}}}
		for _, r := range router.Reasons() {
			out.Body.Items = append(out.Body.Items, Reason{Reason: string(r), ES: r.Text("es"), EN: r.Text("en")})
		}
		return out, nil
	})
}
