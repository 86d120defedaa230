package admission

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// The pace that a client has to keep. Its kernel and ours hold some hundred KiB
// beside that, so a client that is alive is far from it.
const (
	// readIdle is how long a body may stand still.
	readIdle = 5 * time.Second
	// grace and leastRate: so long, and a second more for so many bytes, may a body
	// take in all.
	grace     = 20 * time.Second
	leastRate = 4 << 10
	// writeIdle is how long it may take until so many bytes of an answer have left.
	writeIdle  = 20 * time.Second
	writeChunk = 64 << 10
)

// Pace lets go of clients that stand still, or dribble: each read and write of a
// handler moves the deadline of the next, so that big files and streams take as
// long as they need.
func Pace(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn := http.NewResponseController(w)
		out := &pacedWriter{ResponseWriter: w, conn: conn}
		out.extend()
		var in *pacedBody
		if r.Body != nil && r.Body != http.NoBody {
			now := time.Now()
			in = &pacedBody{ReadCloser: r.Body, conn: conn, start: now}
			r = withBody(r, in)
			setDeadline(conn.SetReadDeadline, now.Add(grace)) // for who never reads it
		}
		next.ServeHTTP(out, r)
		out.extend() // what is still buffered leaves now
		if in != nil && !in.done {
			setDeadline(conn.SetReadDeadline, time.Now().Add(readIdle)) // what nobody wanted is read and dropped
		}
	})
}

// withBody returns the request with another body. It is a copy: net/http looks at the
// body of its own, to wait a moment for the answer to be read before it closes a
// connection that still brings some.
func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	r = r.WithContext(r.Context())
	r.Body = body
	return r
}

// setDeadline sets one. Where that fails the connection is gone, which its next use
// says, or it is a test's and has none.
func setDeadline(set func(time.Time) error, at time.Time) { _ = set(at) }

type pacedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	start time.Time
	end   time.Time // of the whole body; zero: as long as it keeps the pace
	size  int64
	done  bool
}

// Read implements io.Reader.
func (b *pacedBody) Read(p []byte) (int, error) {
	end := b.end
	if end.IsZero() {
		end = b.start.Add(grace + time.Duration(b.size)*time.Second/leastRate)
	}
	if still := time.Now().Add(readIdle); still.Before(end) {
		end = still
	}
	setDeadline(b.conn.SetReadDeadline, end)
	n, err := b.ReadCloser.Read(p)
	b.size += int64(n)
	if errors.Is(err, io.EOF) {
		b.done = true
		// From here on a read waits for the client to hang up, which ends the
		// request's context: a deadline would end it too.
		setDeadline(b.conn.SetReadDeadline, time.Time{})
	}
	return n, err
}

type pacedWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
}

func (w *pacedWriter) extend() { setDeadline(w.conn.SetWriteDeadline, time.Now().Add(writeIdle)) }

// Write implements io.Writer, in pieces that each have their time.
func (w *pacedWriter) Write(p []byte) (written int, err error) {
	for {
		w.extend()
		n, err := w.ResponseWriter.Write(p[:min(len(p), writeChunk)])
		written += n
		if p = p[n:]; err != nil || len(p) == 0 {
			return written, err
		}
	}
}

// FlushError is what http.ResponseController calls.
func (w *pacedWriter) FlushError() error {
	w.extend()
	return w.conn.Flush()
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
