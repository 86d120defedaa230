// Package sandbox is a fake WhatsApp that feels real: phones on a web page, the Graph API
// that a router sends through, and the signed webhook that carries all that people do. It
// knows only the provider's side of the wire: it learns the router's decisions from the API
// over HTTP, as any client does. It must never reach the real WhatsApp. All its state is in
// memory and bounded.
package sandbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
)

// Options say who the fake WhatsApp pretends to be and whom it talks to. WebhookURL is
// needed, and for the Graph API PhoneNumberID, AppSecret and Token.
type Options struct {
	PhoneNumberID string
	DisplayNumber string // digits of the business number
	BusinessName  string // the name above the chat
	AppSecret     string // signs the webhook, and proves calls of the Graph API
	VerifyToken   string // for Handshake
	Token         string // bearer token that the Graph API asks for
	RequireProof  bool   // the Graph API wants appsecret_proof with every call

	// WebhookURL returns the URL to post to. It is called for each post, so that a listener
	// may get its port late.
	WebhookURL func() string
	// BaseURL returns the root of this server's media URLs; nil or "" means the host of the
	// request.
	BaseURL func() string

	// APIBase is the root of the router's API for the page: /api/v1 beside this handler, or
	// a whole URL, which is called through this server; "" means that there is none.
	APIBase string
	APIKey  string

	// KeepSent is the number of accepted messages that Sent keeps; 0 means 10,000.
	KeepSent int
	// Accepted is called for each accepted message, before the caller gets its answer.
	Accepted func(Sent)
	// NoStatuses sends no statuses.
	NoStatuses bool
	// NoFaults ignores the faults in numbers and texts.
	NoFaults bool
	// NoPhones keeps no chats for numbers outside DefaultPeople and shows them on no page: for
	// load tests.
	NoPhones bool
	// Limits are the number's limits; the zero Limits are none. See MetaLimits.
	Limits Limits

	Slow    time.Duration // delay of the fault "slow"; 0: 5 s
	Hang    time.Duration // how long the fault "hang" holds a request; 0: 60 s
	Backoff time.Duration // first wait before a webhook is retried; 0: 1 s
	// Pace scales the waits before statuses; 0 means 1, as on a good connection.
	Pace float64

	Now func() time.Time
	Log *slog.Logger
}

// Server is the fake WhatsApp, of three that speak: the business through the Graph API,
// people on their phones, and the page that shows both.
type Server struct {
	*graph
	*phones
	*outbox
	*record

	handler http.Handler
	done    chan struct{} // closed when Run ends
	once    sync.Once
}

// parts are what all three stand on.
type parts struct {
	opt    Options
	out    *outbox
	record *record
	media  *mediaStore
	hub    *hub
	done   <-chan struct{} // ends what is paused, and the event streams
}

// New returns a Server. Serve its Handler, which accepts messages, and run Run, which
// delivers webhooks.
func New(o Options) (*Server, error) {
	if o.WebhookURL == nil {
		return nil, errors.New("sandbox: WebhookURL is missing")
	}
	setDefaults(&o)
	done := make(chan struct{})
	with := parts{
		opt: o, out: newOutbox(o), record: newRecord(o.KeepSent), media: newMediaStore([]byte(o.AppSecret)),
		hub: newHub(), done: done,
	}
	phones := newPhones(with)
	with.out.report = phones.onPosted
	graph := &graph{parts: with, phones: phones, limits: newLimiter(o.Limits)}
	page := &page{parts: with, phones: phones}
	if err := page.load(); err != nil {
		return nil, fmt.Errorf("sandbox page: %w", err)
	}
	faces := page.routes()
	all := http.NewServeMux()
	all.Handle("/sandbox/graph/", graph.routes())
	all.HandleFunc("GET /sandbox/lookaside/", graph.lookaside)
	all.Handle("/sandbox", faces)
	all.Handle("/sandbox/", faces)
	return &Server{graph: graph, phones: phones, outbox: with.out, record: with.record, handler: all, done: done}, nil
}

// Handler serves /sandbox: the page, the Graph API below /sandbox/graph, and
// what the page uses.
func (s *Server) Handler() http.Handler { return s.handler }

// Run posts what people did and what became of messages until ctx ends; then it
// finishes the posts that are under way, and what still waits is forgotten.
func (s *Server) Run(ctx context.Context) error {
	defer s.once.Do(func() { close(s.done) })
	s.run(ctx)
	return nil
}

func setDefaults(o *Options) {
	o.BusinessName = cmp.Or(o.BusinessName, "PSI Visión")
	o.KeepSent = cmp.Or(o.KeepSent, 10_000)
	o.Slow = cmp.Or(o.Slow, 5*time.Second)
	o.Hang = cmp.Or(o.Hang, time.Minute)
	o.Backoff = cmp.Or(o.Backoff, time.Second)
	o.Pace = cmp.Or(o.Pace, 1)
	if o.BaseURL == nil {
		o.BaseURL = func() string { return "" }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
}
