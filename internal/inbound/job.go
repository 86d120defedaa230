package inbound

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Encode returns an arrival as the body of its job. Unlike encoding/json it copies the raw
// JSON byte for byte, neither compacted nor escaped.
func Encode(a Arrival) ([]byte, error) {
	raw := a.Raw
	a.Raw = nil
	var buf bytes.Buffer
	buf.Grow(512 + len(raw))
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&a); err != nil {
		return nil, fmt.Errorf("encode arrival: %w", err)
	}
	body := bytes.TrimRight(buf.Bytes(), "\n")
	if len(raw) == 0 {
		return body, nil
	}
	body = append(body[:len(body)-1], `,"raw":`...) // over the closing brace
	body = append(body, raw...)
	return append(body, '}'), nil
}

// Decode reads the body of a job.
func Decode(body []byte) (Arrival, error) {
	var a Arrival
	if err := json.Unmarshal(body, &a); err != nil {
		return Arrival{}, fmt.Errorf("decode arrival: %w", err)
	}
	if a.Kind == "" {
		return Arrival{}, errors.New("decode arrival: no kind")
	}
	return a, nil
}

// Unreadable returns the arrival of a body that could not be decoded because of why. Its
// Raw is a JSON string of the bytes, as they may not be JSON, or be nested too deep to embed;
// bytes that are not UTF-8 become {"base64": …}. Nothing is lost.
func Unreadable(body []byte, why error) Arrival {
	var raw []byte
	if utf8.Valid(body) {
		raw, _ = json.Marshal(string(body)) // a string always marshals
	} else {
		raw = fmt.Appendf(nil, `{"base64":%q}`, base64.StdEncoding.EncodeToString(body))
	}
	return Arrival{
		Kind: Unknown, ID: ContentID(body), Shape: "unknown",
		Quarantine: "unknown_shape", Detail: why.Error(), Raw: raw,
	}
}

// ContentID is the id of a thing that came without one.
func ContentID(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256:" + hex.EncodeToString(sum[:16])
}
