package inbound

import (
	"errors"
	"iter"
	"slices"
	"strings"
)

// Bounds of decoding. A body that exceeds one is kept whole, as one unreadable arrival.
// Legal bodies stay far below: Meta sends up to 1,000 updates in a body of 3 MB.
const (
	// MaxDepth is how deep arrays and objects may be nested.
	MaxDepth = 64
	// MaxElements is how many arrivals and listed contacts a body may hold.
	MaxElements = 10_000
	// MaxElement is how many bytes one arrival may have, without an inline file.
	// WhatsApp's longest text, 65,536 characters, fits even with every character escaped.
	MaxElement = 1 << 20
	// MaxNotice replaces MaxElement for chunks of history and for account notices,
	// which may list any number of contacts, chats or templates.
	MaxNotice = 16 << 20
	// MaxName is how many characters of a name are kept. The name is copied to each
	// message of the person, so a long one would multiply.
	MaxName = 1 << 10
	// MaxID is how many bytes a provider's id may have, far more than any has.
	MaxID = 512
)

// Errors of Batch.Arrivals.
var (
	ErrShape    = errors.New("unknown shape")
	ErrElements = errors.New("too many elements")
	ErrElement  = errors.New("an element is too large")
)

// Batch collects the arrivals of one body, up to the bounds. The zero Batch is ready to use.
type Batch struct {
	arrivals []Arrival
	elements int
	err      error
}

// Add appends an arrival and returns a pointer to it in the batch. Beyond the bounds the
// arrival is dropped and the pointer is to a copy.
func (b *Batch) Add(a Arrival) *Arrival {
	most := MaxElement
	if a.Kind == History || a.Kind == Account {
		most = MaxNotice
	}
	if len(a.Raw) > most {
		b.err = ErrElement
	}
	if b.Count(); b.err != nil {
		return &a
	}
	b.arrivals = append(b.arrivals, a)
	return &b.arrivals[len(b.arrivals)-1]
}

// Count counts an element that is not an arrival of its own.
func (b *Batch) Count() {
	if b.elements++; b.elements > MaxElements {
		b.err = ErrElements
	}
}

// Len returns the number of arrivals.
func (b *Batch) Len() int { return len(b.arrivals) }

// From returns the arrivals from index n on.
func (b *Batch) From(n int) []Arrival { return b.arrivals[n:] }

// Arrivals returns all arrivals. The error is ErrElements or ErrElement if the body exceeds
// a bound, ErrShape if there are no arrivals.
func (b *Batch) Arrivals() ([]Arrival, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case len(b.arrivals) == 0:
		return nil, ErrShape
	}
	return b.arrivals, nil
}

// Within yields the values of seq until the batch exceeds its bounds.
func Within[V any](b *Batch, seq iter.Seq[V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for v := range seq {
			if b.err != nil || !yield(v) {
				return
			}
		}
	}
}

// Truncate returns the first most characters of a text, and whether it was longer.
func Truncate(text string, most int) (string, bool) {
	if len(text) <= most {
		return text, false
	}
	n := 0
	for i := range text {
		if n == most {
			return text[:i], true
		}
		n++
	}
	return text, false
}

// TruncateName returns the first MaxName characters of a name.
func TruncateName(text string) string {
	text, _ = Truncate(text, MaxName)
	return text
}

// PlaceText is the text of a location: what is said of it, and where it is.
func PlaceText(lat, long string, said ...string) string {
	if lat != "" && long != "" {
		said = append(said, lat+","+long)
	}
	return strings.Join(slices.DeleteFunc(said, func(s string) bool { return s == "" }), " · ")
}
