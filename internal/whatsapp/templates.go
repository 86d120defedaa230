package whatsapp

import (
	"context"
	"net/url"
	"strings"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// mostTemplates ends the paging; a business account may have 6,000 templates.
const mostTemplates = 10_000

// Template is a message template of a business account, in one language.
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
		answer, refused := c.do(ctx, apiCall{node: account, edge: "/message_templates", query: query})
		if refused != nil {
			return nil, notUncertain(refused)
		}
		v, _ := rawjson.Parse(answer.Body)
		if !v.Get("data").IsArray() {
			return nil, &outbound.Failure{Class: outbound.Retry, Detail: "the answer has no list of templates"}
		}
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
