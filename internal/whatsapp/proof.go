package whatsapp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// errProof marks a refusal of a call's appsecret_proof, or of its absence.
var errProof = errors.New("appsecret_proof refused")

// Proof is what shows Graph that who has the token has the app's secret too
// (appsecret_proof): HMAC-SHA256 of the token, in hexadecimal.
func Proof(token, appSecret string) string {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// withProof makes a call with the proof by the secret that was taken last, by the
// others when Graph refuses that one, and without any when it refuses all.
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

// worksWithoutProof says that there are secrets, and Graph took a call with none of them.
func (c *Client) worksWithoutProof() bool {
	return len(c.secrets) > 0 && int(c.proof.Load()) == len(c.secrets)
}
