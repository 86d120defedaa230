package cluster

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// How a CRM may behave.
const (
	CRMWorks = "works" // takes each event at once
	CRMSlow  = "slow"  // takes it after 5 s
	CRMFails = "fails" // answers 500
	CRMHangs = "hangs" // never answers
	CRMGone  = "gone"  // nobody listens
)

// CRMModes lists them.
func CRMModes() []string { return []string{CRMWorks, CRMSlow, CRMFails, CRMHangs, CRMGone} }

const slowAnswer = 5 * time.Second

// Event is one that the CRM took: it got a 200.
type Event struct {
	ID           string
	Conversation string
	Seq          int64
}

// CRM is one that gets the events, and behaves as it is told.
type CRM struct {
	*Server
	secret string

	mu        sync.Mutex
	mode      string
	modeEnded chan struct{} // closed when the mode is
	accepted  []Event
	known     map[string]bool // their ids
	refused   int
}

func newCRM(ctx context.Context) (*CRM, error) {
	key := make([]byte, 24)
	_, _ = rand.Read(key) // it never fails
	c := &CRM{mode: CRMWorks, modeEnded: make(chan struct{}), known: map[string]bool{}, secret: "whsec_" + base64.StdEncoding.EncodeToString(key)}
	var err error
	if c.Server, err = newServer(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// SetMode changes its ways. Whoever hangs is cut off, and who waits for a slow
// answer gets it.
func (c *CRM) SetMode(ctx context.Context, mode string) error {
	if !slices.Contains(CRMModes(), mode) {
		return fmt.Errorf("a CRM does not know how to be %q", mode)
	}
	before := c.setMode(mode)
	switch {
	case mode == before:
		return nil
	case mode == CRMGone:
		c.Close()
	case before == CRMGone:
		return c.Open(ctx)
	}
	return nil
}

// setMode returns what it was before.
func (c *CRM) setMode(mode string) (before string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, c.mode = c.mode, mode
	if mode != before {
		close(c.modeEnded)
		c.modeEnded = make(chan struct{})
	}
	return before
}

// closeForGood breaks every connection, for good.
func (c *CRM) closeForGood() {
	c.setMode(CRMGone)
	c.Server.closeForGood()
}

// ServeHTTP takes one event, or does not.
func (c *CRM) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		ID   string `json:"id"`
		Seq  int64  `json:"seq"`
		Data struct {
			Conversation struct {
				ID string `json:"id"`
			} `json:"conversation"`
		} `json:"data"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	mode, over := c.mode, c.modeEnded
	c.mu.Unlock()
	switch mode {
	case CRMSlow:
		t := time.NewTimer(slowAnswer)
		defer t.Stop()
		select {
		case <-t.C:
		case <-over:
		case <-r.Context().Done():
			return
		}
	case CRMHangs:
		select {
		case <-over:
		case <-r.Context().Done():
		}
		c.refuse()
		panic(http.ErrAbortHandler) // breaks the connection
	case CRMFails:
		c.refuse()
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	c.accept(Event{ID: body.ID, Conversation: body.Data.Conversation.ID, Seq: body.Seq})
	w.WriteHeader(http.StatusOK)
}

func (c *CRM) accept(e Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accepted = append(c.accepted, e)
	c.known[e.ID] = true
}

func (c *CRM) refuse() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused++
}

// Accepted returns the events that it took, in order, with those that came twice.
func (c *CRM) Accepted() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.accepted)
}

// Counts are how many events it took, each once, and how many posts it did not take.
func (c *CRM) Counts() (taken, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known), c.refused
}
