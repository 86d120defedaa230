// Package api serves API v1 over HTTP to the programs and people who operate the router,
// with its keys, roles, scopes, errors and description. It must never decide what a
// conversation does (the store and the router do), nor send anything to WhatsApp itself.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/psivisionhub/psi-router/internal/flow"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/store"
)

// Prefix is the path of API v1.
const Prefix = "/api/v1"

// maxBody bounds every request body; commands and lists of ids are small.
const maxBody = 256 << 10

// commandStore is the part of the store that the API uses: what people read, and what
// they do.
type commandStore interface {
	store.Reader
	store.Commands
}

// Options of New. Store and Queue are required, and Keys unless Trusted.
type Options struct {
	Store commandStore
	Queue queue.Operator
	// Keys are the accepted API keys. Several may share a name (rotation).
	Keys []Key
	// Areas are the flow's areas with their aliases. Without any, every area name is
	// accepted.
	Areas []flow.Area
	// Lines are the lines that messages may leave by. Nil allows any.
	Lines []Line
	// Country (ISO 3166 alpha-2) is assumed for phones without a country code; "" assumes
	// none.
	Country string
	// Window is the length of the service window; 0 means 24 h, negative none.
	Window time.Duration
	// Windowless names the lines without a service window.
	Windowless []string
	// Wake enqueues the wake-up of a conversation. It is called after each command, because
	// the router may have answered it. Optional.
	Wake func(ctx context.Context, line, conversation string)
	// Block asks the provider of the conversation's line to block or unblock its contact.
	// Its error may be shown to people. Nil: no line can block.
	Block func(ctx context.Context, c store.Conversation, block bool) error
	// Marketing reports whether WhatsApp counts a line's template as marketing; false where
	// unknown. Optional.
	Marketing func(ctx context.Context, line, template, language string) bool
	// Stale reports whether the database went back in time; answers are marked then.
	// Optional.
	Stale func() bool
	// Emptied returns when the queue was found to have lost its data, zero for never.
	// Optional.
	Emptied func(ctx context.Context) (time.Time, error)
	// Trusted skips keys: every caller is the operator (the admin socket). Actor names the
	// operator in the audit; "" means "cli".
	Trusted bool
	Actor   string
	Version string
	Now     func() time.Time // nil means time.Now
	Log     *slog.Logger     // nil discards
}

type server struct {
	opts    Options
	keys    keyring
	rates   rates
	areas   areas
	lines   map[string][]string // line → the types that it can send
	trusted *caller
	huma    huma.API
}

// New returns the handler of Prefix and of /openapi.json.
func New(o Options) (http.Handler, error) {
	if o.Store == nil || o.Queue == nil {
		return nil, errors.New("api: Store and Queue are required")
	}
	o.Window = cmp.Or(o.Window, 24*time.Hour)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Wake == nil {
		o.Wake = func(context.Context, string, string) {}
	}
	if o.Block == nil {
		o.Block = func(context.Context, store.Conversation, bool) error { return errCannotBlock }
	}
	if o.Marketing == nil {
		o.Marketing = func(context.Context, string, string, string) bool { return false }
	}
	if o.Stale == nil {
		o.Stale = func() bool { return false }
	}
	if o.Emptied == nil {
		o.Emptied = func(context.Context) (time.Time, error) { return time.Time{}, nil }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{opts: o, areas: newAreas(o.Areas), rates: newRates(o.Keys)}
	if o.Trusted {
		s.trusted = &caller{name: cmp.Or(o.Actor, "cli"), role: Admin}
	}
	if o.Lines != nil {
		s.lines = map[string][]string{}
		for _, l := range o.Lines {
			s.lines[l.ID] = l.Types
		}
	}
	var err error
	if s.keys, err = newKeyring(o.Keys, s.areas); err != nil {
		return nil, err
	}

	mux := http.NewServeMux()
	s.huma = humago.NewWithPrefix(mux, Prefix, apiConfig(o.Version))
	s.registerConversations()
	s.registerMessages()
	s.registerCommands()
	s.registerContacts()
	s.registerQueues()
	s.registerDeadLetters()
	s.registerEvents()
	s.registerTrace()
	s.registerAudit()
	s.registerAreas()
	s.registerReasons()
	spec, err := marshalSpec(s.huma.OpenAPI())
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openapi+json")
		w.Write(spec)
	})
	mux.HandleFunc("/", fallback(mux))
	return s.guard(mux), nil
}

// guard bounds bodies and turns a panic of one request into its 500.
func (s *server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			v := recover()
			if v == nil {
				return
			}
			if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
				panic(v)
			}
			s.opts.Log.Error("api request panicked", "method", r.Method, "route", r.Pattern, "panic", fmt.Sprint(v))
			writeProblem(w, problem(http.StatusInternalServerError, codeInternal, "Something broke on our side; it is in the log. Try again, and report it if it stays."))
		}()
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if s.opts.Stale() {
			w.Header().Set("X-Stale-Store", "true")
		}
		if r.ContentLength > maxBody { // even if no handler would read it
			writeProblem(w, tooLarge())
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBody+1)
		next.ServeHTTP(w, r)
	})
}

