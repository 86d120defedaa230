package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	pebbleca "github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"github.com/psivisionhub/psi-router/internal/porttest"
)

// letsEncrypt is an ACME authority that connects to domains at port.
func letsEncrypt(t *testing.T, port int) (server *httptest.Server, issuer *x509.CertPool) {
	t.Helper()
	quiet := log.New(io.Discard, "", 0)
	store := db.NewMemoryStore()
	signer := pebbleca.New(quiet, store, "", "ecdsa", 0, 1, map[string]pebbleca.Profile{"default": {ValidityPeriod: 3600 * 24 * 90}})
	looker := va.New(quiet, 1, port, false, names(t), store)
	front := wfe.New(quiet, store, looker, signer, []string{"ca.example"}, false, false, 0, 0)

	dir := t.TempDir()
	cert, key := ca.issue(t, dir, "acme.example")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server = httptest.NewUnstartedServer(front.Handler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	root := signer.GetRootCert(0)
	if root == nil {
		t.Fatal("the authority has no root")
	}
	issuer = x509.NewCertPool()
	issuer.AppendCertsFromPEM(root.PEM())
	return server, issuer
}

// names is a DNS server in which every name is 127.0.0.1.
func names(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // Listen does not block
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan struct{})
	server := &dns.Server{Listener: l, NotifyStartedFunc: func() { close(started) }, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		a := new(dns.Msg)
		a.SetReply(q)
		if q.Question[0].Qtype == dns.TypeA {
			a.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: q.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(a)
	})}
	go func() { _ = server.ActivateAndServe() }()
	<-started
	t.Cleanup(func() { _ = server.Shutdown() })
	return l.Addr().String()
}

// TestCertificate: the program obtains its certificate, serves with it, and reuses it after
// a restart while the authority is down.
func TestCertificate(t *testing.T) {
	t.Parallel()
	addr := porttest.Addr(t)
	_, portName, _ := net.SplitHostPort(addr)
	port, err := strconv.Atoi(portName)
	if err != nil {
		t.Fatal(err)
	}
	authority, issuer := letsEncrypt(t, port)
	s := newSite(t, "tls_domain: "+domain, "tls_email: ops@example.com", "tls_acme_url: "+authority.URL+wfe.DirectoryPath)
	bin := program(t)
	start := func() *process { return s.spawn(serve(bin, s.config), addr) }
	c := client(t, addr, false)
	c.Transport.(*http.Transport).TLSClientConfig.RootCAs = issuer
	up := func(p *process) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.WaitUntil(ctx, func(ctx context.Context) error { return get(ctx, c, "https://"+domain+"/readyz", nil) }); err != nil {
			t.Fatal(err)
		}
	}
	p := start()
	up(p)
	if got, err := postSigned(c, "https://"+domain+"/webhook", message(1, 1)); err != nil || got.status != http.StatusOK {
		t.Errorf("got %d %s %v", got.status, got.body, err)
	}
	modern, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: issuer, ServerName: domain, NextProtos: []string{"h2", "http/1.1"}}) //nolint:noctx // loopback
	if err != nil {
		t.Fatal(err)
	}
	state := modern.ConnectionState()
	modern.Close()
	if state.NegotiatedProtocol != "h2" || state.PeerCertificates[0].DNSNames[0] != domain {
		t.Errorf("got %s for %v", state.NegotiatedProtocol, state.PeerCertificates[0].DNSNames)
	}
	if _, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: issuer, ServerName: domain, MaxVersion: tls.VersionTLS11}); err == nil { //nolint:gosec,noctx // TLS 1.1 is what the test offers
		t.Error("TLS 1.1 was accepted")
	}
	p.stop()
	if err := private(filepath.Join(s.dir, "data", "tls")); err != nil {
		t.Error(err)
	}
	authority.Close()
	up(start())
}

// private fails if others can read a key below dir.
func private(dir string) error {
	found := false
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && filepath.Ext(path) == ".key" {
			if found = true; info.Mode().Perm()&0o077 != 0 {
				err = fmt.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return err
	})
	if err == nil && !found {
		err = errors.New("there is no key in " + dir)
	}
	return err
}
