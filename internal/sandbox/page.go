package sandbox

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"
)

//go:embed assets samples
var embedded embed.FS

// page is the embedded web page with its sample files.
type page struct {
	index  *template.Template
	assets map[string]asset
}

type asset struct {
	data []byte
	tag  string
}

func newPage() (*page, error) {
	index, err := template.ParseFS(embedded, "assets/index.html")
	if err != nil {
		return nil, fmt.Errorf("parse page: %w", err)
	}
	p := &page{index: index, assets: map[string]asset{}}
	files, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		return nil, fmt.Errorf("read assets: %w", err)
	}
	for _, f := range files {
		data, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			return nil, fmt.Errorf("read assets: %w", err)
		}
		sum := sha256.Sum256(data)
		p.assets[f.Name()] = asset{data: data, tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	delete(p.assets, "index.html")
	return p, nil
}

// sample returns a sample file, for a person without a file of their own.
func (p *page) sample(name string) (Upload, error) {
	known := map[string]Upload{
		"image":    {Name: "comprobante.jpg", MIME: "image/jpeg"},
		"audio":    {Name: "nota.ogg", MIME: "audio/ogg; codecs=opus", Voice: true},
		"document": {Name: "constancia.pdf", MIME: "application/pdf"},
		"sticker":  {Name: "gracias.webp", MIME: "image/webp"},
	}
	up, ok := known[name]
	if !ok {
		return up, errType
	}
	data, err := embedded.ReadFile("samples/" + up.Name)
	if err != nil {
		return up, fmt.Errorf("read sample: %w", err)
	}
	up.Data = data
	return up, nil
}

func (s *Server) servePage(w http.ResponseWriter, _ *http.Request) {
	api, key := s.apiForPage()
	config := map[string]any{
		"api": api, "key": key, "business": s.opt.BusinessName, "number": s.opt.DisplayNumber,
		"faults": faults,
	}
	if s.opt.NoFaults {
		config["faults"] = []fault{}
	}
	var b bytes.Buffer
	if err := s.page.index.Execute(&b, map[string]any{"Config": config, "Business": s.opt.BusinessName}); err != nil {
		s.log.Error("sandbox page", "err", err)
		http.Error(w, "página rota", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "+
		"img-src 'self' data: blob: https: http:; media-src 'self' https: http:; connect-src 'self'; "+
		"base-uri 'none'; form-action 'none'; frame-ancestors 'self'")
	_, _ = w.Write(b.Bytes())
}

// apiForPage returns the address of the API for the page. A remote API is reached through
// this server, because browsers forbid the page to call it.
func (s *Server) apiForPage() (base, key string) {
	if s.remoteAPI() != nil {
		return "/sandbox/api", ""
	}
	return s.opt.APIBase, s.opt.APIKey
}

func (s *Server) remoteAPI() *url.URL {
	if u, err := url.Parse(s.opt.APIBase); err == nil && u.Host != "" {
		return u
	}
	return nil
}

// passToAPI forwards the page's requests to a remote API, with our key.
func (s *Server) passToAPI(to *url.URL) http.Handler {
	return http.StripPrefix("/sandbox/api", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", "Bearer "+s.opt.APIKey)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			s.log.Debug("router's API not reached", "err", err)
			writeJSON(w, http.StatusBadGateway, map[string]string{"title": "El router no contesta."})
		},
	})
}

func (s *Server) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := s.page.assets[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Etag", a.tag)
	h.Set("Cache-Control", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(a.data))
}

func (s *Server) listPhones(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	all := make([]phoneView, 0, len(s.phones.order))
	for _, p := range s.phones.order {
		all = append(all, p.view())
	}
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"items": all, "counts": s.Counts()})
}

// addPhone adds a phone for any number or user id.
func (s *Server) addPhone(w http.ResponseWriter, r *http.Request) {
	var in Person
	if err := readJSON(w, r, &in); err != nil {
		writePageError(w, errType)
		return
	}
	to := recipient{phone: digitsOnly(in.Phone), userID: strings.TrimSpace(in.UserID)}
	if n := len(to.phone); (n == 0 && to.userID == "") || (n > 0 && (n < 8 || n > 15)) || len(to.userID) > 140 {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "Escribí el número con código de país: entre 8 y 15 cifras."})
		return
	}
	s.mu.Lock()
	p := s.phones.find(to)
	if p == nil {
		person := personFor(to)
		if name := strings.TrimSpace(in.Name); name != "" && len(name) <= 80 {
			person.Name = name
		}
		p = s.phones.make(person, false, s.opt.Now())
	}
	p.unattended = false
	v := p.view()
	s.broadcast("phone", map[string]any{"phone": v})
	s.mu.Unlock()
	writeJSON(w, http.StatusCreated, v)
}

func (s *Server) showPhone(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.byID[r.PathValue("id")]
	if p == nil {
		writePageError(w, ErrUnknown)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"phone": p.view(), "messages": slices.Clip(append([]*Message{}, p.messages...))})
}

func (s *Server) personWrites(w http.ResponseWriter, r *http.Request) {
	var in Input
	if err := readJSON(w, r, &in); err != nil {
		writePageError(w, errType)
		return
	}
	in.root = s.root(r)
	m, err := s.Write(r.PathValue("id"), in)
	if err != nil {
		writePageError(w, err)
		return
	}
	writeJSON(w, http.StatusAccepted, m)
}

func (s *Server) personSendsFile(w http.ResponseWriter, r *http.Request) {
	name, kind, data, err := readUpload(w, r)
	if err != nil {
		writePageError(w, errEmpty)
		return
	}
	m, err := s.Write(r.PathValue("id"), Input{
		Type: "media", Text: r.FormValue("caption"), Quoted: r.FormValue("quoted"), root: s.root(r),
		File: &Upload{Name: name, MIME: kind, Data: data, Voice: r.FormValue("voice") == "true"},
	})
	if err != nil {
		writePageError(w, err)
		return
	}
	writeJSON(w, http.StatusAccepted, m)
}

func (s *Server) personReads(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.byID[r.PathValue("id")]
	if p == nil {
		writePageError(w, ErrUnknown)
		return
	}
	s.markRead(p)
	s.broadcast("phone", map[string]any{"phone": p.view()})
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) clearPhone(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.phones.byID[r.PathValue("id")]
	if p == nil {
		writePageError(w, ErrUnknown)
		return
	}
	p.messages, p.byID, p.unread, p.typing = nil, map[string]*Message{}, 0, time.Time{}
	s.broadcast("cleared", map[string]any{"phone": p.view()})
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) listWebhooks(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	all := slices.Clone(s.webhooks)
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"items": append([]webhookView{}, all...)})
}

func (s *Server) tryHandshake(w http.ResponseWriter, r *http.Request) {
	answer := map[string]any{"ok": true}
	if err := s.Handshake(r.Context()); err != nil {
		answer = map[string]any{"ok": false, "error": err.Error()}
	}
	writeJSON(w, http.StatusOK, answer)
}

// writePageError answers a request of the page that failed.
func writePageError(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	text := err.Error()
	switch {
	case errors.Is(err, ErrUnknown):
		code, text = http.StatusNotFound, "Eso ya no está en el teléfono."
	case errors.Is(err, errTooManyPending):
		code, text = http.StatusServiceUnavailable, "Hay demasiados mensajes esperando al webhook."
	}
	writeJSON(w, code, map[string]string{"error": text})
}
