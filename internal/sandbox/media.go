package sandbox

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"math/big"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxMediaBytes = 64 << 20 // bytes of all stored files; the oldest are dropped
	maxUpload     = 16 << 20
	inMemory      = 1 << 20 // bytes of an upload in progress; the rest is in a temporary file
	keepUpload    = 30 * 24 * time.Hour
	keepFromWA    = 7 * 24 * time.Hour
	linkTTL       = 5 * time.Minute // how long a media URL works, as Meta's
)

// file is one media object.
type file struct {
	id, mime, name string
	data           []byte
	sha            [sha256.Size]byte
	until          time.Time
}

// mediaStore stores media. A URL carries its expiry and a proof of it, as Meta's do.
type mediaStore struct {
	key []byte // of the proofs

	mu    sync.Mutex
	files map[string]*file
	order []string
	size  int
}

func newMediaStore(key []byte) *mediaStore { return &mediaStore{key: key, files: map[string]*file{}} }

func (s *mediaStore) put(name, kind string, data []byte, until time.Time) *file {
	number, _ := rand.Int(rand.Reader, big.NewInt(9e14)) // never fails, see crypto/rand
	f := &file{id: fmt.Sprintf("1%015d", number), name: name, mime: kind, data: data, sha: sha256.Sum256(data), until: until}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[f.id] = f
	s.order = append(s.order, f.id)
	s.size += len(data)
	for s.size > maxMediaBytes && len(s.order) > 1 {
		s.drop(s.order[0])
	}
	return f
}

func (s *mediaStore) get(id string, now time.Time) *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.files[id]
	if f != nil && now.After(f.until) {
		s.drop(id)
		return nil
	}
	return f
}

func (s *mediaStore) remove(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, here := s.files[id]
	s.drop(id)
	return here
}

// drop removes a file. The caller holds the lock.
func (s *mediaStore) drop(id string) {
	f := s.files[id]
	if f == nil {
		return
	}
	s.size -= len(f.data)
	delete(s.files, id)
	s.order = slices.DeleteFunc(s.order, func(other string) bool { return other == id })
}

func (s *mediaStore) proof(id, until string) string {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte("lookaside:" + id + ":" + until))
	return hex.EncodeToString(mac.Sum(nil)[:16])
}

// link returns a URL that works until it expires.
func (s *mediaStore) link(root, id string, now time.Time) string {
	until := strconv.FormatInt(now.Add(linkTTL).UnixMilli(), 10)
	query := url.Values{"mid": {id}, "ext": {until}, "hash": {s.proof(id, until)}}
	return root + "/sandbox/lookaside/?" + query.Encode()
}

// inbound is the media object of a webhook: its hash is base64 there.
func (s *mediaStore) inbound(f *file, root string, now time.Time) map[string]any {
	m := map[string]any{"id": f.id, "mime_type": f.mime, "sha256": base64.StdEncoding.EncodeToString(f.sha[:])}
	if root != "" {
		m["url"] = s.link(root, f.id, now)
	}
	return m
}

// root is the address under which the asker reaches us.
func (o Options) root(r *http.Request) string {
	if base := o.BaseURL(); base != "" {
		return strings.TrimSuffix(base, "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// lookaside gives the bytes, as Meta's host of that name does.
func (g *graph) lookaside(w http.ResponseWriter, r *http.Request) {
	if !g.checkToken(w, r) {
		return
	}
	id, until := r.FormValue("mid"), r.FormValue("ext")
	ms, err := strconv.ParseInt(until, 10, 64)
	f := g.media.get(id, g.opt.Now())
	if err != nil || f == nil || g.opt.Now().UnixMilli() > ms ||
		!hmac.Equal([]byte(r.FormValue("hash")), []byte(g.media.proof(id, until))) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.data)))
	_, _ = w.Write(f.data)
}

// upload takes a file of the business.
func (g *graph) upload(w http.ResponseWriter, r *http.Request) *graphError {
	name, kind, data, err := readUpload(w, r)
	switch {
	case err != nil:
		return errParam("The parameter file is required.")
	case r.FormValue("messaging_product") != "whatsapp":
		return errParam("The parameter messaging_product is required.")
	}
	if t := r.FormValue("type"); t != "" {
		kind = t
	}
	limit := ruleOf(kind).limit
	switch {
	case limit == 0:
		return errParam("Param file must be a file with one of the following types: " + strings.Join(mimes(), ", ") + ". Received file of type '" + kind + "'.")
	case len(data) > limit:
		return &graphError{HTTP: http.StatusBadRequest, Code: 131053, Title: "(#131053) Media upload error", Details: "File size exceeds the limit of its type."}
	}
	f := g.media.put(name, kind, data, g.opt.Now().Add(keepUpload))
	writeJSON(w, http.StatusOK, map[string]string{"id": f.id})
	return nil
}

