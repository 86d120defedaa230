package whatsapp

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How long a list of templates is good for, how soon it is asked for again when it
// lacks one or failed, and how long a caller and the call itself may take.
const (
	categoriesFor   = time.Hour
	categoriesAgain = time.Minute
	categoriesWait  = 2 * time.Second
	categoriesCall  = 30 * time.Second
)

// marketing is Meta's word for the category of templates that people may refuse.
const marketing = "MARKETING"

// Categories knows which templates of a business account are marketing. What it once
// knew it keeps while Meta cannot be asked. It is safe for concurrent use.
type Categories struct {
	list func(context.Context) ([]Template, error)
	now  func() time.Time
	log  *slog.Logger

	mu       sync.Mutex
	known    map[templateKey]string
	listedAt time.Time     // the last list that came
	triedAt  time.Time     // the last one that was asked for
	inFlight chan struct{} // closed when what is asked for came; nil while nothing is
	failed   bool          // and it is logged
}

// templateKey is a template in a language.
type templateKey struct{ name, language string }

// NewCategories returns the Categories of what list lists.
func NewCategories(list func(context.Context) ([]Template, error), now func() time.Time, log *slog.Logger) *Categories {
	return &Categories{list: list, now: now, log: log}
}

// Marketing reports whether Meta counts a template as marketing. It waits for Meta for
// 2 s at most; what nobody knows is no marketing.
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

// refresh asks for the list where that is due, and returns what is closed when it came,
// or nil when what is known will do.
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
	// Others wait for it too: it goes on when this caller has had enough.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), categoriesCall)
	go func() {
		defer cancel()
		all, err := c.list(ctx)
		c.replace(all, err, now)
	}()
	return c.inFlight
}

// replace takes over a list that was asked for at a time.
func (c *Categories) replace(all []Template, err error, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.inFlight)
	c.inFlight = nil
	if err != nil {
		if !c.failed {
			c.log.Warn("the categories of templates cannot be read: marketing is refused to nobody for whom none was known", "error", err)
		}
		c.failed = true
		return
	}
	c.failed, c.listedAt, c.known = false, at, make(map[templateKey]string, len(all))
	for _, t := range all {
		c.known[templateKey{t.Name, t.Language}] = t.Category
	}
}
