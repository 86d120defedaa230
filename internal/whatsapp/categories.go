package whatsapp

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	categoriesFor   = time.Hour        // a list of templates is fresh for this long
	categoriesAgain = time.Minute      // pause before the next try after a failure or an unknown template
	categoriesWait  = 2 * time.Second  // limit for a caller
	categoriesCall  = 30 * time.Second // limit for the call
)

// marketing is Meta's word for the category of templates that people may refuse.
const marketing = "MARKETING"

// Categories knows which templates of a business account are marketing. It keeps the last
// list while Meta cannot be reached. It is safe for concurrent use.
type Categories struct {
	list func(context.Context) ([]Template, error)
	now  func() time.Time
	log  *slog.Logger

	mu       sync.Mutex
	known    map[templateKey]string
	listedAt time.Time     // of the last success
	triedAt  time.Time     // of the last try
	inFlight chan struct{} // closed when the call in flight ends; nil without one
	failed   bool          // the last try failed, and that is logged
}

type templateKey struct{ name, language string }

// NewCategories returns Categories that read the templates with list.
func NewCategories(list func(context.Context) ([]Template, error), now func() time.Time, log *slog.Logger) *Categories {
	return &Categories{list: list, now: now, log: log}
}

// Marketing reports whether Meta counts a template as marketing. It waits at most 2 s for
// Meta. An unknown template is not marketing.
func (c *Categories) Marketing(ctx context.Context, name, language string) bool {
	wanted := templateKey{name, language}
	ctx, cancel := context.WithTimeout(ctx, categoriesWait)
	defer cancel()
	if coming := c.refresh(ctx, wanted); coming != nil {
		select {
		case <-coming:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[wanted] == marketing
}

// refresh starts a call for the list if one is due. It returns a channel that closes when
// the call in flight ends, or nil if there is nothing to wait for.
func (c *Categories) refresh(ctx context.Context, wanted templateKey) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	_, known := c.known[wanted]
	switch {
	case known && now.Sub(c.listedAt) < categoriesFor:
		return nil
	case c.inFlight != nil:
		return c.inFlight
	case !c.triedAt.IsZero() && now.Sub(c.triedAt) < categoriesAgain:
		return nil
	}
	c.triedAt, c.inFlight = now, make(chan struct{})
	// Others wait for the call too, so it outlives this caller's deadline.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), categoriesCall)
	go func() {
		defer cancel()
		all, err := c.list(ctx)
		c.replace(all, err, now)
	}()
	return c.inFlight
}

// replace takes over the list of a call that began at at.
func (c *Categories) replace(all []Template, err error, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.inFlight)
	c.inFlight = nil
	if err != nil {
		if !c.failed {
			c.log.Warn("cannot read the categories of templates; a template of unknown category is not treated as marketing", "error", err)
		}
		c.failed = true
		return
	}
	c.failed, c.listedAt, c.known = false, at, make(map[templateKey]string, len(all))
	for _, t := range all {
		c.known[templateKey{t.Name, t.Language}] = t.Category
	}
}
