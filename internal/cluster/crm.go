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

// Modes of the CRM.
const (
	CRMWorks = "works" // accepts each event at once
	CRMSlow  = "slow"  // accepts it after 5 s
	CRMFails = "fails" // answers 500
	CRMHangs = "hangs" // never answers
	CRMGone  = "gone"  // does not listen
)

// CRMModes lists the modes.
func CRMModes() []string { return []string{CRMWorks, CRMSlow, CRMFails, CRMHangs, CRMGone} }

const slowAnswer = 5 * time.Second

// Event is an event that the CRM accepted with a 200.
type Event struct {
	ID           string
	Conversation string
	Seq          int64
}

// CRM is a fake CRM that gets the events and behaves according to its mode.
type CRM struct {
	*Server
	secret string

	mu        sync.Mutex
	mode      string
	modeEnded chan struct{} // closed when the mode ends
	accepted  []Event
	known     map[string]bool // ids of accepted events
	refused   int
}

func newCRM(ctx context.Context) (*CRM, error) {
	key := make([]byte, 24)
	_, _ = rand.Read(key) // Read never fails
	c := &CRM{mode: CRMWorks, modeEnded: make(chan struct{}), known: map[string]bool{}, secret: "whsec_" + base64.StdEncoding.EncodeToString(key)}
	var err error
	if c.Server, err = newServer(ctx, c); err != nil {
		return nil, err
	}
	return c, nil
}

// SetMode changes the mode. Hanging requests are cut off, and slow ones are answered.
func (c *CRM) SetMode(ctx context.Context, mode string) error {
	if !slices.Contains(CRMModes(), mode) {
		return fmt.Errorf("a CRM has no mode %q", mode)
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

// setMode returns the mode before.
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

// closeForGood breaks every connection and gives up the address.
func (c *CRM) closeForGood() {
	c.setMode(CRMGone)
	c.Server.closeForGood()
}

// ServeHTTP answers the post of one event according to the mode.
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

// Accepted returns the accepted events in order, repeats included.
func (c *CRM) Accepted() []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.accepted)
}

// Counts returns the number of distinct accepted events, and of refused posts.
func (c *CRM) Counts() (taken, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.known), c.refused
}
