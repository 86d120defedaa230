package whatsapp

import (
	"context"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// mostTemplates is how many a business account may have, and more (6,000).
const mostTemplates = 10_000

// Template is one of a business account's.
type Template struct {
	Name, Language string
	Category       string // MARKETING, UTILITY, AUTHENTICATION
	Status         string // APPROVED, PAUSED, REJECTED, …
}

// Templates asks Meta for all templates of a business account. Errors are
// *outbound.Failure.
func (c *Client) Templates(ctx context.Context, account string) ([]Template, error) {
	query := url.Values{"fields": {"name,language,category,status"}, "limit": {"250"}}
	var all []Template
	for len(all) < mostTemplates {
		answer, refused := c.ask(ctx, question{node: account, edge: "/message_templates", query: query})
		if refused != nil {
			return nil, refused
		}
		v, _ := rawjson.Parse(answer.Body)
		for t := range v.Get("data").Items() {
			all = append(all, Template{
				t.Get("name").Text(), t.Get("language").Text(), strings.ToUpper(t.Get("category").Text()), t.Get("status").Text(),
			})
		}
		after := v.Get("paging", "cursors", "after").Text()
		if after == "" || !v.Get("paging", "next").Exists() {
			break
		}
		query.Set("after", after)
	}
	return all, nil
}

const (
	catalogFor  = time.Hour       // for which a list is good
	catalogMiss = time.Minute     // between two looks for a template that it lacks
	catalogWait = 2 * time.Second // for which a send waits for a look
)

// Catalog knows the categories of a business account's templates: it asks for the list
// at most once an hour, and for one that it lacks once a minute. It is safe for
// concurrent use.
type Catalog struct {
	client  *Client
	account string
	now     func() time.Time

	mu        sync.Mutex
	marketing map[[2]string]bool // by name and language
	good      time.Time          // when the list came
	asked     time.Time
}

// NewCatalog returns the catalog of an account that the client's token may read.
func NewCatalog(c *Client, account string) *Catalog {
	return &Catalog{client: c, account: account, now: time.Now}
}

// Marketing says whether WhatsApp counts a template as marketing: false where that
// cannot be found out within two seconds.
func (k *Catalog) Marketing(ctx context.Context, name, language string) bool {
	key := [2]string{name, language}
	is, stale := k.look(key)
	if !stale {
		return is
	}
	ctx, cancel := context.WithTimeout(ctx, catalogWait)
	defer cancel()
	if list, err := k.client.Templates(ctx, k.account); err == nil {
		k.take(list)
	}
	is, _ = k.look(key)
	return is
}

// look answers by the list, and says when it is the caller's turn to ask for a new one.
func (k *Catalog) look(key [2]string) (is, stale bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	is, known := k.marketing[key]
	stale = now.Sub(k.asked) >= catalogMiss && (!known || now.Sub(k.good) >= catalogFor)
	if stale {
		k.asked = now
	}
	return is, stale
}

func (k *Catalog) take(list []Template) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.marketing, k.good = make(map[[2]string]bool, len(list)), k.now()
	for _, t := range list {
		k.marketing[[2]string{t.Name, t.Language}] = t.Category == "MARKETING"
	}
}
