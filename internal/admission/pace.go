package admission

import (
	"errors"
	"io"
	"net/http"
	"time"
)

// The slowest pace allowed to a client. The kernels buffer some hundred KiB besides, so a live
// client is far from it.
const (
	// readIdle is how long a body may stall.
	readIdle = 5 * time.Second
	// A body may take grace in all, and a second more per leastRate bytes.
	grace     = 20 * time.Second
	leastRate = 4 << 10
	// writeIdle is how long writeChunk bytes of an answer may take to leave.
	writeIdle  = 20 * time.Second
	writeChunk = 64 << 10
)

// Pace drops clients that stall or dribble. Each read and write of the handler moves the next
// deadline, so big files and streams may take as long as they need.
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
			setDeadline(conn.SetReadDeadline, now.Add(grace)) // in case the handler never reads it
		}
		next.ServeHTTP(out, r)
		out.extend() // the buffered rest is sent now
		if in != nil && !in.done {
			setDeadline(conn.SetReadDeadline, time.Now().Add(readIdle)) // net/http reads and drops the rest
		}
	})
}

// withBody returns a copy of the request with another body. The original keeps its body, as
// net/http checks it: if the client is still sending, it waits a moment for the answer to be
// read before it closes the connection.
func withBody(r *http.Request, body io.ReadCloser) *http.Request {
	r = r.WithContext(r.Context())
	r.Body = body
	return r
}

// setDeadline ignores errors: the connection is gone, which its next use reports, or is a
// test's and has no deadlines.
func setDeadline(set func(time.Time) error, at time.Time) { _ = set(at) }

type pacedBody struct {
	io.ReadCloser
	conn  *http.ResponseController
	start time.Time
	end   time.Time // deadline of the whole body; zero: none while it keeps the pace
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
		// The server now reads only to notice that the client hangs up, which cancels
		// the request's context. A deadline would cancel it too.
		setDeadline(b.conn.SetReadDeadline, time.Time{})
	}
	return n, err
}

type pacedWriter struct {
	http.ResponseWriter
	conn *http.ResponseController
}

func (w *pacedWriter) extend() { setDeadline(w.conn.SetWriteDeadline, time.Now().Add(writeIdle)) }

// Write implements io.Writer, in pieces with a deadline each.
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

// FlushError is called by http.ResponseController.
func (w *pacedWriter) FlushError() error {
	w.extend()
	return w.conn.Flush()
}

// Flush implements http.Flusher.
func (w *pacedWriter) Flush() { _ = w.FlushError() }

// Unwrap is for http.ResponseController.
func (w *pacedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
