package sandbox

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
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

	Text        json.RawMessage `json:"text"`
	Image       json.RawMessage `json:"image"`
	Audio       json.RawMessage `json:"audio"`
	Video       json.RawMessage `json:"video"`
	Document    json.RawMessage `json:"document"`
	Sticker     json.RawMessage `json:"sticker"`
	Location    json.RawMessage `json:"location"`
	Contacts    json.RawMessage `json:"contacts"`
	Interactive json.RawMessage `json:"interactive"`
	Template    json.RawMessage `json:"template"`
	Reaction    json.RawMessage `json:"reaction"`
}

// recipient is the person that a send names; to wins over recipient.
type recipient struct{ phone, userID string }

func (r recipient) ref() string {
	if r.phone != "" {
		return r.phone
	}
	return r.userID
}

const maxSend = 1 << 20

// graphMessages accepts messages of the business.
func (s *Server) graphMessages(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) || !s.checkNode(w, r) {
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxSend))
	if err != nil {
		s.refuse(w, errParam("The request body is too large or was cut off."))
		return
	}
	var req sendRequest
	if err := json.Unmarshal(body, &req); err != nil {
		s.refuse(w, errParam("The request body is not valid JSON."))
		return
	}
	if req.Product != "whatsapp" {
		s.refuse(w, errParam("The parameter messaging_product is required."))
		return
	}
	if !s.limits.allowNumber(s.opt.Now()) {
		s.refuse(w, errRate)
		return
	}
	if req.Type == "" {
		req.Type = "text"
	}
	if req.Status != "" {
		s.graphRead(w, req)
		return
	}
	to, problem := s.recipientOf(req)
	if problem != nil {
		s.refuse(w, problem)
		return
	}
	content, problem := s.validate(&req)
	if problem != nil {
		s.refuse(w, problem)
		return
	}
	s.accept(w, r, req, to, content)
}

func (s *Server) recipientOf(req sendRequest) (recipient, *graphError) {
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
	case to.phone == s.opt.DisplayNumber:
		return to, errSelf
	}
	return to, nil
}

