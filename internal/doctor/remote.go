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

// lines asks each provider about each line; nothing is sent.
func (d *doctor) lines(ctx context.Context) {
	var asked sync.WaitGroup
	texts := make([]func(), len(d.Config.Lines))
	for i, id := range d.Config.LineIDs() {
		asked.Go(func() { texts[i] = d.line(ctx, d.Config.Lines[id]) })
	}
	asked.Wait()
	for _, say := range texts { // in the order of their ids
		say()
	}
}

// line returns how to say what was found.
func (d *doctor) line(ctx context.Context, l *config.Line) func() {
	ctx, cancel := d.withTimeout(ctx)
	defer cancel()
	switch {
	case d.Config.Sandbox && l.ID == config.DevLine:
		return func() {
			d.ok(Lines, words{"%s es el teléfono de prueba de /sandbox", "%s is the phone of /sandbox"}, l.ID)
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
			d.ok(Lines, words{"%s es %s (%s), calidad %s", "%s is %s (%s), quality %s"}, l.ID, n.Display, n.Name, n.Quality)
		}
	case errors.Is(err, whatsapp.ErrAppSecret):
		return func() {
			d.broken(Lines, d.say(words{"%s: ningún app_secret es el de la app de su token: sus webhooks se rechazarían, y WhatsApp no acepta su appsecret_proof (donde se puede, se omite)", "%s: no app_secret is that of its token's app: its webhooks would be refused, and WhatsApp does not take its appsecret_proof (it is left out where it may be)"}, l.ID),
				d.say(words{"copialo de Meta: App › Configuración › Básica", "copy it from Meta: App › Settings › Basic"}))
		}
	case refused && (f.Class == outbound.Throttle || f.Class == outbound.Retry || f.Class == outbound.Uncertain):
		return func() {
			d.warn(Lines, d.say(words{"%s no se pudo comprobar: %s", "%s could not be checked: %s"}, l.ID, d.cause(f)),
				d.say(words{"mirá si esta máquina llega a %s", "look whether this machine reaches %s"}, d.Config.GraphURL))
		}
	default:
		return func() {
			d.broken(Lines, d.say(words{"%s: WhatsApp la rechaza: %s", "%s: WhatsApp refuses it: %s"}, l.ID, d.errorText(err)),
				d.say(words{"revisá phone_number_id y token en Meta (usuario del sistema, permisos whatsapp_business_messaging y _management)", "check phone_number_id and token at Meta (system user, permissions whatsapp_business_messaging and _management)"}))
		}
	}
}

func (d *doctor) cause(f *outbound.Failure) string {
	if f.Err != nil {
		return d.errorText(f.Err)
	}
	return d.redact.Text(f.Detail)
}

// AskNumber asks Meta for a number, with its token and app secret; see whatsapp.Client.Number.
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

// evolution asks whether the server is there; the state of an instance it tells
// only in versions of its own.
func (d *doctor) evolution(ctx context.Context, l *config.Line) func() {
	u, err := url.Parse(l.URL)
	if err != nil || u.Host == "" {
		return func() {} // the configuration says so
	}
	if err := dial(ctx, u); err != nil {
		return func() {
			d.broken(Lines, d.say(words{"%s: el servidor de Evolution no contesta: %s", "%s: the Evolution server does not answer: %s"}, l.ID, d.errorText(err)),
				d.say(words{"mirá si corre, y si url es la suya", "look whether it runs, and whether url is its"}))
		}
	}
	return func() {
		d.ok(Lines, words{"%s: el servidor de Evolution contesta", "%s: the Evolution server answers"}, l.ID)
	}
}

// endpoints connects to each receiver of events, and posts nothing.
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
		d.broken(Endpoints, e.Name+": "+d.errorText(err), d.say(words{"corregí su url", "mend its url"}))
		return
	}
	for _, a := range addrs {
		// As when it is posted: a name is trusted to be a machine of ours, not to be
		// what tells machines who they are.
		literal := slices.Contains(e.Allow, net.JoinHostPort(a.Unmap().String(), port(u)))
		if !literal && (!slices.Contains(e.Allow, at) || a.Unmap().IsLinkLocalUnicast()) {
			if isInternal(a) {
				d.broken(Endpoints, d.say(words{"%s: %s es una dirección interna (%s), y no se le manda nada", "%s: %s is an internal address (%s), and gets nothing"}, e.Name, at, a.Unmap()),
					d.say(words{"si es a propósito, agregale allow: [%q]", "if that is meant, add allow: [%q] to it"}, at))
				return
			}
		}
	}
	if err := dial(ctx, u); err != nil {
		d.warn(Endpoints, d.say(words{"%s no contesta en %s: %s", "%s does not answer at %s: %s"}, e.Name, at, d.errorText(err)),
			d.say(words{"mirá si corre; lo que no se le pudo mandar espera", "look whether it runs; what could not be sent waits"}))
		return
	}
	if u.Scheme == "http" && !slices.Contains(e.Allow, at) {
		d.warn(Endpoints, d.say(words{"%s recibe por http, a la vista de cualquiera en el camino", "%s gets its events by http, for everybody on the way to see"}, e.Name), d.say(words{"usá https", "use https"}))
		return
	}
	d.ok(Endpoints, words{"%s contesta en %s", "%s answers at %s"}, e.Name, at)
}

// isInternal says that an address is not of the public internet.
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

// dial connects, and lets go.
func dial(ctx context.Context, u *url.URL) error {
	c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", hostPort(u))
	if err != nil {
		return err
	}
	return c.Close()
}
