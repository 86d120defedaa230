package deploy

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// stranger is the clients' address: 127.0.0.1 is the trusted proxy.
var stranger = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}

// client trusts our authority and connects to addr for any name.
func client(t testing.TB, addr string, keep bool) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(ca.file)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, DisableKeepAlives: !keep, MaxIdleConnsPerHost: 64,
		ExpectContinueTimeout: 10 * time.Second,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{LocalAddr: stranger}).DialContext(ctx, network, addr)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// response is the response to a request.
type response struct {
	status int
	body   string
	header http.Header
}

// post posts with headers, given as names and values in turn.
func post(c *http.Client, url string, body []byte, headers ...string) (response, error) {
	req, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body)) //nolint:noctx // the client has a timeout
	if err != nil {
		return response{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return do(c, req)
}

func do(c *http.Client, req *http.Request) (response, error) {
	res, err := c.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return response{res.StatusCode, string(text), res.Header}, err
}

// message is a text message as Meta posts it.
func message(person, n int) []byte {
	return fmt.Appendf(nil, `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"5491100000099","phone_number_id":%q},"contacts":[{"profile":{"name":"Ana"},"wa_id":"54911556%05d"}],"messages":[{"from":"54911556%05d","id":"wamid.deploy.%d.%d","timestamp":"%d","type":"text","text":{"body":"hola"}}]}}]}]}`,
		phoneNumberID, person, person, person, n, time.Now().Unix())
}

// postSigned posts a signed body, as Meta does.
func postSigned(c *http.Client, url string, body []byte, headers ...string) (response, error) {
	return post(c, url, body, append(headers, whatsapp.SignatureHeader, whatsapp.Sign(appSecret, body))...)
}

// startLoad posts messages over several connections until stop is called; stop returns how
// many. Each must get a 200 at the first attempt.
func startLoad(t testing.TB, c *http.Client, url string) (stop func() int) {
	t.Helper()
	var sent, failed atomic.Int64
	var writers sync.WaitGroup
	done := make(chan struct{})
	first := int(people.Add(1)) * 100
	for i := range 4 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				got, err := postSigned(c, url, message(first+i, n))
				sent.Add(1)
				if (err != nil || got.status != http.StatusOK) && failed.Add(1) < 5 {
					t.Errorf("request %d: %v: %d %s", sent.Load(), err, got.status, got.body)
				}
			}
		})
	}
	return func() int {
		close(done)
		writers.Wait()
		if n := failed.Load(); n > 0 {
			t.Errorf("%d of %d requests failed", n, sent.Load())
		}
		return int(sent.Load())
	}
}

// people numbers the people, so that ids are unique.
var people atomic.Int64
