package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// errProof marks a refusal because of a wrong or missing appsecret_proof.
var errProof = errors.New("appsecret_proof refused")

// Proof returns the appsecret_proof of a token, which shows Graph that its bearer also has
// the app's secret: HMAC-SHA256 of the token, in hex.
func Proof(token, appSecret string) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// withProof makes a call with the proof that worked last, then with the others, and
// last without proof, while Graph refuses the proof.
func (c *Client) withProof(token string, call func(proof string) (httpcall.Answer, *outbound.Failure)) (httpcall.Answer, *outbound.Failure) {
	ways := int32(len(c.secrets)) + 1
	first := c.proof.Load()
	for tried := int32(1); ; tried++ {
		at, proof := (first+tried-1)%ways, ""
		if at < ways-1 {
			proof = Proof(token, c.secrets[at])
		}
		answer, refused := call(proof)
		if refused == nil && at != first {
			c.proof.Store(at)
		}
		if refused == nil || tried == ways || !errors.Is(refused, errProof) {
			return answer, refused
		}
	}
}

// worksWithoutProof reports whether Graph refused every secret and accepted a call without
// proof.
func (c *Client) worksWithoutProof() bool {
	return len(c.secrets) > 0 && int(c.proof.Load()) == len(c.secrets)
}
