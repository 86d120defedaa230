// Package sandbox is a fake WhatsApp that feels real: phones on a web page, the Graph API
// that a router sends through, and the signed webhook that carries all that people do. It
// knows only the provider's side of the wire: it learns the router's decisions from the API
// over HTTP, as any client does. It must never reach the real WhatsApp. All its state is in
// memory and bounded.
package sandbox

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// The development identity.
const (
	DevPhoneNumberID = "200000000000002"
	DevAppSecret     = "test_app_secret_0123456789abcdef"
	DevVerifyToken   = "sandbox"
	DevToken         = "sandbox"
	DevDisplayNumber = "5491100000099"
)

// Options configure a Server. Only WebhookURL is required; the rest defaults to the
// development identity.
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

	// People are the people whose phones exist from the start; nil means DefaultPeople.
	People []Person
	// KeepSent is the number of accepted messages that Sent keeps; 0 means 10,000.
	KeepSent int
	// Accepted is called for each accepted message, before the caller gets its answer.
	Accepted func(Sent)
	// NoStatuses sends no statuses.
	NoStatuses bool
	// NoFaults ignores the faults in numbers and texts.
	NoFaults bool
	// NoPhones keeps no chats for numbers outside People and shows them on no page: for
	// load tests.
	NoPhones bool
	// Limits are the number's limits; the zero Limits are none. See MetaLimits.
	Limits Limits

	MediaTTL time.Duration // how long a media URL works; 0: 5 min, as Meta's
	Slow     time.Duration // delay of the fault "slow"; 0: 5 s
	Hang     time.Duration // how long the fault "hang" holds a request; 0: 60 s
	Backoff  time.Duration // first wait before a webhook is retried; 0: 1 s
	// Pace scales the waits before statuses; 0 means 1, as on a good connection.
	Pace float64

	Now        func() time.Time
	Log        *slog.Logger
	HTTPClient *http.Client
}

// Server is the fake WhatsApp.
type Server struct {
	opt     Options
	handler http.Handler
	page    *page
	hub     *hub
	out     *outbox
	record  *record
	media   *mediaStore
	limits  *limiter
	outage  atomic.Pointer[outage] // the fault of all sends
	log     *slog.Logger

	mu     sync.Mutex // guards the phones, everything in them, and webhooks
	phones *phones
	// webhooks are the newest posts, for the page.
	webhooks  []webhookView
	webhookNo int64

	done chan struct{} // closed when Run ends: ends the event streams
	once sync.Once
}

// New returns a Server. Serve its Handler, which accepts messages, and run Run, which
// delivers webhooks.
func New(o Options) (*Server, error) {
	if o.WebhookURL == nil {
		return nil, errors.New("sandbox: WebhookURL is missing")
	}
	setDefaults(&o)
	page, err := newPage()
	if err != nil {
		return nil, fmt.Errorf("sandbox page: %w", err)
	}
	s := &Server{
		opt:    o,
		page:   page,
		hub:    newHub(),
		record: newRecord(o.KeepSent),
		media:  newMediaStore(o.MediaTTL, []byte(o.AppSecret)),
		limits: newLimiter(o.Limits),
		log:    o.Log,
		phones: newPhones(o.People),
		done:   make(chan struct{}),
	}
	s.out = newOutbox(o, s.envelope)
	s.out.report = s.onPosted
	s.handler = s.routes()
	return s, nil
}

func setDefaults(o *Options) {
	setDefault(&o.PhoneNumberID, DevPhoneNumberID)
	setDefault(&o.DisplayNumber, DevDisplayNumber)
	setDefault(&o.BusinessName, "PSI Visión")
	setDefault(&o.AppSecret, DevAppSecret)
	setDefault(&o.VerifyToken, DevVerifyToken)
	setDefault(&o.Token, DevToken)
	setDefault(&o.KeepSent, 10_000)
	setDefault(&o.MediaTTL, 5*time.Minute)
	setDefault(&o.Slow, 5*time.Second)
	setDefault(&o.Hang, time.Minute)
	setDefault(&o.Backoff, time.Second)
	setDefault(&o.Pace, 1)
	if o.People == nil {
		o.People = DefaultPeople()
	}
	if o.BaseURL == nil {
		o.BaseURL = func() string { return "" }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.HTTPClient == nil {
		o.HTTPClient = &http.Client{
			Timeout:   10 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: concurrentPosts, MaxConnsPerHost: 4 * concurrentPosts, IdleConnTimeout: time.Minute},
		}
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Handler serves /sandbox: the page, the Graph API below /sandbox/graph, and the page's own
// paths.
func (s *Server) Handler() http.Handler { return s.handler }

func (s *Server) routes() http.Handler {
	graph := http.NewServeMux()
	graph.HandleFunc("POST /sandbox/graph/{version}/{node}/messages", s.graphMessages)
	graph.HandleFunc("POST /sandbox/graph/{version}/{node}/media", s.graphUpload)
	graph.HandleFunc("POST /sandbox/graph/{version}/{node}/block_users", s.graphBlock)
	graph.HandleFunc("DELETE /sandbox/graph/{version}/{node}/block_users", s.graphBlock)
	graph.HandleFunc("GET /sandbox/graph/{version}/{node}/message_templates", s.graphTemplates)
	graph.HandleFunc("GET /sandbox/graph/{version}/{node}", s.graphNode)
	graph.HandleFunc("DELETE /sandbox/graph/{version}/{node}", s.graphDelete)
	graph.HandleFunc("/sandbox/graph/", s.graphUnknown)

	faces := http.NewServeMux()
	faces.HandleFunc("GET /sandbox", s.servePage)
	faces.HandleFunc("GET /sandbox/{$}", s.servePage)
	faces.HandleFunc("GET /sandbox/assets/{name}", s.serveAsset)
	faces.HandleFunc("GET /sandbox/events", s.serveEvents)
	faces.HandleFunc("GET /sandbox/phones", s.listPhones)
	faces.HandleFunc("POST /sandbox/phones", s.addPhone)
	faces.HandleFunc("GET /sandbox/phones/{id}", s.showPhone)
	faces.HandleFunc("POST /sandbox/phones/{id}/messages", s.personWrites)
	faces.HandleFunc("POST /sandbox/phones/{id}/files", s.personSendsFile)
	faces.HandleFunc("POST /sandbox/phones/{id}/seen", s.personReads)
	faces.HandleFunc("DELETE /sandbox/phones/{id}/messages", s.clearPhone)
	faces.HandleFunc("GET /sandbox/files/{id}", s.serveFile)
	faces.HandleFunc("GET /sandbox/webhooks", s.listWebhooks)
	faces.HandleFunc("GET /sandbox/sent", s.listSent)
	faces.HandleFunc("POST /sandbox/handshake", s.tryHandshake)
	if to := s.remoteAPI(); to != nil {
		faces.Handle("/sandbox/api/", s.passToAPI(to))
	}

	// Pages of other origins may not act for the user; programs with a bearer token may
	// call from anywhere.
	guarded := http.NewCrossOriginProtection().Handler(faces)

	all := http.NewServeMux()
	all.Handle("/sandbox/graph/", graph)
	all.HandleFunc("GET /sandbox/lookaside/", s.lookaside)
	all.Handle("/sandbox", guarded)
	all.Handle("/sandbox/", guarded)
	return all
}
