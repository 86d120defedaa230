// Package sandbox is a fake WhatsApp that a person can believe: a phone on a
// web page, the Graph API that a router sends through, and the signed webhook
// that everything a person does goes through. It knows the provider's side of
// the wire and nothing of ours: what the router decided it learns, like anybody
// else, from the API over HTTP. It must never reach the real WhatsApp, and all
// its state is in memory and bounded.
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

// The development identity, as the contract names it.
const (
	DevPhoneNumberID = "200000000000002"
	DevAppSecret     = "test_app_secret_0123456789abcdef"
	DevVerifyToken   = "sandbox"
	DevToken         = "sandbox"
	DevDisplayNumber = "5491100000099"
)

// Options say who the fake WhatsApp pretends to be and whom it talks to. Only
// WebhookURL is required; the rest has the development identity as default.
type Options struct {
	PhoneNumberID string
	DisplayNumber string // digits of the business number
	BusinessName  string // what the phone shows above the chat
	AppSecret     string // signs the webhook, and proves calls of the Graph API
	VerifyToken   string // for Handshake
	Token         string // bearer token that the Graph API asks for
	RequireProof  bool   // the Graph API wants appsecret_proof with every call

	// WebhookURL returns where to post what people do. It is called for each
	// post, so that a listener may find its port late.
	WebhookURL func() string
	// BaseURL returns the root under which clients reach this server, for the
	// URLs of media; nil or "" takes the host of the request that asks.
	BaseURL func() string

	// APIBase is the root of the router's API for the page: /api/v1 beside this
	// handler, or a whole URL, which is asked through us; "" means that there
	// is none, and the page says so.
	APIBase string
	APIKey  string

	// People are the people whose phones exist from the start; nil takes four.
	People []Person
	// KeepSent is how many accepted messages Sent keeps; 0 means 10,000.
	KeepSent int
	// Accepted is called with each message that is accepted, before the caller
	// gets its answer.
	Accepted func(Sent)
	// NoStatuses accepts messages without ever reporting their fate.
	NoStatuses bool
	// NoFaults ignores magic numbers and words.
	NoFaults bool
	// NoPhones keeps no chats for numbers that are not in the cast, and tells
	// no page: for load.
	NoPhones bool
	// Limits of the number; the zero Limits are none. See MetaLimits.
	Limits Limits

	MediaTTL time.Duration // how long a media URL works; 0: 5 min, as Meta's
	Slow     time.Duration // how long "slow" takes; 0: 5 s
	Hang     time.Duration // how long "hang" holds a request; 0: 60 s
	Backoff  time.Duration // first wait before a webhook is posted again; 0: 1 s
	// Pace stretches or shrinks the waits before statuses; 0: 1, as on a good
	// connection.
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
	outage  atomic.Pointer[outage] // what sends meet
	log     *slog.Logger

	mu     sync.Mutex // guards the phones, everything in them, and webhooks
	phones *phones
	// webhooks are the newest posts, for the page.
	webhooks  []webhookView
	webhookNo int64

	done chan struct{} // closed when Run ends: ends the event streams
	once sync.Once
}

// New makes a Server. Serve its Handler and keep Run running: Handler accepts,
// Run delivers.
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

// Handler serves /sandbox: the page, the Graph API below /sandbox/graph, and
// what the page uses.
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

	// Pages of other origins may not press our buttons; programs with a bearer
	// token may come from anywhere.
	guarded := http.NewCrossOriginProtection().Handler(faces)

	all := http.NewServeMux()
	all.Handle("/sandbox/graph/", graph)
	all.HandleFunc("GET /sandbox/lookaside/", s.lookaside)
	all.Handle("/sandbox", guarded)
	all.Handle("/sandbox/", guarded)
	return all
}