// fallback answers requests that match no operation: 405 where another method exists, else
// 404.
func fallback(mux *http.ServeMux) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "/" && method != r.Method {
				w.Header().Set("Allow", method)
				writeProblem(w, problem(http.StatusMethodNotAllowed, codeMethod, "Use "+method+" here."))
				return
			}
		}
		writeProblem(w, problem(http.StatusNotFound, codeNotFound, "There is nothing at this path. /openapi.json lists every path."))
	}
}

// operation is what register needs to know beside the handler.
type operation struct {
	id, method, path, tag, summary, about string
	role                                  Role
	status                                int   // of success, 200 if 0
	errors                                []int // statuses beyond the common ones
}

// register adds one operation that only callers with its role reach.
func register[I, O any](s *server, op operation, handle func(context.Context, caller, *I) (*O, error)) {
	h := huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary,
		Description: op.about + "\n\nRole: `" + string(op.role) + "` or above.",
		Tags:        []string{op.tag}, MaxBodyBytes: maxBody, DefaultStatus: op.status,
		Security:  []map[string][]string{{"key": {}}},
		Responses: errorResponses(append([]int{401, 403, 422, 429, 500, 503}, op.errors...)),
		Middlewares: huma.Middlewares{func(ctx huma.Context, next func(huma.Context)) {
			actor, refusal := s.authenticate(ctx.Header("Authorization"), op.role)
			if refusal == nil && s.trusted == nil {
				refusal = s.rates.take(actor.name, s.opts.Now())
			}
			if refusal != nil {
				_, w := humago.Unwrap(ctx)
				writeProblem(w, refusal)
				return
			}
			next(huma.WithValue(ctx, callerKey{}, actor))
		}},
	}
	huma.Register(s.huma, h, func(ctx context.Context, in *I) (*O, error) {
		actor, _ := ctx.Value(callerKey{}).(caller)
		out, err := handle(ctx, actor, in)
		if err != nil {
			return nil, s.problemOf(ctx, op.id, err)
		}
		return out, nil
	})
}

// problemOf turns an error into the caller's problem. An error without a problem of its own
// is logged here and not shown.
func (s *server) problemOf(ctx context.Context, op string, err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	switch {
	case errors.Is(err, store.ErrNotFound), errors.Is(err, queue.ErrNotFound):
		return notFound()
	case errors.Is(err, store.ErrBlocked):
		return problem(http.StatusConflict, codeBlocked, "The person is blocked. Unblock them to write: POST contacts/{id}/unblock, or psi-router conv unblock.")
	case errors.Is(err, store.ErrOptedOut):
		return problem(http.StatusConflict, codeOptedOut, "The person opted out of marketing, and WhatsApp counts this template as marketing. Service and utility templates may be sent; marketing again once the person asks for it (alta).")
	case errors.Is(err, store.ErrWindowClosed):
		return problem(http.StatusConflict, codeWindowClosed, "The person has not written for 24 h, so WhatsApp takes only a template. Send one (`type: template`); once they answer, any message may be sent again.")
	case errors.Is(err, store.ErrClosed):
		return problem(http.StatusConflict, codeClosed, "The conversation is closed. Reopen it, or send without `reopen: false` to take it up again.")
	case errors.Is(err, store.ErrNoQuote):
		return flawed(codeUnknownMessage, "body.context.message_id", "cannot be quoted", "The message to quote is not in this conversation, or WhatsApp has not taken it yet. Give our id of a message that arrived or was sent, or leave `context` out.")
	case errors.Is(err, store.ErrKeyReused):
		return problem(http.StatusConflict, codeKeyReused, "This Idempotency-Key was used for another request within 24 h. A repeat has to be the same; something new needs a new key.")
	case errors.Is(err, store.ErrConflict):
		return problem(http.StatusConflict, codeConflict, "The conversation is in a state that does not allow this. Read it again, see its state, and choose a command that fits.")
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return problem(499, codeUnavailable, "You closed the request.")
	}
	if errors.Is(err, store.ErrBusy) {
		s.opts.Log.Warn("a row stayed locked for too long", "operation", op, "error", err)
		return problem(http.StatusServiceUnavailable, codeBusy, "Another process kept this conversation locked for too long. Nothing was changed; try again in a few seconds.")
	}
	s.opts.Log.Error("api request failed", "operation", op, "error", err)
	if errors.Is(err, store.ErrUnavailable) || errors.Is(err, queue.ErrUnavailable) || errors.Is(err, queue.ErrClosed) || errors.Is(err, context.DeadlineExceeded) {
		return problem(http.StatusServiceUnavailable, codeUnavailable, "The store or the queue cannot be reached. Try again in a few seconds (a write with the same Idempotency-Key, as it may have been done). If this stays, look at /readyz.")
	}
	return problem(http.StatusInternalServerError, codeInternal, "Something broke on our side; it is in the log. Try again, and report it if it stays.")
}
