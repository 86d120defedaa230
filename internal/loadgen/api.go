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

// API reads what a router stored, through the router's API.
type API struct {
	URL  string // server, without /api/v1
	Key  string // "" on a trusted socket
	Line string // only conversations of this line; "" takes all
	// Since leaves out older messages, and conversations without newer ones.
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
	// The newest conversations come first. Without new messages no page repeats one of
	// the page before.
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
				return nil // the rest is older
			}
			if seen[c.ID] { // new messages elsewhere moved it to this page
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

// Event is an event as the API lists it.
type Event struct {
	ID           string
	Conversation string
	Seq, Pos     int64
}

// Events returns the events after a position, and the position of the last one.
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

// RouterStats are the numbers that a router reports.
type RouterStats struct {
	Handled int64 // messages handled
	Depth   int64 // jobs in all queues
	Events  int64 // of these, wake-ups for events
	Pending int64 // answers not sent yet
	Dead    int64
	Left    int64 // people who were left without an answer
}

// Stats reads the numbers. It fails if the router does not know all of them.
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
		return f, fmt.Errorf("the router does not know its %v", status.Unknown)
	}
	f.Pending, f.Left = status.Sends.Pending, status.Left
	return f, nil
}

func (a API) get(ctx context.Context, path string, to any) error {
	return a.ask(ctx, "/api/v1"+path, to)
}

// ask repeats a request for as long as the router answers 429.
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

// askOnce makes one request. again is the pause before the next attempt, 0 for none.
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
