// Package whatsapp speaks the WhatsApp Cloud API: it checks signatures, answers the
// handshake, decodes webhooks into inbound.Arrivals, and has a client that sends, marks as
// read and fetches media. It must never decide what a message means for a conversation,
// nor refuse a webhook because of an unknown field or type.
package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"hash"
	"net/url"
	"strings"
	"sync"
)

// Provider is the Provider of Arrivals of this package.
const Provider = "cloud"

// SignatureHeader carries the signature of a webhook.
const SignatureHeader = "X-Hub-Signature-256"

const signaturePrefix = "sha256="

// Signature checks and makes the signatures of one app secret. It is safe for
// concurrent use.
type Signature struct {
	pool sync.Pool // of hash.Hash, keyed
}

// NewSignature returns the Signature of an app secret.
func NewSignature(secret string) *Signature {
	s := &Signature{}
	s.pool.New = func() any { return hmac.New(sha256.New, []byte(secret)) }
	return s
}

// Verify reports whether header is the signature of exactly these bytes, which may come in
// pieces. Meta signs the bytes on the wire, so the body must not be re-encoded.
func (s *Signature) Verify(header string, body ...[]byte) bool {
	given, ok := digest(header)
	if !ok {
		return false
	}
	var sum [sha256.Size]byte
	return hmac.Equal(given[:], s.sum(sum[:0], body...))
}

// WellFormed reports whether a header has the form of a signature. It can be checked
// before the body is read.
func WellFormed(header string) bool {
	_, ok := digest(header)
	return ok
}

func digest(header string) (sum [sha256.Size]byte, ok bool) {
	digits, ok := strings.CutPrefix(header, signaturePrefix)
	if !ok || len(digits) != 2*sha256.Size {
		return sum, false
	}
	_, err := hex.Decode(sum[:], []byte(digits))
	return sum, err == nil
}

// Sign returns the header value for a body.
func (s *Signature) Sign(body []byte) string {
	return signaturePrefix + hex.EncodeToString(s.sum(nil, body))
}

func (s *Signature) sum(dst []byte, body ...[]byte) []byte {
	mac := s.pool.Get().(hash.Hash)
	defer s.pool.Put(mac)
	mac.Reset()
	for _, piece := range body {
		mac.Write(piece)
	}
	return mac.Sum(dst)
}

// Sign returns the signature header of one body under one secret.
func Sign(secret string, body []byte) string { return NewSignature(secret).Sign(body) }

// Challenge answers Meta's handshake: it returns the text to send back, and whether the
// verify token is one of ours. An empty token never matches.
func Challenge(query url.Values, tokens []string) (challenge string, ok bool) {
	given := []byte(query.Get("hub.verify_token"))
	for _, token := range tokens {
		if token != "" && subtle.ConstantTimeCompare(given, []byte(token)) == 1 {
			ok = true
		}
	}
	if !ok || query.Get("hub.mode") != "subscribe" {
		return "", false
	}
	return query.Get("hub.challenge"), true
}
