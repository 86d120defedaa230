// Package ingest is the door: it authenticates what is posted to /webhook, has
// it decoded, puts one job for each thing that arrived into the queue and only
// then answers 200. It must never look into a store, decide what a message
// means, or drop something that was authentic.
package ingest

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/psivisionhub/psi-router/internal/admission"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// Enqueuer is the part of a queue that the door uses.
type Enqueuer interface {
	Enqueue(ctx context.Context, jobs []queue.Job) (added []bool, err error)
}

// Decoder turns a body into what arrived.
type Decoder interface {
	// Decode returns one Arrival for each thing in the body; their Raw may be
	// slices of it. An error says why nothing of it is read: rawjson.ErrSyntax and
	// ErrDepth, and those of inbound. It must take any bytes, and time and memory
	// in proportion to them.
	Decode(body []byte) ([]inbound.Arrival, error)
}

// Signature checks bodies, whole or in pieces, that one Meta app signed.
type Signature interface {
	Verify(header string, body ...[]byte) bool
}

// Meta is what the door needs to know of Meta's protocol.
type Meta struct {
	// NewSignature returns the Signature of an app secret.
	NewSignature func(secret string) Signature
	// WellFormed reports whether a header may be a signature; no body is read for
	// one that cannot.
	WellFormed func(header string) bool
	// Challenge answers the handshake: what to send back, and whether one of
	// the verify tokens was given.
	Challenge func(query url.Values, tokens []string) (challenge string, ok bool)
}

// Meter counts what the door does. See observe.
type Meter interface {
	Webhook(outcome string, took time.Duration)
	Arrived(line, kind string)
}

// Line is a configured line as the door knows it.
type Line struct {
	ID       string
	Provider string // cloud, evolution or n8n
	// Ref is how the provider names the line in its bodies: the
	// phone_number_id or the instance.
	Ref          string
	AppSecrets   []string // of the Meta app; lines that share one are one app's
	VerifyTokens []string // for Meta's handshake
	Secrets      []string // shared secrets of forwarders and Evolution
}

// Options configure a Handler. Queue and Decoder are required, Meta too where a
// line has app secrets or verify tokens.
type Options struct {
	Queue   Enqueuer
	Decoder Decoder
	Meta    Meta
	Lines   []Line
	// Admission bounds what is held for who is not authenticated. Nil: bounds of
	// its own, which believe no proxy.
	Admission *admission.Control
	// Insecure opens lines that have no secret at all to everybody.
	Insecure bool
	Now      func() time.Time // nil: time.Now
	// Ahead is how far our clock is ahead of WhatsApp's where they are minutes apart,
	// else 0; nil is 0.
	Ahead func() time.Duration
	Meter Meter        // nil: none
	Log   *slog.Logger // nil: discarded
	// EnqueueTimeout is how long the queue may take before the answer is 503.
	// 0 means 4 s: Meta gives up after about five.
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
		log:            o.Log,
		enqueueTimeout: o.EnqueueTimeout,
	}
	if h.now == nil {
		h.now = time.Now
	}
	if h.ahead == nil {
		h.ahead = func() time.Duration { return 0 }
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.meter == nil {
		h.meter = noMeter{}
	}
	if h.admission == nil {
		h.admission = admission.New(admission.Options{Log: h.log})
	}
	if h.enqueueTimeout == 0 {
		h.enqueueTimeout = 4 * time.Second
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
