package whatsapp_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

type vector struct {
	Secret    string `json:"app_secret"`
	Signature string `json:"x_hub_signature_256"`
	Bytes     int    `json:"bytes"`
}

// TestSignatureVectors: one JSON value has different signatures with and without escapes.
func TestSignatureVectors(t *testing.T) {
	t.Parallel()
	var vectors map[string]vector
	if err := json.Unmarshal(fixture(t, "sig_vectors.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	for name, v := range vectors {
		body := fixture(t, name)
		if len(body) != v.Bytes {
			t.Fatalf("%s: %d bytes, want %d", name, len(body), v.Bytes)
		}
		s := whatsapp.NewSignature(v.Secret)
		for range 2 { // the keyed hash is used again
			if got := s.Sign(body); got != v.Signature {
				t.Errorf("%s: got %s, want %s", name, got, v.Signature)
			}
			if !s.Verify(v.Signature, body) {
				t.Errorf("%s: signature refused", name)
			}
		}
		for what, header := range map[string]string{
			"empty": "", "no prefix": v.Signature[7:], "sha1": "sha1=" + v.Signature[7:47], "short": v.Signature[:70],
			"long": v.Signature + "0", "no hex": "sha256=" + strings.Repeat("z", 64), "zero": "sha256=" + strings.Repeat("0", 64),
		} {
			if s.Verify(header, body) {
				t.Errorf("%s: %s signature accepted", name, what)
			}
		}
		if s.Verify(v.Signature, append([]byte(" "), body...)) {
			t.Errorf("%s: other bytes accepted", name)
		}
		if whatsapp.NewSignature("other").Verify(v.Signature, body) {
			t.Errorf("%s: another secret accepted", name)
		}
	}
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		query  string
		tokens []string
		want   string
		ok     bool
	}{
		"ours":         {"hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=uno", []string{"cero", "uno"}, "1158201444", true},
		"wrong token":  {"hub.mode=subscribe&hub.challenge=1&hub.verify_token=dos", []string{"uno"}, "", false},
		"wrong mode":   {"hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=uno", []string{"uno"}, "", false},
		"no tokens":    {"hub.mode=subscribe&hub.challenge=1&hub.verify_token=", nil, "", false},
		"empty tokens": {"hub.mode=subscribe&hub.challenge=1", []string{""}, "", false},
	}
	for name, test := range tests {
		query, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := whatsapp.Challenge(query, test.tokens)
		if got != test.want || ok != test.ok {
			t.Errorf("%s: got %q %v, want %q %v", name, got, ok, test.want, test.ok)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add("sha256=ca56c9f5b1458d04b305484dbc43aaab7996d748bd3e301b48f1392f594c1c25", []byte("{}"))
	f.Add("", []byte(nil))
	s := whatsapp.NewSignature("secret")
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		if s.Verify(header, body) && !strings.EqualFold(header, s.Sign(body)) {
			t.Fatalf("accepted %q", header)
		}
	})
}
