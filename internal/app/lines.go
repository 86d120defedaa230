package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/delivery"
	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/ingest"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/store"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// Default rates of lines: what Meta allows a number (throughput page), and what an
// unofficial client bears without being banned.
const (
	cloudRate     = 80
	evolutionRate = 1
)

// line is a configured line with the client of its provider.
type line struct {
	*config.Line
	sender  delivery.Sender
	marker  delivery.Marker // nil if the provider has no read receipts
	fetcher delivery.Fetcher
	// block asks the provider to block a person; nil if it cannot. categories are those of
	// its templates; nil if they cannot be read.
	block      func(ctx context.Context, who outbound.Address, block bool) error
	categories *whatsapp.Categories
	window     bool // whether it has a service window
	isSandbox  bool // its WhatsApp is the sandbox
}

// atMeta reports whether the line is a number at Meta itself.
func (l line) atMeta() bool { return l.Provider == whatsapp.Provider && !l.isSandbox }

// newLines creates the lines and their clients, in order of id. graph is the client for
// Meta's Graph. The sandbox line sends to the fake Graph at fake.
func newLines(cfg *config.Config, graph *http.Client, fake string, r *redact.Redactor, logger *slog.Logger) ([]line, error) {
	others := httpcall.NewClient()
	var lines []line
	for _, id := range slices.Sorted(maps.Keys(cfg.Lines)) {
		l := line{Line: cfg.Lines[id]}
		switch l.Provider {
		case whatsapp.Provider:
			l.isSandbox = cfg.Sandbox && id == config.DevLine
			base := cfg.GraphURL
			if l.isSandbox {
				base = fake
			}
			client, err := whatsapp.NewClient(whatsapp.ClientOptions{
				BaseURL: base, PhoneNumberID: l.PhoneNumberID, Tokens: l.Token.Values(), AppSecrets: l.AppSecret.Values(),
				HTTP: graph, Redact: r,
			})
			if err != nil {
				return nil, fmt.Errorf("line %s: %w", id, err)
			}
			l.sender, l.marker, l.fetcher, l.block, l.window = client, client, client, client.Block, true
			if account := l.BusinessAccountID; account != "" {
				list := func(ctx context.Context) ([]whatsapp.Template, error) { return client.Templates(ctx, account) }
				l.categories = whatsapp.NewCategories(list, time.Now, logger.With("line", id))
			}
		case evolution.Provider:
			client, err := evolution.NewClient(evolution.ClientOptions{
				BaseURL: l.URL, Instance: l.Instance, APIKey: l.APIKey.First(), HTTP: others, Redact: r,
			})
			if err != nil {
				return nil, fmt.Errorf("line %s: %w", id, err)
			}
			l.sender, l.fetcher = client, client
		default:
			return nil, fmt.Errorf("line %s: no client for provider %q", id, l.Provider)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// rate returns the line's limit for all processes together.
func (l line) rate() queue.Limit {
	r := float64(l.Rate)
	if r == 0 {
		r = cloudRate
		if l.Provider == evolution.Provider {
			r = evolutionRate
		}
	}
	return rateLimit(r)
}

// blocker returns a function that asks the provider of a conversation's line to block its
// contact.
func blocker(lines []line) func(ctx context.Context, c store.Conversation, block bool) error {
	return func(ctx context.Context, c store.Conversation, block bool) error {
		for _, l := range lines {
			if l.ID != c.Line || l.block == nil {
				continue
			}
			err := l.block(ctx, c.Contact.Address, block)
			if f, ok := errors.AsType[*outbound.Failure](err); ok {
				return errors.New(f.Detail) // may be shown to people
			}
			return err
		}
		return errors.New("the line's provider cannot block")
	}
}

// marketing returns a function that reports whether WhatsApp counts a line's template as
// marketing.
func marketing(lines []line) func(ctx context.Context, line, template, language string) bool {
	return func(ctx context.Context, line, template, language string) bool {
		for _, l := range lines {
			if l.ID == line && l.categories != nil {
				return l.categories.Marketing(ctx, template, language)
			}
		}
		return false
	}
}

// rateLimit returns a limit whose burst is a tenth of a second's work.
func rateLimit(perSecond float64) queue.Limit {
	if perSecond <= 0 {
		return queue.Limit{}
	}
	return queue.Limit{Rate: perSecond, Burst: max(1, int(perSecond/10))}
}

// ingestLine returns the line as ingest takes it.
func (l line) ingestLine() ingest.Line {
	d := ingest.Line{
		ID: l.ID, Provider: l.Provider, Ref: l.PhoneNumberID,
		AppSecrets: l.AppSecret.Values(), VerifyTokens: l.VerifyToken.Values(), Secrets: l.Secret.Values(),
	}
	if l.Provider == evolution.Provider {
		d.Ref = l.Instance
	}
	return d
}

// metaProtocol returns Meta's protocol for ingest, which must not know it.
func metaProtocol() ingest.Meta {
	return ingest.Meta{
		NewSignature: func(secret string) ingest.Signature { return whatsapp.NewSignature(secret) },
		WellFormed:   whatsapp.WellFormed,
		Challenge:    whatsapp.Challenge,
	}
}

// windowless returns the lines without a service window.
func windowless(lines []line) []string {
	var ids []string
	for _, l := range lines {
		if !l.window {
			ids = append(ids, l.ID)
		}
	}
	return ids
}

const window = 24 * time.Hour
