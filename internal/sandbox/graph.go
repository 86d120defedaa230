package sandbox

import (
	"cmp"
	"crypto/hmac"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// sendRequest is the body of POST /{phone-number-id}/messages.
type sendRequest struct {
	Product       string `json:"messaging_product"`
	RecipientType string `json:"recipient_type"`
	To            string `json:"to"`
	Recipient     string `json:"recipient"`
	Type          string `json:"type"`
	Context       *struct {
		MessageID string `json:"message_id"`
	} `json:"context"`
	Opaque string `json:"biz_opaque_callback_data"`

	Status    string          `json:"status"`
	MessageID string          `json:"message_id"`
	Typing    json.RawMessage `json:"typing_indicator"`

	// objects are the request's values by name: the content is under the type's.
	objects map[string]json.RawMessage
}

// recipient is the person that a send names; to wins over recipient.
type recipient struct{ phone, userID string }

func (r recipient) ref() string { return cmp.Or(r.phone, r.userID) }

const maxSend = 1 << 20

// graph is the business's side: the Graph API.
type graph struct {
	parts
	phones *phones
	limits *limiter
	outage atomic.Pointer[outage] // what sends meet
}

func (g *graph) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /sandbox/graph/{version}/{node}/messages", g.proven(g.ofNumber(g.messages)))
	mux.Handle("POST /sandbox/graph/{version}/{node}/media", g.proven(g.ofNumber(g.upload)))
	mux.Handle("POST /sandbox/graph/{version}/{node}/block_users", g.proven(g.ofNumber(g.block)))
	mux.Handle("DELETE /sandbox/graph/{version}/{node}/block_users", g.proven(g.ofNumber(g.block)))
	mux.Handle("GET /sandbox/graph/{version}/{node}/message_templates", g.proven(g.templates))
	mux.Handle("GET /sandbox/graph/{version}/{node}", g.proven(g.node))
	mux.Handle("DELETE /sandbox/graph/{version}/{node}", g.proven(g.delete))
	mux.Handle("/sandbox/graph/", g.proven(g.unknown))
	return mux
}

// call answers a call of the Graph API, or returns what to refuse it with.
type call func(w http.ResponseWriter, r *http.Request) *graphError

// proven checks the token, and the proof that its owner has the app's secret, where
// a call brings one or has to.
func (g *graph) proven(next call) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !g.checkToken(w, r) {
			return
		}
		proof := r.URL.Query().Get("appsecret_proof")
		var problem *graphError
		switch {
		case proof == "" && g.opt.RequireProof:
			problem = errNoProof
		case proof != "" && !hmac.Equal([]byte(proof), []byte(whatsapp.Proof(g.opt.Token, g.opt.AppSecret))):
			problem = errProof
		default:
			problem = next(w, r)
		}
		if problem != nil {
			g.refuse(w, problem)
		}
	}
}

// ofNumber checks that a call is for the business's number.
func (g *graph) ofNumber(next call) call {
	return func(w http.ResponseWriter, r *http.Request) *graphError {
		if node := r.PathValue("node"); node != g.opt.PhoneNumberID {
			return errNode(node)
		}
		return next(w, r)
	}
}

// messages takes what the business sends.
func (g *graph) messages(w http.ResponseWriter, r *http.Request) *graphError {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSend))
	if err != nil {
		return errParam("The request body is too large or was cut off.")
	}
	var req sendRequest
	if err := errors.Join(json.Unmarshal(body, &req), json.Unmarshal(body, &req.objects)); err != nil {
		return errParam("The request body is not valid JSON.")
	}
	if req.Product != "whatsapp" {
		return errParam("The parameter messaging_product is required.")
	}
	if !g.limits.allowNumber(g.opt.Now()) {
		return errRate
	}
	req.Type = cmp.Or(req.Type, "text")
	if req.Status != "" {
		return g.read(w, req)
	}
	to, problem := g.recipientOf(req)
	if problem != nil {
		return problem
	}
	content, problem := g.validate(&req)
	if problem != nil {
		return problem
	}
	return g.accept(w, r, req, to, content)
}

func (g *graph) recipientOf(req sendRequest) (recipient, *graphError) {
	to := recipient{phone: digitsOnly(req.To)}
	switch {
	case req.RecipientType != "" && req.RecipientType != "individual" && req.RecipientType != "group":
		return to, errParam("Param recipient_type must be one of {INDIVIDUAL, GROUP} - got \"" + req.RecipientType + "\".")
	case req.To == "" && req.Recipient == "":
		return to, errParam("The parameter to is required.")
	case req.To == "":
		if !strings.Contains(req.Recipient, ".") {
			return to, errValue("Recipient is not a valid business-scoped user ID.")
		}
		to.userID = req.Recipient
	case len(to.phone) < 7 || len(to.phone) > 20:
		return to, errParam("Invalid parameter")
	case to.phone == g.opt.DisplayNumber:
		return to, errSelf
	}
	return to, nil
}

