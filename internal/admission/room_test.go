package admission

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

const mib = 1 << 20

// posted is a request whose body the test sends step by step.
type posted struct {
	arrive *io.PipeWriter
	got    chan error
	body   *Body
}

// post starts to read a body with an announced length.
func post(ctx context.Context, r *Room, from Sender, length int64) *posted {
	in, out := io.Pipe()
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", in)
	req.ContentLength = length
	p := &posted{arrive: out, got: make(chan error, 1)}
	go func() {
		var err error
		p.body, err = r.Read(req, from, 4*mib)
		in.CloseWithError(io.ErrClosedPipe)
		p.got <- err
	}()
	return p
}

// zeros are the bytes of all bodies.
var zeros = make([]byte, 4*mib)

// send sends n bytes, as far as they are read.
func (p *posted) send(n int) { go func() { _, _ = p.arrive.Write(zeros[:n]) }() }

// hold sends a body of the length except for its last byte.
func hold(ctx context.Context, r *Room, from Sender, length int64) *posted {
	p := post(ctx, r, from, length)
	p.send(int(length - 1))
	synctest.Wait()
	return p
}

// bubble runs a test of a Room in a bubble, and checks that the room is empty at the end.
func bubble(t *testing.T, test func(ctx context.Context, r *Room)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, ctx := NewRoom(), t.Context()
		test(ctx, r)
		if !r.short.TryAcquire(shortRoom) || !r.long.TryAcquire(longRoom) || len(r.shares) > 0 {
			t.Error("the room is not empty afterwards")
		}
	})
}

func exempt() Sender { return Sender{Addr: stranger, Exempt: true} }

// TestLongBodiesLeaveRoomForShortOnes: while long bodies fill their room and 500 more wait, a
// short one is read at once.
func TestLongBodiesLeaveRoomForShortOnes(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int64{"announced": 4 * mib, "of unknown length": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(ctx context.Context, r *Room) {
				var floods []*posted
				for range 500 {
					p := post(ctx, r, exempt(), length)
					p.send(4*mib - 1)
					floods = append(floods, p)
				}
				synctest.Wait()
				if r.long.TryAcquire(maxPiece) {
					t.Fatal("there is room left: this shows nothing")
				}
				began := time.Now()
				p := post(ctx, r, exempt(), shortBody)
				p.send(shortBody)
				if err := <-p.got; err != nil || time.Since(began) > 0 {
					t.Errorf("got %v after %v", err, time.Since(began))
				}
				p.body.Release()
				for _, f := range floods {
					f.arrive.Close()
				}
				for _, f := range floods {
					if err := <-f.got; length > 0 && err == nil {
						t.Error("a body that was cut off was taken")
					}
					f.body.Release()
				}
			})
		})
	}
}

// TestAnnouncedBodiesTakeNoRoom: the most connections announce the largest bodies and send
// nothing.
func TestAnnouncedBodiesTakeNoRoom(t *testing.T) {
	t.Parallel()
	for _, announced := range []int64{shortBody, 4 * mib} {
		bubble(t, func(ctx context.Context, r *Room) {
			var idle []*posted
			for range mostConnections {
				idle = append(idle, post(ctx, r, exempt(), announced))
			}
			synctest.Wait()
			p := post(ctx, r, exempt(), announced)
			p.send(int(announced))
			if err := <-p.got; err != nil {
				t.Errorf("beside %d that announce %d bytes: got %v", mostConnections, announced, err)
			}
			p.body.Release()
			for _, i := range idle {
				i.arrive.Close()
				<-i.got
			}
		})
	}
}

// TestBodiesWaitTwoSecondsForRoom: a body waits two seconds for room, and gets it if it is
// freed meanwhile.
func TestBodiesWaitTwoSecondsForRoom(t *testing.T) {
	t.Parallel()
	bubble(t, func(ctx context.Context, r *Room) {
		var held []*posted
		for range longRoom / (4 * mib) {
			held = append(held, hold(ctx, r, exempt(), 4*mib))
		}
		began := time.Now()
		late := post(ctx, r, exempt(), 4*mib)
		late.send(4 * mib)
		if err := <-late.got; !errors.Is(err, ErrNoRoom) || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %v, want no room after 2 s", err, time.Since(began))
		}
		next := post(ctx, r, exempt(), 4*mib)
		next.send(4 * mib)
		time.Sleep(time.Second)
		held[0].arrive.Close() // frees its room
		if err := <-held[0].got; err == nil {
			t.Error("a body that was cut off was taken")
		}
		if err := <-next.got; err != nil {
			t.Errorf("once there is room: got %v", err)
		}
		next.body.Release()
		for _, h := range held[1:] {
			h.arrive.Close()
			<-h.got
		}
	})
}

// TestOneAddressHasItsShare: one address has a share of both budgets; an exempt one is not
// limited.
func TestOneAddressHasItsShare(t *testing.T) {
	t.Parallel()
	bubble(t, func(ctx context.Context, r *Room) {
		first := hold(ctx, r, Sender{Addr: netip.MustParseAddr("2001:db8::1")}, perAddress-shortBody)
		second := hold(ctx, r, Sender{Addr: netip.MustParseAddr("2001:db8::2")}, shortBody)
		for name, tt := range map[string]struct {
			from   Sender
			length int64
			want   error
		}{
			"same household, short": {Sender{Addr: netip.MustParseAddr("2001:db8::3")}, shortBody, ErrNoRoom},
			"same household, long":  {Sender{Addr: netip.MustParseAddr("2001:db8::3")}, mib, ErrNoRoom},
			"another address":       {Sender{Addr: another}, perAddress, nil},
			"more than its share":   {Sender{Addr: another}, perAddress + 1, ErrNoRoom},
			"exempt":                {Sender{Addr: netip.MustParseAddr("2001:db8::4"), Exempt: true}, 4 * mib, nil},
		} {
			p := post(ctx, r, tt.from, tt.length)
			p.send(int(tt.length))
			if err := <-p.got; !errors.Is(err, tt.want) {
				t.Errorf("%s: got %v, want %v", name, err, tt.want)
			}
			p.body.Release()
		}
		// Without an announced length too.
		p := post(ctx, r, Sender{Addr: another}, -1)
		p.send(perAddress + 1)
		if err := <-p.got; !errors.Is(err, ErrNoRoom) {
			t.Errorf("more than its share, not announced: got %v", err)
		}
		for _, h := range []*posted{first, second} {
			h.arrive.Close()
			<-h.got
		}
	})
}

