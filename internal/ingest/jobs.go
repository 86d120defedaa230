package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/queue"
)

// jobs completes the arrivals and makes one job of each.
func (d *Door) jobs(arrivals []inbound.Arrival, c *caller, now time.Time) ([]queue.Job, error) {
	jobs := make([]queue.Job, len(arrivals))
	for i := range arrivals {
		a := &arrivals[i]
		d.place(a, c)
		a.ReceivedAt = now
		identify(a, i)
		body, err := encode(*a)
		if err != nil {
			return nil, fmt.Errorf("encode arrival: %w", err)
		}
		name, lane := a.Route()
		jobs[i] = queue.Job{Queue: name, Lane: lane, ID: a.Key(), Body: body}
	}
	return jobs, nil
}

// identify gives an id to what has none, and makes the same failure of an
// account tomorrow another one than today's.
func identify(a *inbound.Arrival, index int) {
	switch {
	case a.ID == "":
		// Two equal texts without id or time are two texts: losing one is worse
		// than storing a repeated one twice.
		a.ID = digest(a.Raw, a.ReceivedAt.UnixNano(), int64(index))
	case a.Kind == inbound.Failure && a.SentAt.IsZero():
		a.ID += "@" + a.ReceivedAt.UTC().Format(time.DateOnly)
	}
}

// unreadable is what becomes of a signed body that nobody can read. What is not
// even JSON is kept as a JSON string.
func unreadable(body []byte, valid bool) inbound.Arrival {
	raw := bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	if !valid {
		raw, _ = json.Marshal(string(body)) // a string always marshals
	}
	return inbound.Arrival{
		Kind:       inbound.Unknown,
		ID:         digest(body),
		Provider:   "cloud",
		Shape:      "unknown",
		Quarantine: "unknown_shape",
		Raw:        raw,
	}
}

func digest(raw []byte, more ...int64) string {
	h := sha256.New()
	h.Write(raw)
	for _, n := range more {
		h.Write(strconv.AppendInt([]byte{' '}, n, 10))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:16])
}

// encode writes an arrival as encoding/json would, but for its raw JSON: that is
// put in byte for byte, neither compacted nor escaped.
func encode(a inbound.Arrival) ([]byte, error) {
	raw := a.Raw
	a.Raw = nil
	var buf bytes.Buffer
	buf.Grow(512 + len(raw))
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(&a); err != nil {
		return nil, err
	}
	body := bytes.TrimRight(buf.Bytes(), "\n")
	if len(raw) == 0 {
		return body, nil
	}
	body = append(body[:len(body)-1], `,"raw":`...) // over the closing brace
	body = append(body, raw...)
	return append(body, '}'), nil
}
