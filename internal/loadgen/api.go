package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

// API is where a router tells what it stored.
type API struct {
	URL  string // of the server, without /api/v1
	Key  string // "" on a trusted socket
	Line string // only conversations of this line; "" takes all
	// Since leaves out what is older: conversations without anything newer, and
	// messages of others.
	Since  time.Time
	Client *http.Client
}

// Rows reads every message through the API, conversation by conversation.
func (a API) Rows(ctx context.Context) ([]Row, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ids := make(chan string)
	var mu sync.Mutex
	var rows []Row
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for id := range ids {
				mine, err := a.messages(ctx, id)
				if err != nil {
					cancel(err)
				}
				mu.Lock()
				rows = append(rows, mine...)
				mu.Unlock()
			}
		})
	}
	err := a.conversations(ctx, ids)
	close(ids)
	readers.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return rows, err
}

func (a API) conversations(ctx context.Context, ids chan<- string) error {
	// Newest first while nothing new comes: a page never shows what the one
	// before it had.
	seen := map[string]bool{}
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID   string    `json:"id"`
				Last time.Time `json:"last_message_at"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		query := url.Values{"limit": {"200"}}
		if a.Line != "" {
			query.Set("line", a.Line)
		}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := a.get(ctx, "/conversations?"+query.Encode(), &page); err != nil {
			return err
		}
		for _, c := range page.Items {
			if !c.Last.IsZero() && c.Last.Before(a.Since) {
				return nil // and so are the rest
			}
			if seen[c.ID] { // something new came, and moved it down
				continue
			}
			seen[c.ID] = true
			select {
			case ids <- c.ID:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}

func (a API) messages(ctx context.Context, id string) (rows []Row, err error) {
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID         string    `json:"id"`
				Direction  string    `json:"direction"`
				Author     string    `json:"author"`
				Status     string    `json:"status"`
				Reason     string    `json:"reason"`
				ProviderID string    `json:"provider_id"`
				ReceivedAt time.Time `json:"received_at"`
				CreatedAt  time.Time `json:"created_at"`
			} `json:"items"`
			Next string `json:"next_cursor"`
		}
		query := url.Values{"limit": {"200"}}
		if cursor != "" {
			query.Set("cursor", cursor)
		}
		if err := a.get(ctx, "/conversations/"+url.PathEscape(id)+"/messages?"+query.Encode(), &page); err != nil {
			return nil, err
		}
		for _, m := range page.Items {
			if m.CreatedAt.Before(a.Since) {
				continue
			}
			rows = append(rows, Row{m.ID, id, m.Direction, m.Author, m.Status, m.Reason, m.ProviderID, m.ReceivedAt, m.CreatedAt})
		}
		if cursor = page.Next; cursor == "" {
			return rows, nil
		}
	}
}

// Event is one as the API lists it.
type Event struct {
	ID           string
	Conversation string
	Seq, Pos     int64
}

// Events reads the events after a position, and returns those with the position
// that it has come to.
func (a API) Events(ctx context.Context, after int64) ([]Event, int64, error) {
	var all []Event
	for {
		var page struct {
			Items []struct {
				ID   string `json:"id"`
				Seq  int64  `json:"seq"`
				Pos  int64  `json:"pos"`
				Data struct {
					Conversation struct {
						ID string `json:"id"`
					} `json:"conversation"`
				} `json:"data"`
			} `json:"items"`
			Next *string `json:"next_cursor"`
			Pos  int64   `json:"pos"`
		}
		if err := a.get(ctx, "/events?limit=200&after="+strconv.FormatInt(after, 10), &page); err != nil {
			return all, after, err
		}
		for _, e := range page.Items {
			all = append(all, Event{e.ID, e.Data.Conversation.ID, e.Seq, e.Pos})
		}
		after = page.Pos
		if page.Next == nil {
			return all, after, nil
		}
	}
}

// RouterStats is what a router tells of itself.
type RouterStats struct {
	Handled int64 // messages decided about
	Depth   int64 // jobs of all queues
	Events  int64 // of them, wake-ups for events
	Pending int64 // answers that are still to be sent
	Dead    int64
	Left    int64 // people without an answer whom nobody will write to
}

// Stats asks for them. They are an error when the router does not know one.
func (a API) Stats(ctx context.Context) (f RouterStats, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var queues struct {
		Items []struct {
			Name   string `json:"name"`
			Depth  int64  `json:"depth"`
			Dead   int64  `json:"dead"`
			Totals struct {
				Done int64 `json:"done"`
			} `json:"totals"`
		} `json:"items"`
	}
	if err := a.get(ctx, "/queues", &queues); err != nil {
		return f, err
	}
	for _, q := range queues.Items {
		f.Depth += q.Depth
		f.Dead += q.Dead
		if strings.HasPrefix(q.Name, "events:") {
			f.Events += q.Depth
		}
		if q.Name == "inbound" {
			f.Handled = q.Totals.Done
		}
	}
	var status struct {
		Sends struct {
			Pending int64 `json:"pending"`
		} `json:"sends"`
		Left    int64    `json:"left"`
		Unknown []string `json:"unknown"`
	}
	if err := a.ask(ctx, "/status", &status); err != nil {
		return f, err
	}
	if len(status.Unknown) > 0 {
		return f, fmt.Errorf("it does not know its %v", status.Unknown)
	}
	f.Pending, f.Left = status.Sends.Pending, status.Left
	return f, nil
}

func (a API) get(ctx context.Context, path string, to any) error {
	return a.ask(ctx, "/api/v1"+path, to)
}

// ask waits when it is told to slow down.
func (a API) ask(ctx context.Context, path string, to any) error {
	for {
		again, err := a.askOnce(ctx, path, to)
		if again == 0 {
			return err
		}
		t := time.NewTimer(again)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("read the API: %w: %w", context.Cause(ctx), err)
		}
	}
}

// askOnce asks once. again is set when it may be worth to ask after a while.
func (a API) askOnce(ctx context.Context, path string, to any) (again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+path, nil)
	if err != nil {
		return 0, fmt.Errorf("read the API: %w", err)
	}
	if a.Key != "" {
		req.Header.Set("Authorization", "Bearer "+a.Key)
	}
	client := a.Client
	if client == nil {
		client = http.DefaultClient
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, fmt.Errorf("read the API: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		err := fmt.Errorf("read the API: %s answers %s", path, res.Status)
		if res.StatusCode != http.StatusTooManyRequests {
			return 0, err
		}
		after, bad := strconv.Atoi(res.Header.Get("Retry-After"))
		if bad != nil {
			after = 1
		}
		return time.Duration(min(max(after, 1), 30)) * time.Second, err
	}
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		return 0, fmt.Errorf("read the API: %s: %w", path, err)
	}
	return 0, nil
}