// accept handles a valid message: fault, limits, then the phone.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, req sendRequest, to recipient, content content) {
	now := s.opt.Now()
	s.mu.Lock()
	p := s.phones.find(to)
	fault := s.faultFor(p, to, content)
	closed := p != nil && s.limits.limits.Window > 0 && req.Type != "template" &&
		!p.lastWrote.IsZero() && now.Sub(p.lastWrote) > s.limits.limits.Window
	s.mu.Unlock()

	switch {
	case fault != nil && fault.err != nil:
		s.refuse(w, fault.err)
		return
	case fault != nil && fault.html:
		s.record.count(func(c *Counts) { c.Refused++ })
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "<!DOCTYPE html><title>Error</title><h1>Sorry, something went wrong.</h1>")
		return
	case fault != nil && fault.hang:
		s.record.count(func(c *Counts) { c.Refused++ })
		s.pause(r, s.opt.Hang)
		dropConnection(w)
		return
	case closed:
		s.refuse(w, errWindow)
		return
	case !s.limits.allowPair(to.ref(), now):
		s.refuse(w, errPair)
		return
	}
	if fault != nil && fault.slow {
		s.pause(r, s.opt.Slow)
		now = s.opt.Now()
	}

	id := wamid(to.ref(), false)
	sent := Sent{ID: id, To: to.ref(), Ref: req.Opaque, Type: req.Type, Text: content.text, At: now}
	number := s.record.add(sent)
	if s.opt.Accepted != nil {
		s.opt.Accepted(sent)
	}
	person := s.deliverToPhone(to, id, req, content, now)
	s.scheduleStatuses(id, req, person, number, fault)
	if fault != nil && fault.reset {
		s.record.count(func(c *Counts) { c.Cut++ })
		// The statuses leave first: they may arrive before the caller knows the id.
		s.pause(r, s.delay(statusSent))
		dropConnection(w)
		return
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

// faultFor returns the fault of this send: of all sends, of the number, of its own text, or
// one that the person asked for.
func (s *Server) faultFor(p *phone, to recipient, content content) *fault {
	if everybody := s.outage.Load().next(); everybody != nil {
		return everybody
	}
	if s.opt.NoFaults {
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

// deliverToPhone puts the message on the phone, unless NoPhones is set.
func (s *Server) deliverToPhone(to recipient, id string, req sendRequest, content content, now time.Time) Person {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.find(to)
	if p == nil {
		if s.opt.NoPhones {
			return personFor(to)
		}
		p = s.phones.make(personFor(to), true, now)
	}
	if !p.used.IsZero() {
		p.used = now
	}
	p.typing = time.Time{}
	if req.Type == "reaction" {
		s.applyReaction(p, fromBusiness, content.target, content.emoji)
		return p.Person
	}
	m := &Message{ID: id, From: fromBusiness, Type: req.Type, Body: content.body, At: now.UnixMilli(), ref: req.Opaque}
	if req.Context != nil {
		m.Quoted = req.Context.MessageID
	}
	p.add(m)
	p.unread++
	s.broadcast("message", map[string]any{"phone": p.view(), "message": m})
	return p.Person
}

// graphRead accepts a read receipt, with or without the typing indicator.
func (s *Server) graphRead(w http.ResponseWriter, req sendRequest) {
	switch {
	case req.Status != "read":
		s.refuse(w, errParam("Param status must be one of {read} - got \""+req.Status+"\"."))
		return
	case req.MessageID == "":
		s.refuse(w, errParam("The parameter message_id is required."))
		return
	}
	s.record.count(func(c *Counts) { c.Reads++ })
	now := s.opt.Now()
	s.mu.Lock()
	for _, p := range s.phones.order {
		if p.byID[req.MessageID] == nil {
			continue
		}
		var ids []string
		for _, m := range p.messages { // and everything before it
			if m.From == fromPerson && m.Tick != tickRead {
				m.Tick = tickRead
				ids = append(ids, m.ID)
			}
			if m.ID == req.MessageID {
				break
			}
		}
		if len(req.Typing) > 0 && string(req.Typing) != "null" {
			p.typing = now.Add(25 * time.Second)
		}
		s.broadcast("tick", map[string]any{"phone": p.view(), "ids": ids, "tick": tickRead})
		break
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]bool{"success": true})
}

func (s *Server) refuse(w http.ResponseWriter, e *graphError) {
	s.record.count(func(c *Counts) { c.Refused++ })
	writeGraphError(w, e)
}

// checkToken checks the bearer token.
func (s *Server) checkToken(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if subtle.ConstantTimeCompare([]byte(token), []byte(s.opt.Token)) == 1 {
		return true
	}
	w.Header().Set("WWW-Authenticate", `OAuth "Facebook Platform" "invalid_token" "Invalid OAuth access token."`)
	s.refuse(w, errToken)
	return false
}

// checkTokenAndProof checks the token and, if there is one or it is required, the proof
// that the caller has the app's secret. Downloads of media need no proof.
func (s *Server) checkTokenAndProof(w http.ResponseWriter, r *http.Request) bool {
	if !s.checkToken(w, r) {
		return false
	}
	proof := r.URL.Query().Get("appsecret_proof")
	switch {
	case proof == "" && s.opt.RequireProof:
		s.refuse(w, errNoProof)
		return false
	case proof != "" && !hmac.Equal([]byte(proof), []byte(whatsapp.Proof(s.opt.Token, s.opt.AppSecret))):
		s.refuse(w, errProof)
		return false
	}
	return true
}

func (s *Server) checkNode(w http.ResponseWriter, r *http.Request) bool {
	if node := r.PathValue("node"); node != s.opt.PhoneNumberID {
		s.refuse(w, errNode(node))
		return false
	}
	return true
}

func (s *Server) graphUnknown(w http.ResponseWriter, r *http.Request) {
	if s.checkTokenAndProof(w, r) {
		s.refuse(w, errNode(strings.TrimPrefix(r.URL.Path, "/sandbox/graph/")))
	}
}

// pause waits for d, or until the client leaves or the server stops.
func (s *Server) pause(r *http.Request, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	case <-s.done:
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
