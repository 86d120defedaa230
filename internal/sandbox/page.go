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

// page is the web page: it shows the phones, and its buttons are what people do.
type page struct {
	parts
	phones *phones
	index  *template.Template
	assets map[string]asset
}

type asset struct {
	data []byte
	tag  string
}

// load reads what is embedded.
func (pg *page) load() (err error) {
	pg.index, err = template.ParseFS(embedded, "assets/index.html")
	if err != nil {
		return fmt.Errorf("parse page: %w", err)
	}
	pg.assets = map[string]asset{}
	files, err := fs.ReadDir(embedded, "assets")
	if err != nil {
		return fmt.Errorf("read assets: %w", err)
	}
	for _, f := range files {
		data, err := embedded.ReadFile("assets/" + f.Name())
		if err != nil {
			return fmt.Errorf("read assets: %w", err)
		}
		sum := sha256.Sum256(data)
		pg.assets[f.Name()] = asset{data: data, tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	}
	delete(pg.assets, "index.html")
	return nil
}

// sample is what a person may send without having a file.
func sample(name string) (Upload, error) {
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

func (pg *page) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sandbox", pg.servePage)
	mux.HandleFunc("GET /sandbox/{$}", pg.servePage)
	mux.HandleFunc("GET /sandbox/assets/{name}", pg.serveAsset)
	mux.HandleFunc("GET /sandbox/events", pg.serveEvents)
	mux.HandleFunc("GET /sandbox/phones", pg.listPhones)
	mux.HandleFunc("POST /sandbox/phones", pg.addPhone)
	mux.HandleFunc("GET /sandbox/phones/{id}", pg.withPhone(pg.showPhone))
	mux.HandleFunc("POST /sandbox/phones/{id}/messages", pg.personWrites)
	mux.HandleFunc("POST /sandbox/phones/{id}/files", pg.personSendsFile)
	mux.HandleFunc("POST /sandbox/phones/{id}/seen", pg.withPhone(pg.personReads))
	mux.HandleFunc("DELETE /sandbox/phones/{id}/messages", pg.withPhone(pg.clearPhone))
	mux.HandleFunc("GET /sandbox/files/{id}", pg.serveFile)
	mux.HandleFunc("GET /sandbox/webhooks", pg.listWebhooks)
	mux.HandleFunc("GET /sandbox/sent", pg.listSent)
	mux.HandleFunc("POST /sandbox/handshake", pg.tryHandshake)
	if to := pg.remoteAPI(); to != nil {
		mux.Handle("/sandbox/api/", pg.passToAPI(to))
	}
	// Pages of other origins may not press our buttons; programs with a bearer
	// token may come from anywhere.
	return http.NewCrossOriginProtection().Handler(mux)
}

func (pg *page) servePage(w http.ResponseWriter, _ *http.Request) {
	api, key := pg.apiForPage()
	config := map[string]any{
		"api": api, "key": key, "business": pg.opt.BusinessName, "number": pg.opt.DisplayNumber,
		"faults": faults,
	}
	if pg.opt.NoFaults {
		config["faults"] = []fault{}
	}
	var b bytes.Buffer
	if err := pg.index.Execute(&b, map[string]any{"Config": config, "Business": pg.opt.BusinessName}); err != nil {
		pg.opt.Log.Error("sandbox page", "error", err)
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

// apiForPage is where the page asks: an API elsewhere is asked through us, since
// a browser would not let the page.
func (pg *page) apiForPage() (base, key string) {
	if pg.remoteAPI() != nil {
		return "/sandbox/api", ""
	}
	return pg.opt.APIBase, pg.opt.APIKey
}

func (pg *page) remoteAPI() *url.URL {
	if u, err := url.Parse(pg.opt.APIBase); err == nil && u.Host != "" {
		return u
	}
	return nil
}

// passToAPI hands the page's questions to an API elsewhere, with our key.
func (pg *page) passToAPI(to *url.URL) http.Handler {
	return http.StripPrefix("/sandbox/api", &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Header.Set("Authorization", "Bearer "+pg.opt.APIKey)
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			pg.opt.Log.Debug("router's API not reached", "error", err)
			writeJSON(w, http.StatusBadGateway, map[string]string{"title": "El router no contesta."})
		},
	})
}

func (pg *page) serveAsset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	a, ok := pg.assets[name]
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

func (pg *page) listPhones(w http.ResponseWriter, _ *http.Request) {
	pg.phones.mu.Lock()
	all := make([]phoneView, 0, len(pg.phones.order))
	for _, p := range pg.phones.order {
		all = append(all, p.view())
	}
	pg.phones.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"items": all, "counts": pg.record.Counts()})
}

