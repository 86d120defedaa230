package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/psivisionhub/psi-router/internal/observe"
)

// certificate obtains and renews the certificate of tls_domain. The authority connects to
// the address that we serve, within TLS itself (TLS-ALPN-01), so no second port is needed.
type certificate struct {
	app    *App
	magic  *certmagic.Config
	domain string

	mu  sync.Mutex
	err error // why it could not be obtained or renewed
}

var errNoCertificate = errors.New("there is no certificate yet")

// openCertificate prepares TLS, if tls_domain is set.
func (a *App) openCertificate() error {
	if a.cfg.TLSDomain == "" {
		return nil
	}
	host, portName, err := net.SplitHostPort(a.Addr())
	if err != nil {
		return fmt.Errorf("prepare TLS: %w", err)
	}
	port, err := strconv.Atoi(portName)
	if err != nil {
		return fmt.Errorf("prepare TLS: %w", err)
	}
	c := &certificate{app: a, domain: a.cfg.TLSDomain, err: errNoCertificate}
	quiet := zap.NewNop() // the events have what matters
	cache := certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return c.magic, nil }, Logger: quiet,
	})
	a.onClose("certificates", func() error { cache.Stop(); return nil })
	c.magic = certmagic.New(cache, certmagic.Config{
		Storage: &certmagic.FileStorage{Path: filepath.Join(a.cfg.DataDir, "tls")}, OnEvent: c.onEvent, Logger: quiet,
		// A client that names no host, or an old one, gets our certificate too.
		DefaultServerName: c.domain, FallbackServerName: c.domain,
	})
	c.magic.Issuers = []certmagic.Issuer{certmagic.NewACMEIssuer(c.magic, certmagic.ACMEIssuer{
		CA: a.cfg.TLSACMEURL, Email: a.cfg.TLSEmail, Agreed: true,
		DisableHTTPChallenge: true, ListenHost: host, AltTLSALPNPort: port, Logger: quiet,
	})}
	a.certificate = c
	a.addPart("certificates", c.run)
	return nil
}

// config returns the TLS configuration of the public server.
func (c *certificate) config() *tls.Config {
	t := c.magic.TLSConfig()
	t.MinVersion = tls.VersionTLS12
	t.NextProtos = append([]string{"h2", "http/1.1"}, t.NextProtos...)
	return t
}

// run requests the certificate until there is one; from then on the cache renews it.
func (c *certificate) run(ctx context.Context) error {
	if err := c.magic.ManageAsync(ctx, []string{c.domain}); err != nil {
		return fmt.Errorf("manage %s: %w", c.domain, err)
	}
	<-ctx.Done()
	return nil
}

// onEvent records the result of a request for the certificate.
func (c *certificate) onEvent(_ context.Context, event string, data map[string]any) error {
	logger := c.app.log.With("domain", c.domain)
	switch event {
	case "cached_managed_cert":
		c.setError(nil)
	case "cert_obtained":
		logger.Info("certificate obtained", "renewal", data["renewal"])
		c.setError(nil)
	case "cert_failed":
		err, _ := data["error"].(error)
		logger.Error("certificate not obtained; retrying", "error", err,
			"cure", "the domain has to point here, and port 443 has to reach "+c.app.cfg.Listen)
		c.setError(fmt.Errorf("obtain the certificate of %s: %w", c.domain, err))
	}
	return nil
}

func (c *certificate) setError(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// check reports the error to the operator. It is informational, because the cached
// certificate serves on while a renewal fails.
func (c *certificate) check() observe.Check {
	return observe.Check{Name: "certificate", Info: true, Run: func(context.Context) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.err
	}}
}