func readUpload(w http.ResponseWriter, r *http.Request) (name, kind string, data []byte, err error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload+1<<20)
	if err := r.ParseMultipartForm(inMemory); err != nil {
		return "", "", nil, fmt.Errorf("read upload: %w", err)
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	part, header, err := r.FormFile("file")
	if err != nil {
		return "", "", nil, fmt.Errorf("read upload: %w", err)
	}
	defer part.Close()
	data = make([]byte, header.Size)
	if _, err := io.ReadFull(part, data); err != nil {
		return "", "", nil, fmt.Errorf("read upload: %w", err)
	}
	kind = header.Header.Get("Content-Type")
	if kind == "" || kind == "application/octet-stream" {
		kind = http.DetectContentType(data)
	}
	return header.Filename, kind, data, nil
}

// node answers for a media id, or for the phone number itself.
func (g *graph) node(w http.ResponseWriter, r *http.Request) *graphError {
	node := r.PathValue("node")
	if node == g.opt.PhoneNumberID {
		writeJSON(w, http.StatusOK, map[string]any{
			"verified_name": g.opt.BusinessName, "display_phone_number": g.opt.DisplayNumber, "id": node,
			"quality_rating": "GREEN", "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
			"throughput": map[string]string{"level": "STANDARD"},
		})
		return nil
	}
	if number := r.FormValue("phone_number_id"); number != "" && number != g.opt.PhoneNumberID {
		return errNode(node)
	}
	f := g.media.get(node, g.opt.Now())
	if f == nil {
		return errNode(node)
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"messaging_product": "whatsapp", "url": g.media.link(g.opt.root(r), f.id, g.opt.Now()), "mime_type": f.mime,
		"sha256": hex.EncodeToString(f.sha[:]), "file_size": strconv.Itoa(len(f.data)), "id": f.id,
	})
	return nil
}

func (g *graph) delete(w http.ResponseWriter, r *http.Request) *graphError {
	if !g.media.remove(r.PathValue("node")) {
		return errNode(r.PathValue("node"))
	}
	writeJSON(w, http.StatusOK, map[string]bool{"success": true})
	return nil
}

// serveFile shows a file on the page, which has no token. What is not a picture
// or a sound is only offered for download.
func (pg *page) serveFile(w http.ResponseWriter, r *http.Request) {
	f := pg.media.get(r.PathValue("id"), pg.opt.Now())
	if f == nil {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "private, max-age=3600")
	kind, _, _ := strings.Cut(f.mime, "/")
	if (kind != "image" && kind != "audio" && kind != "video") || strings.Contains(f.mime, "svg") {
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": f.name}))
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.data))
}

type mediaRule struct {
	mime, kind string
	limit      int
}

// mediaRules are the files that the business may send.
var mediaRules = []mediaRule{
	{"audio/aac", "audio", 16 << 20},
	{"audio/amr", "audio", 16 << 20},
	{"audio/mpeg", "audio", 16 << 20},
	{"audio/mp4", "audio", 16 << 20},
	{"audio/ogg", "audio", 16 << 20},
	{"image/jpeg", "image", 5 << 20},
	{"image/png", "image", 5 << 20},
	{"image/webp", "sticker", 500 << 10},
	{"video/mp4", "video", 16 << 20},
	{"video/3gpp", "video", 16 << 20},
	{"text/plain", "document", maxUpload},
	{"application/pdf", "document", maxUpload},
	{"application/msword", "document", maxUpload},
	{"application/vnd.ms-excel", "document", maxUpload},
	{"application/vnd.ms-powerpoint", "document", maxUpload},
	{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "document", maxUpload},
	{"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "document", maxUpload},
	{"application/vnd.openxmlformats-officedocument.presentationml.presentation", "document", maxUpload},
}

// ruleOf returns the rule of a MIME type; unknown types are documents that may not be sent.
func ruleOf(kind string) mediaRule {
	base, _, _ := strings.Cut(kind, ";")
	for _, rule := range mediaRules {
		if rule.mime == strings.TrimSpace(strings.ToLower(base)) {
			return rule
		}
	}
	return mediaRule{kind: "document"}
}

func mimes() []string {
	all := make([]string, len(mediaRules))
	for i, rule := range mediaRules {
		all[i] = rule.mime
	}
	return all
}