// accept takes a valid message: fault, limits, then the phone.
func (g *graph) accept(w http.ResponseWriter, r *http.Request, req sendRequest, to recipient, content content) *graphError {
	now := g.opt.Now()
	g.phones.mu.Lock()
	p := g.phones.find(to)
	fault := g.faultFor(p, to, content)
	closed := p != nil && g.limits.limits.Window > 0 && req.Type != "template" &&
		!p.lastWrote.IsZero() && now.Sub(p.lastWrote) > g.limits.limits.Window
	g.phones.mu.Unlock()

	switch {
	case fault != nil && fault.err != nil:
		return fault.err
	case fault != nil && fault.html:
		g.record.count(func(c *Counts) { c.Refused++ })
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Error</title><h1>Sorry, something went wrong.</h1>")
		return nil
	case fault != nil && fault.hang:
		g.record.count(func(c *Counts) { c.Refused++ })
		g.pause(r, g.opt.Hang)
		dropConnection(w)
		return nil
	case closed:
		return errWindow
	case !g.limits.allowPair(to.ref(), now):
		return errPair
	}
	if fault != nil && fault.slow {
		g.pause(r, g.opt.Slow)
		now = g.opt.Now()
	}

	id := wamid(to.ref(), false)
	sent := Sent{ID: id, To: to.ref(), Ref: req.Opaque, Type: req.Type, Text: content.text, At: now}
	number := g.record.add(sent)
	if g.opt.Accepted != nil {
		g.opt.Accepted(sent)
	}
	person := g.phones.deliver(to, id, req, content, now)
	g.phones.scheduleStatuses(id, req, person, number, fault)
	if fault != nil && fault.reset {
		g.record.count(func(c *Counts) { c.Cut++ })
		// The statuses leave first: they may arrive before anybody knows the id.
		g.pause(r, g.phones.delay(statusSent))
		dropConnection(w)
		return nil
	}
	answer := sendAnswer{
		Product:  "whatsapp",
		Contacts: []answerContact{{Input: req.To, WaID: person.Phone}},
		Messages: []answerMessage{{ID: id}},
	}
	if to.phone == "" {
		answer.Contacts[0] = answerContact{Input: req.Recipient, UserID: req.Recipient}
	}
	if req.Type == "template" {
		answer.Messages[0].Status = "accepted"
	}
	writeJSON(w, http.StatusOK, answer)
	return nil
}

type sendAnswer struct {
	Product  string          `json:"messaging_product"`
	Contacts []answerContact `json:"contacts"`
	Messages []answerMessage `json:"messages"`
}

type answerContact struct {
	Input  string `json:"input"`
	WaID   string `json:"wa_id,omitempty"`
	UserID string `json:"user_id,omitempty"`
}

type answerMessage struct {
	ID     string `json:"id"`
	Status string `json:"message_status,omitempty"`
}

// faultFor says what this send meets: the fault of everybody, of the number, of
// its own text, or one that the person asked for.
func (g *graph) faultFor(p *phone, to recipient, content content) *fault {
	if everybody := g.outage.Load().next(); everybody != nil {
		return everybody
	}
	if g.opt.NoFaults {
		return nil
	}
	if fault := faultForNumber(to.ref()); fault != nil {
		return fault
	}
	if fault, _ := faultInText(content.text); fault != nil {
		return fault
	}
	if p == nil || p.faultSends == 0 {
		return nil
	}
	p.faultSends--
	return p.nextFault
}

// read takes a read receipt, with or without the typing indicator.
func (g *graph) read(w http.ResponseWriter, req sendRequest) *graphError {
	switch {
	case req.Status != "read":
		return errParam("Param status must be one of {read} - got \"" + req.Status + "\".")
	case req.MessageID == "":
		return errParam("The parameter message_id is required.")
	}
	g.record.count(func(c *Counts) { c.Reads++ })
	g.phones.businessReads(req.MessageID, len(req.Typing) > 0 && string(req.Typing) != "null")
	writeJSON(w, http.StatusOK, map[string]bool{"success": true})
	return nil
}

func (g *graph) refuse(w http.ResponseWriter, e *graphError) {
	g.record.count(func(c *Counts) { c.Refused++ })
	writeGraphError(w, e)
}

// checkToken checks the bearer token; the host that gives out files asks for no more.
func (g *graph) checkToken(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if g.opt.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(g.opt.Token)) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token."`)
	g.refuse(w, errToken)
	return false
}

func (g *graph) unknown(_ http.ResponseWriter, r *http.Request) *graphError {
	return errNode(strings.TrimPrefix(r.URL.Path, "/sandbox/graph/"))
}

// pause waits, or until the client or the server has had enough.
func (g *graph) pause(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-g.done:
	}
}

// dropConnection closes the connection without an answer, with a TCP reset if possible.
func dropConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the documented way to drop a response
	}
	if tcp, ok := conn.(interface{ SetLinger(int) error }); ok {
		_ = tcp.SetLinger(0) // close with RST
	}
	_ = conn.Close()
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body := marshalPlain(v)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(body)
}

// readJSON decodes a small body from the page.
func readJSON(w http.ResponseWriter, r *http.Request, v any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, 256<<10))
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}
