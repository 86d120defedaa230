// Package delivery carries out decisions: it claims rows of the store, posts them and
// records the results; it fetches the files that people sent; and it runs the pump. It must
// never post a row that it has not claimed, post one twice, decide what to say, or let an
// outage cost a message an attempt.
package delivery

import (
	"context"
	"io"
	"time"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
)

// Sender posts one message and returns the provider's id of it. Its error is an
// *outbound.Failure; any other error counts as uncertain. It must respect ctx.
type Sender interface {
	Send(ctx context.Context, p outbound.Post) (outbound.Accepted, error)
}

// Marker marks a message as read and shows that an answer is being typed.
type Marker interface {
	MarkRead(ctx context.Context, providerMessageID string) error
}

// Fetcher opens a file that somebody sent. The caller limits its size and closes it. mime
// is the provider's claim, "" for none. An *outbound.Failure says whether another try is of
// use.
type Fetcher interface {
	Fetch(ctx context.Context, m inbound.Media) (body io.ReadCloser, mime string, err error)
}

// Meter counts posts and downloads. observe.Metrics is one.
type Meter interface {
	Sent(line, verdict string, took time.Duration)
	Media(outcome string)
}

type noMeter struct{}

func (noMeter) Sent(string, string, time.Duration) {}
func (noMeter) Media(string)                       {}
