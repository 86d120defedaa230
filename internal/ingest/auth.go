package ingest

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"slices"
	"strings"
)

const (
	signatureHeader = "X-Hub-Signature-256"
	secretHeader    = "X-Webhook-Secret"
)

// authenticator knows which lines a secret authorises.
type authenticator struct {
	apps    []metaApp
	shared  []sharedSecret
	open    []int // lines without any secret, if that is allowed
	tokens  []string
	perLine map[string][]string // verify tokens
}

// metaApp is a Meta app: its signature, and the lines (by index) that it may deliver to.
type metaApp struct {
	signature Signature
	lines     []int
}

// sharedSecret is a secret of forwarders. Only its digest is kept and compared, so that the
// time of a comparison reveals neither content nor length.
type sharedSecret struct {
	digest [sha256.Size]byte
	lines  []int
}

func newAuthenticator(o Options) *authenticator {
	a := &authenticator{perLine: make(map[string][]string)}
	apps, secrets := make(map[string]int), make(map[string]int)
	for i, line := range o.Lines {
		for _, secret := range line.AppSecrets {
			if secret == "" {
				continue
			}
			at, seen := apps[secret]
			if !seen {
				at = len(a.apps)
				apps[secret] = at
				a.apps = append(a.apps, metaApp{signature: o.Meta.NewSignature(secret)})
			}
			a.apps[at].lines = appendOnce(a.apps[at].lines, i)
		}
		for _, secret := range line.Secrets {
			if secret == "" {
				continue
			}
			at, seen := secrets[secret]
			if !seen {
				at = len(a.shared)
				secrets[secret] = at
				a.shared = append(a.shared, sharedSecret{digest: sha256.Sum256([]byte(secret))})
			}
			a.shared[at].lines = appendOnce(a.shared[at].lines, i)
		}
		if o.Insecure && len(line.AppSecrets) == 0 && len(line.Secrets) == 0 {
			a.open = append(a.open, i)
		}
		a.tokens = append(a.tokens, line.VerifyTokens...)
		a.perLine[line.ID] = line.VerifyTokens
	}
	return a
}

func appendOnce(list []int, i int) []int {
	if slices.Contains(list, i) {
		return list
	}
	return append(list, i)
}

// bySecret returns the lines that the request's shared secret authorises, and whether it had
// one. Without one it returns the open lines.
func (a *authenticator) bySecret(r *http.Request) (lines []int, proven bool) {
	var found []int
	for _, given := range [...]string{r.Header.Get(secretHeader), bearer(r)} {
		if given == "" {
			continue
		}
		digest := sha256.Sum256([]byte(given))
		for i := range a.shared {
			if subtle.ConstantTimeCompare(digest[:], a.shared[i].digest[:]) == 1 {
				found = a.shared[i].lines
			}
		}
	}
	if found == nil {
		return a.open, false
	}
	return found, true
}

// bySignature returns the lines of the app that signed the body. Different app secrets cannot
// both match.
func (a *authenticator) bySignature(header string, body ...[]byte) []int {
	for i := range a.apps {
		if a.apps[i].signature.Verify(header, body...) {
			return a.apps[i].lines
		}
	}
	return nil
}

func bearer(r *http.Request) string {
	const scheme = "bearer "
	h := r.Header.Get("Authorization")
	if len(h) > len(scheme) && strings.EqualFold(h[:len(scheme)], scheme) {
		return h[len(scheme):]
	}
	return ""
}
