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
	ttl time.Duration
	key []byte

	mu    sync.Mutex
	files map[string]*file
	order []string
	size  int
}

func newMediaStore(ttl time.Duration, key []byte) *mediaStore {
	return &mediaStore{ttl: ttl, key: key, files: map[string]*file{}}
}

func (s *mediaStore) put(name, kind string, data []byte, until time.Time) *file {
	number, err := rand.Int(rand.Reader, big.NewInt(9e14))
	if err != nil {
		number = big.NewInt(until.UnixNano() % 9e14)
	}
	f := &file{id: "1" + fmt.Sprintf("%015d", number), name: name, mime: kind, data: data, sha: sha256.Sum256(data), until: until}
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
	until := strconv.FormatInt(now.Add(s.ttl).UnixMilli(), 10)
	query := url.Values{"mid": {id}, "ext": {until}, "hash": {s.proof(id, until)}}
	return root + "/sandbox/lookaside/?" + query.Encode()
}

// root returns the address under which the caller reaches this server.
func (s *Server) root(r *http.Request) string {
	if base := s.opt.BaseURL(); base != "" {
		return strings.TrimSuffix(base, "/")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host
}

// lookaside serves a file's bytes, as Meta's host of that name does.
func (s *Server) lookaside(w http.ResponseWriter, r *http.Request) {
	if !s.checkToken(w, r) {
		return
	}
	id, until := r.FormValue("mid"), r.FormValue("ext")
	ms, err := strconv.ParseInt(until, 10, 64)
	f := s.media.get(id, s.opt.Now())
	if err != nil || f == nil || s.opt.Now().UnixMilli() > ms ||
		!hmac.Equal([]byte(r.FormValue("hash")), []byte(s.media.proof(id, until))) {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", f.mime)
	w.Header().Set("Content-Length", strconv.Itoa(len(f.data)))
	_, _ = w.Write(f.data)
}

// graphUpload stores a file of the business.
func (s *Server) graphUpload(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) || !s.checkNode(w, r) {
		return
	}
	name, kind, data, err := readUpload(w, r)
	switch {
	case err != nil:
		s.refuse(w, errParam("The parameter file is required."))
		return
	case r.FormValue("messaging_product") != "whatsapp":
		s.refuse(w, errParam("The parameter messaging_product is required."))
		return
	}
	if t := r.FormValue("type"); t != "" {
		kind = t
	}
	limit := limitOf(kind)
	switch {
	case limit == 0:
		s.refuse(w, errParam("Param file must be a file with one of the following types: "+strings.Join(mimes(), ", ")+". Received file of type '"+kind+"'."))
		return
	case len(data) > limit:
		s.refuse(w, &graphError{HTTP: http.StatusBadRequest, Code: 131053, Title: "(#131053) Media upload error", Details: "File size exceeds the limit of its type."})
		return
	}
	f := s.media.put(name, kind, data, s.opt.Now().Add(keepUpload))
	writeJSON(w, http.StatusOK, map[string]string{"id": f.id})
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

// graphNode describes a media id, or the phone number itself.
func (s *Server) graphNode(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) {
		return
	}
	node := r.PathValue("node")
	if node == s.opt.PhoneNumberID {
		writeJSON(w, http.StatusOK, map[string]any{
			"verified_name": s.opt.BusinessName, "display_phone_number": s.opt.DisplayNumber, "id": node,
			"quality_rating": "GREEN", "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API",
			"throughput": map[string]string{"level": "STANDARD"},
		})
		return
	}
	if number := r.FormValue("phone_number_id"); number != "" && number != s.opt.PhoneNumberID {
		s.refuse(w, errNode(node))
		return
	}
	f := s.media.get(node, s.opt.Now())
	if f == nil {
		s.refuse(w, errNode(node))
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{
		"messaging_product": "whatsapp", "url": s.media.link(s.root(r), f.id, s.opt.Now()), "mime_type": f.mime,
		"sha256": hex.EncodeToString(f.sha[:]), "file_size": strconv.Itoa(len(f.data)), "id": f.id,
	})
}

func (s *Server) graphDelete(w http.ResponseWriter, r *http.Request) {
	if !s.checkTokenAndProof(w, r) {
		return
	}
	if !s.media.remove(r.PathValue("node")) {
		s.refuse(w, errNode(r.PathValue("node")))
		return
	}
	writeJSON(w, http.StatusOK, map[string]bool{"success": true})
}

// serveFile serves a file to the page, which has no token. Only pictures, sounds and videos
// are shown; other files are offered for download.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	f := s.media.get(r.PathValue("id"), s.opt.Now())
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

// inboundMedia returns the media object of a webhook, where the hash is in base64.
func (s *Server) inboundMedia(f *file, root string) map[string]any {
	m := map[string]any{"id": f.id, "mime_type": f.mime, "sha256": base64.StdEncoding.EncodeToString(f.sha[:])}
	if root != "" {
		m["url"] = s.media.link(root, f.id, s.opt.Now())
	}
	return m
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

func ruleOf(kind string) *mediaRule {
	base, _, _ := strings.Cut(kind, ";")
	for i := range mediaRules {
		if mediaRules[i].mime == strings.TrimSpace(strings.ToLower(base)) {
			return &mediaRules[i]
		}
	}
	return nil
}

func limitOf(kind string) int {
	if rule := ruleOf(kind); rule != nil {
		return rule.limit
	}
	return 0
}

// kindOf returns the message type of a MIME type; unknown types are documents.
func kindOf(kind string) string {
	if rule := ruleOf(kind); rule != nil {
		return rule.kind
	}
	return "document"
}

func mimes() []string {
	all := make([]string, len(mediaRules))
	for i, rule := range mediaRules {
		all[i] = rule.mime
	}
	return all
}
