package sandbox

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

// hub sends events to open pages. A page that cannot keep up loses its stream, reconnects
// and reads the whole state.
type hub struct {
	mu    sync.Mutex
	pages map[chan []byte]struct{}
}

const (
	pageBuffer = 256
	maxPages   = 32
)

func newHub() *hub { return &hub{pages: map[chan []byte]struct{}{}} }

func (h *hub) idle() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.pages) == 0
}

// join returns the events of a new page, nil if there are too many pages.
func (h *hub) join() chan []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) >= maxPages {
		return nil
	}
	events := make(chan []byte, pageBuffer)
	h.pages[events] = struct{}{}
	return events
}

func (h *hub) leave(events chan []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, here := h.pages[events]; here {
		delete(h.pages, events)
		close(events)
	}
}

// broadcast sends an event to every open page. The lock of the phones is held, so
// that pages see events in the order in which they happened.
func (h *hub) broadcast(name string, v any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.pages) == 0 {
		return
	}
	event := fmt.Appendf(nil, "event: %s\ndata: %s\n\n", name, marshalPlain(v))
	for page := range h.pages {
		select {
		case page <- event:
		default:
			delete(h.pages, page)
			close(page)
		}
	}
}

// serveEvents is the stream: hello first, then what happens.
func (pg *page) serveEvents(w http.ResponseWriter, r *http.Request) {
	events := pg.hub.join()
	if events == nil {
		http.Error(w, "demasiadas páginas abiertas", http.StatusServiceUnavailable)
		return
	}
	defer pg.hub.leave(events)
	out := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	if _, err := fmt.Fprint(w, "retry: 1000\nevent: hello\ndata: {}\n\n"); err != nil || out.Flush() != nil {
		return
	}
	beat := time.NewTicker(15 * time.Second)
	defer beat.Stop()
	for {
		var event []byte
		select {
		case <-r.Context().Done():
			return
		case <-pg.done:
			return
		case <-beat.C:
			event = []byte(": here\n\n")
		case next, open := <-events:
			if !open {
				return
			}
			event = next
		}
		if _, err := w.Write(event); err != nil || out.Flush() != nil {
			return
		}
	}
}
