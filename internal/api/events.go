package api

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/psivisionhub/psi-router/internal/store"
)

// Event is one thing that happened in a conversation.
type Event struct {
	_         struct{}   `additionalProperties:"true"`
	ID        string     `json:"id" example:"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a04" doc:"Its id: the same on every delivery."`
	Type      string     `json:"type" example:"message.received" doc:"message.received|sent|status|failed or conversation.opened|updated|handed_off|closed."`
	Timestamp *time.Time `json:"timestamp" example:"2026-11-24T10:00:01Z" doc:"When it happened."`
	Pos       int64      `json:"pos" example:"4711" doc:"Its position among all events; give it as after."`
	Seq       int64      `json:"seq" example:"3" doc:"Its number within the conversation; grows by one."`
	Data      any        `json:"data" doc:"The conversation, and the message or hand-off, as they were then."`
}

// EventPage is a page of events.
type EventPage struct {
	_          struct{} `additionalProperties:"true"`
	Items      []Event  `json:"items" nullable:"false" doc:"Events in order."`
	NextCursor *string  `json:"next_cursor" example:"4711" doc:"after of the next page; null once you have read all events so far."`
	Pos        int64    `json:"pos" example:"4711" doc:"The position that this page read up to: give it as after next time, even if the page is empty."`
}

type eventsIn struct {
	After int64 `query:"after" minimum:"0" doc:"pos of the last event that you have; 0 from the beginning." example:"4711"`
	Limit int   `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"How many at most." example:"50"`
}

func (s *server) registerEvents() {
	register(s, operation{
		id: "listEvents", method: http.MethodGet, path: "/events", tag: tagEvents, role: Viewer,
		summary: "List events after a position",
		about: "Everything that happened, in order, for programs that pull. An event appears only once it has its position, so a reader never skips one. " +
			"A page ends before its limit once it holds 4 MiB: go by next_cursor.",
	}, s.listEvents)
}

func (s *server) listEvents(ctx context.Context, actor caller, in *eventsIn) (*output[EventPage], error) {
	out := &output[EventPage]{EventPage{Items: []Event{}, Pos: in.After}}
	size := actor.scanLimit(in.Limit)
	var shown store.EventPage
	for range maxScans {
		rows, err := s.opts.Store.Events(ctx, out.Body.Pos, size+1)
		if err != nil {
			return nil, err
		}
		var read store.EventPage
		for _, e := range rows {
			if len(out.Body.Items) == in.Limit || shown.Full() {
				out.Body.NextCursor = cursorText(out.Body.Pos)
				return out, nil
			}
			if actor.seesEvent(e) {
				shown.Add(e)
				out.Body.Items = append(out.Body.Items, eventView(e))
			}
			read.Add(e)
			out.Body.Pos = e.Pos
		}
		if len(rows) <= size && !read.Full() {
			return out, nil
		}
	}
	out.Body.NextCursor = cursorText(out.Body.Pos)
	return out, nil
}

// seesEvent judges by the event's snapshot: the caller sees the event if it could see the
// conversation as it was then.
func (c caller) seesEvent(e store.Event) bool {
	if c.unscoped() {
		return true
	}
	var data struct {
		Conversation struct {
			Line string `json:"line"`
			Area string `json:"area"`
		} `json:"conversation"`
	}
	return json.Unmarshal(e.Data, &data) == nil && c.sees(data.Conversation.Line, data.Conversation.Area)
}

func eventView(e store.Event) Event {
	return Event{ID: e.ID, Type: e.Type, Timestamp: timePtr(e.CreatedAt), Pos: e.Pos, Seq: e.Seq, Data: jsonOrText(e.Data)}
}