// TestOneBodyAtATime: an address with too many refusals is served one body at a time.
func TestOneBodyAtATime(t *testing.T) {
	t.Parallel()
	bubble(t, func(ctx context.Context, r *Room) {
		alone := Sender{Addr: stranger, OneAtATime: true}
		first := hold(ctx, r, alone, 1000)
		began := time.Now()
		late := post(ctx, r, alone, 1000)
		late.send(1000)
		if err := <-late.got; !errors.Is(err, ErrNoRoom) || time.Since(began) != 2*time.Second {
			t.Errorf("beside its own: got %v after %v", err, time.Since(began))
		}
		other := post(ctx, r, Sender{Addr: another, OneAtATime: true}, 1000)
		other.send(1000)
		if err := <-other.got; err != nil {
			t.Errorf("beside another's: got %v", err)
		}
		other.body.Release()
		next := post(ctx, r, alone, 1000)
		next.send(1000)
		time.Sleep(time.Second)
		first.send(1)
		if err := <-first.got; err != nil {
			t.Errorf("the first: got %v", err)
		}
		first.body.Release()
		if err := <-next.got; err != nil {
			t.Errorf("after the first: got %v", err)
		}
		next.body.Release()
	})
}

// TestChargedAsItArrives: a body holds at most twice the bytes that arrived.
func TestChargedAsItArrives(t *testing.T) {
	t.Parallel()
	bubble(t, func(ctx context.Context, r *Room) {
		p := post(ctx, r, exempt(), -1)
		for arrived := int64(0); arrived < 4*mib; {
			synctest.Wait()
			left := int64(longRoom)
			for !r.long.TryAcquire(left) {
				left -= 512
			}
			r.long.Release(left)
			if held := longRoom - left; held > 2*arrived+minPiece {
				t.Fatalf("%d bytes arrived, %d are held", arrived, held)
			}
			n := min(1+arrived/3, 4*mib-arrived)
			p.send(int(n))
			arrived += n
		}
		synctest.Wait()
		p.arrive.Close()
		if err := <-p.got; err != nil {
			t.Error(err)
		}
		p.body.Release()
	})
}

// TestBodies: a body is read correctly in any portions, and all room is given back however it
// ends.
func TestBodies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.OneOf(rapid.IntRange(0, 5000), rapid.IntRange(0, 300_000), rapid.Just(minPiece), rapid.Just(shortBody), rapid.Just(2*maxPiece)).Draw(t, "size")
		const limit = 200_000
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(i * 7 >> 3)
		}
		req := httptest.NewRequest(http.MethodPost, "/", iotestPortions{bytes.NewReader(sent), rapid.IntRange(1, 70_000).Draw(t, "portion")})
		req.ContentLength = int64(size)
		if rapid.Bool().Draw(t, "unknown length") {
			req.ContentLength = -1
		}
		cut := rapid.IntRange(0, 3).Draw(t, "cut off") == 0 && req.ContentLength >= 0
		if cut {
			req.ContentLength += 10
		}
		r := NewRoom()
		body, err := r.Read(req, Sender{Addr: stranger, Exempt: rapid.Bool().Draw(t, "exempt"), OneAtATime: rapid.Bool().Draw(t, "alone")}, limit)
		var tooLarge *http.MaxBytesError
		switch {
		case max(int64(size), req.ContentLength) > limit:
			if !errors.As(err, &tooLarge) {
				t.Fatalf("%d bytes: got %v, want it too large", size, err)
			}
		case cut:
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("cut off: got %v", err)
			}
		case err != nil:
			t.Fatal(err)
		case !bytes.Equal(bytes.Join(body.Pieces(), nil), sent) || !bytes.Equal(body.Take(), sent):
			t.Fatalf("%d bytes: got others than were sent", size)
		}
		body.Release()
		if !r.short.TryAcquire(shortRoom) || !r.long.TryAcquire(longRoom) || len(r.shares) > 0 {
			t.Fatal("the room is not empty afterwards")
		}
	})
}

// iotestPortions reads a few bytes at a time.
type iotestPortions struct {
	r io.Reader
	n int
}

func (p iotestPortions) Read(b []byte) (int, error) { return p.r.Read(b[:min(len(b), p.n)]) }

// TestTakenBytesAreNotUsedAgain: pieces are pooled, the bytes of a taken body are not.
func TestTakenBytesAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	r := NewRoom()
	read := func(fill byte, size int) []byte {
		req := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(bytes.Repeat([]byte{fill}, size)))
		body, err := r.Read(req, exempt(), mib)
		if err != nil {
			t.Fatal(err)
		}
		return body.Take()
	}
	for _, size := range []int{1, minPiece, maxPiece, 5 * maxPiece} {
		first := read('a', size)
		read('b', size)
		if !bytes.Equal(first, bytes.Repeat([]byte{'a'}, size)) {
			t.Errorf("%d bytes were written over", size)
		}
	}
}
