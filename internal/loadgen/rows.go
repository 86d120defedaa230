package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// API is where a router tells what it stored.
type API struct {
	URL    string // of the server, without /api/v1
	Key    string // "" on a trusted socket
	Line   string // only conversations of this line; "" takes all
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
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				ID string `json:"id"`
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
			rows = append(rows, Row{m.ID, id, m.Direction, m.Author, m.Status, m.Reason, m.ProviderID, m.ReceivedAt, m.CreatedAt})
		}
		if cursor = page.Next; cursor == "" {
			return rows, nil
		}
	}
}

func (a API) get(ctx context.Context, path string, to any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.URL+"/api/v1"+path, nil)
	if err != nil {
		return fmt.Errorf("read the API: %w", err)
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
		return fmt.Errorf("read the API: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("read the API: %s answers %s", path, res.Status)
	}
	if err := json.NewDecoder(res.Body).Decode(to); err != nil {
		return fmt.Errorf("read the API: %s: %w", path, err)
	}
	return nil
}
