package loadgen_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/psivisionhub/psi-router/internal/loadgen"
)

const secret = "test_app_secret_0123456789abcdef"

// receiver is a tiny router: it accepts webhooks, answers each message once, and lists
// the stored messages through the same API. Its faults are switched on by name.
type receiver struct {
	fault  string
	refuse func(n int) int // status of the n-th request, 0 for 200

	mu       sync.Mutex
	requests int
	statuses int
	seen     map[string]bool
	rows     map[string][]loadgen.Row // by conversation
	order    []string
	posts    []loadgen.Post
	last     map[string]string // the latest text of each person
	names    map[string]bool
}

func newReceiver(t *testing.T, fault string) (*receiver, *httptest.Server) {
	t.Helper()
	r := &receiver{fault: fault, seen: map[string]bool{}, rows: map[string][]loadgen.Row{}, last: map[string]string{}, names: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /webhook", r.webhook)
	mux.HandleFunc("GET /api/v1/conversations", r.list)
	mux.HandleFunc("GET /api/v1/conversations/{id}/messages", r.messages)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return r, s
}

type envelope struct {
	Entry []struct {
		Changes []struct {
			Value struct {
				Metadata struct {
					ID string `json:"phone_number_id"`
				}
				Contacts []struct {
					Profile struct{ Name string }
					ID      string `json:"user_id"`
				}
				Messages []struct {
					From, ID, Timestamp, Type string
					Text                      struct{ Body string }
				}
				Statuses []struct{ ID, Status string }
			}
		}
	}
}

func (r *receiver) webhook(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	if err != nil || req.Header.Get("X-Hub-Signature-256") != "sha256="+hex.EncodeToString(mac.Sum(nil)) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.refuse != nil {
		switch status := r.refuse(r.requests); status {
		case 0:
		case -1:
			panic(http.ErrAbortHandler) // the connection breaks
		case -2:
			defer panic(http.ErrAbortHandler) // the connection breaks after the work
		default:
			w.WriteHeader(status)
			return
		}
	}
	for _, entry := range e.Entry {
		for _, change := range entry.Changes {
			r.statuses += len(change.Value.Statuses)
			for _, m := range change.Value.Messages {
				r.names[change.Value.Contacts[0].Profile.Name] = true
				r.take(m.ID, m.From, m.Text.Body)
			}
		}
	}
	if r.requests%2 == 0 { // both framings of an answer
		w.Header().Set("Content-Length", "2")
	}
	fmt.Fprint(w, "ok")
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}

func (r *receiver) take(id, from, text string) {
	if r.seen[id] {
		return
	}
	r.seen[id] = true
	r.last[from] = text
	n := len(r.seen)
	if _, known := r.rows[from]; !known {
		r.order = append(r.order, from)
	}
	in := loadgen.Row{ID: "in" + strconv.Itoa(n), Conversation: from, Direction: "inbound", Author: "contact", Status: "received", ProviderID: id}
	out := loadgen.Row{ID: "out" + strconv.Itoa(n), Conversation: from, Direction: "outbound", Author: "router", Status: "sent", ProviderID: "w" + strconv.Itoa(n)}
	post := loadgen.Post{Ref: out.ID, ProviderID: out.ProviderID}
	fault := r.fault
	if n != 7 {
		fault = ""
	}
	rows, posts := []loadgen.Row{in, out}, []loadgen.Post{post}
	switch fault {
	case "lose":
		rows, posts = nil, nil
	case "store twice":
		rows = append(rows, in)
	case "send twice":
		posts = append(posts, post)
	case "answer twice":
		other := out
		other.ID, other.ProviderID = "outX", "wX"
		rows, posts = append(rows, other), append(posts, loadgen.Post{Ref: "outX", ProviderID: "wX"})
	case "send unknown":
		posts = append(posts, loadgen.Post{Ref: "who", ProviderID: "wY"})
	case "say nothing":
		rows, posts = rows[:1], nil
	case "claim sent":
		posts = nil
	case "leave queued":
		rows[1].Status, posts = "queued", nil
	case "late":
		rows[0].Reason, rows, posts = "late", rows[:1], nil
	case "uncertain":
		rows[1].Status, posts = "uncertain", nil
	case "fail":
		rows[1].Status, rows[1].Reason, posts = "failed", "window_closed", nil
	}
	if r.fault == "swap" && n > 7 && len(r.rows[from]) >= 2 {
		r.rows[from] = append(append([]loadgen.Row{}, in), r.rows[from]...)
		rows = []loadgen.Row{out}
		r.fault = ""
	}
	if r.fault == "send early" && n > 7 && len(r.posts) > 0 {
		r.posts = append([]loadgen.Post{post}, r.posts...)
		posts = nil
		if len(r.rows[from]) > 0 {
			r.fault = ""
		}
	}
	r.rows[from] = append(r.rows[from], rows...)
	r.posts = append(r.posts, posts...)
}

func (r *receiver) list(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, _ := strconv.Atoi(req.FormValue("cursor"))
	type item struct {
		ID string `json:"id"`
	}
	answer := map[string]any{"items": []item{}, "next_cursor": nil}
	items := []item{}
	for i := from; i < len(r.order); i++ {
		if len(items) == 3 { // small pages
			answer["next_cursor"] = strconv.Itoa(i)
			break
		}
		items = append(items, item{r.order[i]})
	}
	answer["items"] = items
	_ = json.NewEncoder(w).Encode(answer)
}

func (r *receiver) messages(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.Header.Get("Authorization") != "Bearer sandbox" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	all := r.rows[req.PathValue("id")]
	from, _ := strconv.Atoi(req.FormValue("cursor"))
	end := min(from+3, len(all))
	items := []map[string]any{}
	for _, row := range all[from:end] {
		items = append(items, map[string]any{
			"id": row.ID, "direction": row.Direction, "author": row.Author, "status": row.Status, "reason": row.Reason, "provider_id": row.ProviderID,
		})
	}
	answer := map[string]any{"items": items, "next_cursor": nil}
	if end < len(all) {
		answer["next_cursor"] = strconv.Itoa(end)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

func has(list []string, part string) bool {
	for _, s := range list {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}