// addPhone takes a phone for any number or user id.
func (pg *page) addPhone(w http.ResponseWriter, r *http.Request) {
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
	pg.phones.mu.Lock()
	p := pg.phones.find(to)
	if p == nil {
		person := personFor(to)
		if name := strings.TrimSpace(in.Name); name != "" && len(name) <= 80 {
			person.Name = name
		}
		p = pg.phones.make(person, false, pg.opt.Now())
	}
	p.unattended = false
	v := p.view()
	pg.hub.broadcast("phone", map[string]any{"phone": v})
	pg.phones.mu.Unlock()
	writeJSON(w, http.StatusCreated, v)
}

// withPhone does something with the phone that a request names, under the lock.
func (pg *page) withPhone(do func(http.ResponseWriter, *phone)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		pg.phones.mu.Lock()
		defer pg.phones.mu.Unlock()
		if p := pg.phones.byID[r.PathValue("id")]; p != nil {
			do(w, p)
			return
		}
		writePageError(w, ErrUnknown)
	}
}

func (pg *page) showPhone(w http.ResponseWriter, p *phone) {
	writeJSON(w, http.StatusOK, map[string]any{"phone": p.view(), "messages": slices.Clip(append([]*Message{}, p.messages...))})
}

func (pg *page) personWrites(w http.ResponseWriter, r *http.Request) {
	var in Input
	if err := readJSON(w, r, &in); err != nil {
		writePageError(w, errType)
		return
	}
	pg.write(w, r, in)
}

func (pg *page) personSendsFile(w http.ResponseWriter, r *http.Request) {
	name, kind, data, err := readUpload(w, r)
	if err != nil {
		writePageError(w, errEmpty)
		return
	}
	pg.write(w, r, Input{
		Type: "media", Text: r.FormValue("caption"), Quoted: r.FormValue("quoted"),
		File: &Upload{Name: name, MIME: kind, Data: data, Voice: r.FormValue("voice") == "true"},
	})
}

func (pg *page) write(w http.ResponseWriter, r *http.Request, in Input) {
	in.root = pg.opt.root(r)
	m, err := pg.phones.Write(r.PathValue("id"), in)
	if err != nil {
		writePageError(w, err)
		return
	}
	writeJSON(w, http.StatusAccepted, m)
}

func (pg *page) personReads(w http.ResponseWriter, p *phone) {
	pg.phones.markRead(p)
	pg.hub.broadcast("phone", map[string]any{"phone": p.view()})
	w.WriteHeader(http.StatusNoContent)
}

func (pg *page) clearPhone(w http.ResponseWriter, p *phone) {
	p.messages, p.byID, p.unread, p.typing = nil, map[string]*Message{}, 0, time.Time{}
	pg.hub.broadcast("cleared", map[string]any{"phone": p.view()})
	w.WriteHeader(http.StatusNoContent)
}

func (pg *page) listWebhooks(w http.ResponseWriter, _ *http.Request) {
	pg.phones.mu.Lock()
	all := slices.Clone(pg.phones.webhooks)
	pg.phones.mu.Unlock()
	writeJSON(w, http.StatusOK, map[string]any{"items": append([]webhookView{}, all...)})
}

func (pg *page) tryHandshake(w http.ResponseWriter, r *http.Request) {
	answer := map[string]any{"ok": true}
	if err := pg.out.Handshake(r.Context()); err != nil {
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
