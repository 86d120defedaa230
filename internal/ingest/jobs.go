package ingest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/job"
	"github.com/psivisionhub/psi-router/internal/queue"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// jobs completes the arrivals and makes a job of each, but for Presence.
func (h *Handler) jobs(arrivals []inbound.Arrival, c *caller, now time.Time) ([]queue.Job, error) {
	jobs := make([]queue.Job, 0, len(arrivals))
	ahead := h.ahead()
	for i := range arrivals {
		a := &arrivals[i]
		h.assignLine(a, c)
		a.ReceivedAt, a.Ahead = now, ahead
		if a.Kind == inbound.Presence {
			continue
		}
		assignID(a, i)
		j, err := job.Arrival(*a)
		if err != nil {
			return nil, fmt.Errorf("make jobs: %w", err)
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// assignID gives an id to an arrival without one, and the day to the id of an account's
// failure: the same failure tomorrow is a new one.
func assignID(a *inbound.Arrival, index int) {
	switch {
	case a.ID == "":
		// Two equal texts without id or time count as two: losing one is worse than
		// storing a repeated delivery twice.
		a.ID = digest(a.Raw, a.ReceivedAt.UnixNano(), int64(index))
	case a.Kind == inbound.Failure && a.SentAt.IsZero():
		a.ID += "@" + a.ReceivedAt.UTC().Format(time.DateOnly)
	}
}

// unreadable returns the arrival of a signed body that could not be decoded. Its Raw is the
// body if that is embeddable JSON, else a string.
func unreadable(body []byte, why error) inbound.Arrival {
	a := inbound.Unreadable(body, why)
	a.Provider = "cloud"
	if !errors.Is(why, rawjson.ErrSyntax) && !errors.Is(why, rawjson.ErrDepth) {
		a.Raw = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	}
	return a
}

func digest(raw []byte, more ...int64) string {
	h := sha256.New()
	h.Write(raw)
	for _, n := range more {
		h.Write(strconv.AppendInt([]byte{' '}, n, 10))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil)[:16])
}
