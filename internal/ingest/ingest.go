// Package ingest is the door: it authenticates the bodies posted to /webhook, has them decoded,
// enqueues one job per arrival, and only then answers 200. It must never read a store, decide
// what a message means, or drop anything authentic.
package ingest

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Enqueuer is the part of a queue that a Handler uses.
type Enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) (added []bool, err error)
}

// Decoder turns a body into arrivals.
type Decoder interface {
	// Decode returns the arrivals in the body; their Raw may be slices of it. An error
	// means that nothing could be read: rawjson.ErrSyntax or ErrDepth, or one of inbound.
	// It must accept any bytes, with time and memory in proportion to their number.
	Decode(body []byte) ([]inbound.Arrival, error)
}

// Signature checks the signatures of one Meta app. A body may come in pieces.
type Signature interface {
	Verify(header string, body ...[]byte) bool
}

// Meta is the part of Meta's protocol that a Handler needs.
type Meta struct {
	// NewSignature returns the Signature of an app secret.
	NewSignature func(secret string) Signature
	// WellFormed reports whether a header has the form of a signature; otherwise the body
	// is not read.
	WellFormed func(header string) bool
	// Challenge answers the handshake: it returns the text to send back, and whether the
	// query has one of the verify tokens.
	Challenge func(query url.Values, tokens []string) (challenge string, ok bool)
}

// Meter counts requests and arrivals. observe has one.
type Meter interface {
	Webhook(outcome string, took time.Duration)
	Arrived(line, kind string)
}

// Line is the part of a configured line that a Handler needs.
type Line struct {
	ID       string
	Provider string // cloud, evolution or n8n
	// Ref is the provider's name for the line: its phone_number_id or instance.
	Ref          string
	AppSecrets   []string // of the Meta app; lines with the same one share an app
	VerifyTokens []string // for Meta's handshake
	Secrets      []string // shared secrets of forwarders and Evolution
}

// Options configure a Handler. Queue and Decoder are required, and Meta if a line has app
// secrets or verify tokens.
type Options struct {
	Queue   Enqueuer
	Decoder Decoder
	Meta    Meta
	Lines   []Line
	// Admission bounds unauthenticated requests. Nil: bounds of its own that trust no
	// proxy.
	Admission *admission.Control
	// Insecure opens lines without any secret to everybody.
	Insecure bool
	Now      func() time.Time // nil: time.Now
	// Ahead returns how far our clock is ahead of WhatsApp's if they are minutes apart,
	// else 0; nil for 0.
	Ahead func() time.Duration
	Meter Meter        // nil: none
	Log   *slog.Logger // nil: discarded
	// EnqueueTimeout is how long the queue may take before the answer is 503; 0 for 4 s,
	// as Meta gives up after about five.
	EnqueueTimeout time.Duration
}

// Handler is the http.Handler of /webhook. It is safe for concurrent use.
type Handler struct {
	queue          Enqueuer
	decoder        Decoder
	auth           *authenticator
	meta           Meta
	lines          []Line
	admission      *admission.Control
	now            func() time.Time
	ahead          func() time.Duration
	meter          Meter
	log            *slog.Logger
	enqueueTimeout time.Duration
	mux            http.ServeMux
}

// New returns the Handler. Its paths are /webhook, /webhook/{line} and, for
// Evolution's "webhook by events", /webhook/{line}/{event}.
func New(o Options) *Handler {
	h := &Handler{
		queue:          o.Queue,
		decoder:        o.Decoder,
		auth:           newAuthenticator(o),
		meta:           o.Meta,
		lines:          o.Lines,
		admission:      o.Admission,
		now:            o.Now,
		ahead:          o.Ahead,
		meter:          o.Meter,
		log:            cmp.Or(o.Log, slog.New(slog.DiscardHandler)),
		enqueueTimeout: cmp.Or(o.EnqueueTimeout, 4*time.Second),
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.ahead == nil {
		h.ahead = func() time.Duration { return 0 }
	}
	if h.meter == nil {
		h.meter = noMeter{}
	}
	if h.admission == nil {
		h.admission = admission.New(admission.Options{Log: h.log})
	}
	for _, path := range []string{"/webhook", "/webhook/{$}", "/webhook/{line}", "/webhook/{line}/{event...}"} {
		h.mux.HandleFunc("GET "+path, h.handshake)
		h.mux.HandleFunc("POST "+path, h.receive)
	}
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.mux.ServeHTTP(w, r) }

type noMeter struct{}

func (noMeter) Webhook(string, time.Duration) {}
func (noMeter) Arrived(string, string)        {}
