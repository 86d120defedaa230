package doctor

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/skew"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// lines asks each provider about its lines; nothing is sent.
func (d *doctor) lines(ctx context.Context) {
	var asked sync.WaitGroup
	texts := make([]func(), len(d.Config.Lines))
	for i, id := range d.Config.LineIDs() {
		asked.Go(func() { texts[i] = d.line(ctx, d.Config.Lines[id]) })
	}
	asked.Wait()
	for _, say := range texts { // in order of line id
		say()
	}
}

// line returns a function that reports the findings.
func (d *doctor) line(ctx context.Context, l *config.Line) func() {
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()
	switch {
	case d.Config.Sandbox && l.ID == config.DevLine:
		return func() {
			d.ok(Lines, sandboxLine, l.ID)
		}
	case l.Provider != whatsapp.Provider:
		return d.evolution(ctx, l)
	case l.Token.Empty() || l.PhoneNumberID == "":
		return func() {} // the configuration says so
	}
	meter, calls := skew.New(), httpcall.NewClient()
	calls.Transport = meter.Transport(calls.Transport)
	n, err := askNumber(ctx, calls, d.Config.GraphURL, l.PhoneNumberID, l.Token.Values(), l.AppSecret.Values())
	if ahead, known := meter.Ahead(); known {
		d.noteClock("WhatsApp", -ahead)
	}
	f, refused := errors.AsType[*outbound.Failure](err)
	switch {
	case err == nil:
		return func() {
			d.ok(Lines, lineOK, l.ID, n.Display, n.Name, n.Quality)
		}
	case errors.Is(err, whatsapp.ErrAppSecret):
		return func() {
			d.broken(Lines, d.say(otherAppSecret, l.ID), d.say(copyAppSecret))
		}
	case refused && (f.Class == outbound.Throttle || f.Class == outbound.Retry || f.Class == outbound.Uncertain):
		return func() {
			d.warn(Lines, d.say(lineUnchecked, l.ID, d.cause(f)), d.say(reachGraph, d.Config.GraphURL))
		}
	default:
		return func() {
			d.broken(Lines, d.say(lineRefused, l.ID, d.errorText(err)), d.say(checkNumber))
		}
	}
}

func (d *doctor) cause(f *outbound.Failure) string {
	if f.Err != nil {
		return d.errorText(f.Err)
	}
	return d.redact.Text(f.Detail)
}

// AskNumber asks Meta about a number with its token and app secret; see
// whatsapp.Client.Number.
func AskNumber(ctx context.Context, graph, phoneNumberID, token, appSecret string) (whatsapp.Number, error) {
	return askNumber(ctx, httpcall.NewClient(), graph, phoneNumberID, []string{token}, []string{appSecret})
}

func askNumber(ctx context.Context, calls *http.Client, graph, phoneNumberID string, tokens, appSecrets []string) (whatsapp.Number, error) {
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{
		BaseURL: graph, PhoneNumberID: phoneNumberID, Tokens: tokens, AppSecrets: appSecrets, HTTP: calls,
		Redact: redact.New(slices.Concat(tokens, appSecrets)...),
	})
	if err != nil {
		return whatsapp.Number{}, err
	}
	return client.Number(ctx)
}

// evolution checks that the server answers; only some versions report the state of an
// instance.
func (d *doctor) evolution(ctx context.Context, l *config.Line) func() {
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" {
		return func() {} // the configuration says so
	}
	if err := dial(ctx, u); err != nil {
		return func() {
			d.broken(Lines, d.say(evolutionSilent, l.ID, d.errorText(err)), d.say(checkEvolution))
		}
	}
	return func() {
		d.ok(Lines, evolutionOK, l.ID)
	}
}

// endpoints connects to each endpoint and posts nothing.
func (d *doctor) endpoints(ctx context.Context) {
	for _, e := range d.Config.Endpoints {
		u, err := url.Parse(e.URL)
		if err != nil || u.Host == "" {
			continue // the configuration says so
		}
		ctx, cancel := d.withTimeout(ctx)
		d.endpoint(ctx, e, u)
		cancel()
	}
}

func (d *doctor) endpoint(ctx context.Context, e config.Endpoint, u *url.URL) {
	at := hostPort(u)
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		d.broken(Endpoints, e.Name+": "+d.errorText(err), d.say(fixURL))
		return
	}
	for _, a := range addrs {
		// The same rule as for posts: a host name is trusted to be one of ours, but not to
		// be the service that tells machines their identity.
		literal := slices.Contains(e.Allow, net.JoinHostPort(a.Unmap().String(), port(u)))
		if !literal && (!slices.Contains(e.Allow, at) || a.Unmap().IsLinkLocalUnicast()) {
			if isInternal(a) {
				d.broken(Endpoints, d.say(internalAddress, e.Name, at, a.Unmap()), d.say(allowAddress, at))
				return
			}
		}
	}
	if err := dial(ctx, u); err != nil {
		d.warn(Endpoints, d.say(endpointSilent, e.Name, at, d.errorText(err)), d.say(checkEndpoint))
		return
	}
	if u.Scheme == "http" && !slices.Contains(e.Allow, at) {
		d.warn(Endpoints, d.say(plainHTTP, e.Name), d.say(useHTTPS))
		return
	}
	d.ok(Endpoints, endpointOK, e.Name, at)
}

// isInternal reports whether an address is not on the public internet.
func isInternal(a netip.Addr) bool {
	a = a.Unmap()
	return !a.IsGlobalUnicast() || a.IsPrivate() || netip.MustParsePrefix("100.64.0.0/10").Contains(a)
}

func hostPort(u *url.URL) string { return net.JoinHostPort(u.Hostname(), port(u)) }

func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// dial connects and closes the connection.
func dial(ctx context.Context, u *url.URL) error {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return err
	}
	return c.Close()
}
