package bench

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/cluster"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// The flood of TestForgedBodies and its limits.
const (
	forgers     = 500
	forgedBytes = 4 << 20
	mostMemory  = 200 << 20
)

// TestForgedBodies: 500 connections post forged bodies of 4 MiB, again and again. The
// program's memory stays bounded, and Meta gets its answers meanwhile. The forgers come from
// this machine, so no limit for each address stops them, as behind a proxy.
func TestForgedBodies(t *testing.T) {
	bin := build(t)
	answeredIn := 10 * time.Second // other tests share the machine
	if os.Getenv("PSI_PROOF") != "" {
		answeredIn = 2 * time.Second
	}
	for name, f := range map[string]forger{
		"unfinished":        {head: fmt.Sprintf("Content-Length: %d\r\n", forgedBytes), size: forgedBytes - 1},
		"whole":             {head: fmt.Sprintf("Content-Length: %d\r\n", forgedBytes), size: forgedBytes},
		"of unknown length": {head: "Transfer-Encoding: chunked\r\n", size: forgedBytes, chunked: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, cluster.Options{Program: bin, Embedded: true})
			flood(t, f, strings.TrimPrefix(p.url, "http://"), func() {
				var slowest time.Duration
				pace := time.NewTicker(100 * time.Millisecond)
				defer pace.Stop()
				for n := range 40 {
					slowest = max(slowest, p.signed(n))
					<-pace.C
				}
				t.Logf("slowest answer %v, peak memory %d MiB", slowest.Round(time.Millisecond), p.peak()>>20)
				if slowest > answeredIn {
					t.Errorf("Meta was answered after %v, want at most %v", slowest, answeredIn)
				}
			})
			if got := p.peak(); got > mostMemory {
				t.Errorf("the program used %d MiB, want at most %d", got>>20, mostMemory>>20)
			}
		})
	}
}

// forger is a way to post a forged body.
type forger struct {
	head    string
	size    int
	chunked bool
}

// flood runs all forgers while do runs: each posts its body, waits for the result, and
// starts again.
func flood(t *testing.T, f forger, addr string, do func()) {
	t.Helper()
	head := "POST /webhook HTTP/1.1\r\nHost: " + addr + "\r\n" +
		whatsapp.SignatureHeader + ": " + whatsapp.Sign("nobody's", nil) + "\r\n" + f.head + "\r\n"
	if f.chunked {
		head += strconv.FormatInt(int64(f.size+1), 16) + "\r\n"
	}
	junk := make([]byte, f.size)
	done := make(chan struct{})
	var working, begun sync.WaitGroup
	for range forgers {
		begun.Add(1)
		working.Go(func() {
			told := sync.OnceFunc(begun.Done)
			defer told()
			for {
				c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
				if err != nil {
					t.Error(err)
					return
				}
				let := make(chan struct{})
				go func() {
					defer close(let)
					if _, err := io.WriteString(c, head); err == nil {
						told()
						_, _ = c.Write(junk) // the connection is closed in the middle
						_, _ = io.Copy(io.Discard, c)
					}
				}()
				select {
				case <-let:
					c.Close()
				case <-done:
					c.Close()
					<-let
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	begun.Wait()
	do()
	close(done)
	working.Wait()
}

// signed posts a message as Meta does, and returns the time until the answer.
func (p *program) signed(n int) time.Duration {
	p.t.Helper()
	body := fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},"messages":[{"from":"549115550000","id":"wamid.flood.%d","timestamp":"%d","type":"text","text":{"body":"hola"}}]}}]}]}`,
		cluster.PhoneNumberID, n, time.Now().Unix())
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.url+"/webhook", bytes.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(p.Secret, body))
	began := time.Now()
	res, err := p.client().Do(req)
	if err != nil {
		p.t.Fatalf("message %d: %v", n, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Errorf("message %d: got %d %s %v", n, res.StatusCode, answer, err)
	}
	return time.Since(began)
}

// peak is the peak resident memory of the program.
func (p *program) peak() int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.node.PID()))
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.ParseInt(strings.Fields(rest + " ?")[0], 10, 64)
	if err != nil {
		p.t.Fatalf("no VmHWM: %v", err)
	}
	return kib << 10
}
