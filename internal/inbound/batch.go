package inbound

import (
	"errors"
	"iter"
)

// Bounds of decoding: what is read of a body, and not what is taken of it. A body
// beyond them is kept whole, as one thing that we cannot read. What is legal stays
// far within: Meta sends up to 1,000 updates in a body of 3 MB.
const (
	// MaxDepth is how deep arrays and objects may lie within each other.
	MaxDepth = 64
	// MaxElements is how many things a body may hold, and people that it tells of
	// beside them.
	MaxElements = 10_000
	// MaxElement is how many bytes one of them may have, without a file that is
	// sent along. The longest text that WhatsApp takes, 65,536 letters, has room also
	// when each of them is escaped.
	MaxElement = 1 << 20
	// MaxNotice is that of a chunk of history, and of notices that list contacts,
	// chats or templates: those come whole, however many there are.
	MaxNotice = 16 << 20
	// MaxName is how many letters of a name are read. It is copied to each message
	// of its person, so that a long one could make a short body a long one.
	MaxName = 1 << 10
	// MaxID is how many bytes an id of a provider may have: far more than they have.
	MaxID = 512
)

// Why nothing of a body is read, beside that it is no JSON.
var (
	ErrShape    = errors.New("unknown shape")
	ErrElements = errors.New("too many elements")
	ErrElement  = errors.New("an element is too large")
)

// Batch collects what a body decodes into, as long as it is within the bounds.
// The zero Batch is ready.
type Batch struct {
	arrivals []Arrival
	elements int
	err      error
}

// Add adds an arrival and returns it in its place. Beyond the bounds it is not
// kept, and what is returned is nobody's.
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

// Count notes an element that becomes no arrival of its own.
func (b *Batch) Count() {
	if b.elements++; b.elements > MaxElements {
		b.err = ErrElements
	}
}

// Len is how many arrivals there are.
func (b *Batch) Len() int { return len(b.arrivals) }

// From returns the arrivals from the nth on.
func (b *Batch) From(n int) []Arrival { return b.arrivals[n:] }

// Arrivals returns all of them, or why there are none.
func (b *Batch) Arrivals() ([]Arrival, error) {
	switch {
	case b.err != nil:
		return nil, b.err
	case len(b.arrivals) == 0:
		return nil, ErrShape
	}
	return b.arrivals, nil
}

// Within yields what seq does until the batch is beyond the bounds: what follows
// is read for nothing.
func Within[V any](b *Batch, seq iter.Seq[V]) iter.Seq[V] {
	return func(yield func(V) bool) {
		for v := range seq {
			if b.err != nil || !yield(v) {
				return
			}
		}
	}
}

// Truncate returns the first most letters of a text, and whether there were more.
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

// TruncateName is what is read of a name.
func TruncateName(text string) string {
	text, _ = Truncate(text, MaxName)
	return text
}
