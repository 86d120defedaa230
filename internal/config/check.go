package config

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones must exist on machines without a zone database

	"github.com/psivisionhub/psi-router/internal/phone"
)

var (
	lineID     = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,31}$`)
	digits     = regexp.MustCompile(`^[0-9]{1,32}$`)
	alpha2     = regexp.MustCompile(`^[A-Z]{2}$`)
	domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])$`)
	keyNames   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9 ._-]{0,63}$`)
)

// check checks each value, and the values against each other.
func (d *decoder) check(c *Config) {
	d.checkEngines(c)
	loopback := d.checkListen(c)
	if _, port, err := net.SplitHostPort(c.MetricsListen); c.MetricsListen != "" {
		if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n > 65000 {
			d.bad("metrics_listen", "", strconv.Quote(printable(c.MetricsListen))+" is not an address with a port", "write host:port, such as 127.0.0.1:9464")
		}
	}
	if c.Insecure && !loopback {
		d.bad("insecure", "", "is on while listen is reachable from outside", "listen on 127.0.0.1, or give every line its secrets and remove insecure")
	}
	if c.Sandbox && !loopback {
		d.bad("sandbox", "", "is on while listen is reachable from outside; its secrets are public", "listen on 127.0.0.1, or set sandbox: false")
	}
	d.checkTLS(c)
	d.checkNames(c)
	d.checkURL("graph_url", c.GraphURL)
	c.GraphURL = strings.TrimRight(c.GraphURL, "/")
	c.DefaultCountry = strings.ToUpper(c.DefaultCountry)
	if !alpha2.MatchString(c.DefaultCountry) {
		d.bad("default_country", "", "is not a country code", "write two letters, such as AR or UY")
	}
	if _, err := time.LoadLocation(c.Timezone); err != nil || c.Timezone == "" {
		d.bad("timezone", "", "does not exist", "write a name such as America/Argentina/Buenos_Aires or UTC")
	}
	if c.DataDir == "" {
		d.bad("data_dir", "", "is empty", "write a directory, such as ./data or /var/lib/psi-router")
	}
	if c.DrainTimeout.D() > 10*time.Minute {
		d.bad("drain_timeout", "", "is over ten minutes", "write less: service managers kill the process before that")
	}
	d.checkLines(c, c.Insecure && loopback)
	c.warnInsecure()
	d.checkKeys(c)
	d.checkEndpoints(c)
	d.checkAlerts(c)
}

// warnInsecure adds a note that names the lines that insecure opens.
func (c *Config) warnInsecure() {
	if !c.Insecure {
		return
	}
	var open []string
	for _, id := range c.LineIDs() {
		if l := c.Lines[id]; l.AppSecret.Empty() && l.Secret.Empty() {
			open = append(open, id)
		}
	}
	if open == nil {
		c.Notes = append(c.Notes, "insecure is on and no line needs it: remove it")
		return
	}
	c.Notes = append(c.Notes, "insecure is on: anybody who reaches this router can write as any contact on "+strings.Join(open, ", ")+
		", which have no secret; give them their secrets and remove insecure")
}

// checkEngines refuses combinations of queue and store that cannot work.
func (d *decoder) checkEngines(c *Config) {
	if c.Durability == "replica" && c.RedisURL.Empty() {
		d.bad("durability", "", "replica needs redis_url: the embedded queue has no replica", "write fsync")
	}
	if c.DatabaseURL.Empty() && !c.DatabaseDirectURL.Empty() {
		d.bad("database_direct_url", "", "needs database_url: it is another address of the same database", "set database_url, or remove database_direct_url")
	}
	if !c.RedisURL.Empty() && c.DatabaseURL.Empty() {
		d.bad("redis_url", "", "needs database_url: several processes cannot share the embedded store, and messages would be lost", "set database_url, or remove redis_url")
	}
}

func (d *decoder) checkTLS(c *Config) {
	d.checkURL("tls_acme_url", c.TLSACMEURL)
	if c.TLSDomain == "" {
		return
	}
	if !domainName.MatchString(c.TLSDomain) {
		d.bad("tls_domain", "", "is not a DNS name", "write one such as router.example.com, without https:// and port")
	}
	if c.Sandbox {
		d.bad("tls_domain", "", "opens the router to the internet, and the sandbox's secrets are public", "remove tls_domain or sandbox")
	}
}

func (d *decoder) checkListen(c *Config) (loopback bool) {
	host, port, err := net.SplitHostPort(c.Listen)
	_, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil {
		d.bad("listen", "", strconv.Quote(printable(c.Listen))+" is not an address with a port", "write host:port, such as 127.0.0.1:3002 or :3002")
		return true // reports no further problem
	}
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

func (d *decoder) checkURL(key, text string) {
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil {
		d.bad(key, "", "is not an http(s) address", "write one such as https://example.com, without user and password")
	}
}

func (d *decoder) checkLines(c *Config, insecure bool) {
	if len(c.Lines) == 0 {
		d.bad("lines", "", "has no line", "add one below lines:, or set sandbox: true to try without WhatsApp")
	}
	owner := map[string]string{}
	for _, id := range c.LineIDs() {
		l := c.Lines[id]
		path := join("lines", id)
		needs, rate := []string{"phone_number_id", "token", "app_secret", "verify_token"}, Rate(80)
		if l.Provider == "evolution" {
			needs, rate = []string{"url", "instance", "api_key", "secret"}, 1
			if l.URL != "" {
				d.checkURL(path+".url", l.URL)
			}
		}
		l.Rate = cmp.Or(l.Rate, rate)
		for _, f := range fields(reflect.TypeFor[Line]()) {
			lacks := slices.Contains(needs, keyOf(f)) && reflect.ValueOf(l).Elem().FieldByIndex(f.Index).IsZero()
			if lacks && (f.Type != secretType || !insecure) {
				d.missing(path, keyOf(f), f.Tag.Get("doc"))
			}
		}
		d.checkUnique(owner, l, path)
	}
}

// checkUnique refuses two lines with the same number: answers would be sent from the
// wrong line.
func (d *decoder) checkUnique(owner map[string]string, l *Line, path string) {
	var ref, key string
	switch {
	case l.Provider == "evolution" && l.Instance != "":
		ref, key = strings.TrimRight(l.URL, "/")+" "+l.Instance, "instance"
	case l.Provider != "evolution" && l.PhoneNumberID != "":
		ref, key = l.PhoneNumberID, "phone_number_id"
		if !digits.MatchString(ref) {
			d.bad(path+".phone_number_id", "", "must be digits only", "copy the phone number id from Meta's WhatsApp manager; it is not the phone number")
		}
	default:
		return
	}
	if l.BusinessAccountID != "" && !digits.MatchString(l.BusinessAccountID) {
		d.bad(path+".business_account_id", "", "must be digits only", "copy the id of the WhatsApp business account from Meta's WhatsApp manager, or leave it out")
	}
	if other, taken := owner[ref]; taken {
		d.bad(path+"."+key, "", "is the same as that of "+other, "give each line its own; if two lines share a number, answers are sent from the wrong line")
		return
	}
	owner[ref] = path
}

func (d *decoder) checkAlerts(c *Config) {
	a := &c.Alerts
	for _, u := range a.URL.Values() {
		d.checkURL("alerts.url", u)
	}
	number, notPhone := phone.Typed(a.WhatsApp, c.DefaultCountry)
	switch {
	case a.WhatsApp == "" && a.Template != "":
		d.bad("alerts.template", "", "needs a number", "set alerts.whatsapp, or remove the template")
	case a.WhatsApp == "":
	case notPhone != nil:
		d.bad("alerts.whatsapp", "", "is not a phone number", "write digits with the country code, such as 5491155550000")
	case a.Template == "":
		d.bad("alerts.whatsapp", "", "needs a template: outside the service window WhatsApp accepts nothing else", "set alerts.template to an approved template whose body has {{1}}")
	default:
		a.WhatsApp = number
		if a.Line == "" {
			for _, id := range c.LineIDs() {
				if c.Lines[id].Provider == "cloud" && a.Line == "" {
					a.Line = id
				}
			}
		}
		if l := c.Lines[a.Line]; l == nil || l.Provider != "cloud" {
			d.bad("alerts.line", "", "is not a cloud line", "write the id of a line with provider: cloud; only those have templates")
		}
	}
	if a.Every.D() < 100*time.Millisecond || a.Every.D() > time.Minute {
		d.bad("alerts.every", "", "is too short or too long", "write between 1s and 1m, such as 15s")
	}
}

func (d *decoder) checkEndpoints(c *Config) {
	names := map[string]bool{}
	for i, e := range c.Endpoints {
		path := join("endpoints", strconv.Itoa(i))
		if e.Name != "" && !lineID.MatchString(e.Name) {
			d.bad(path+".name", "", "is not a valid name", "use lower-case letters, digits, _ and -, at most 32")
		}
		if names[e.Name] && e.Name != "" {
			d.bad(path+".name", "", "is taken by another endpoint", "give each endpoint its own name")
		}
		names[e.Name] = true
		if e.URL != "" {
			d.checkURL(path+".url", e.URL)
		}
		for _, v := range e.Secret.Values() {
			if e.Format != "standard" {
				break
			}
			key, found := strings.CutPrefix(v, "whsec_")
			if raw, err := base64.StdEncoding.DecodeString(key); !found || err != nil || len(raw) < 16 {
				d.bad(path+".secret", "", "is not a Standard Webhooks secret", "write whsec_ and at least 24 bytes in base64, as `echo whsec_$(openssl rand -base64 24)` prints")
			}
		}
		for _, a := range e.Allow {
			if _, _, err := net.SplitHostPort(a); err != nil {
				d.bad(path+".allow", "", strconv.Quote(printable(a))+" is not a host:port", "write one such as 127.0.0.1:5678")
			}
		}
		d.checkLineIDs(c, path+".lines", e.Lines)
	}
}

func (d *decoder) checkLineIDs(c *Config, path string, lines []string) {
	for _, id := range lines {
		if c.Lines[id] == nil {
			d.bad(path, "", "names the line "+strconv.Quote(printable(id))+", which does not exist", "use one of "+strings.Join(c.LineIDs(), ", "))
		}
	}
}

// LineIDs returns the ids of the lines, sorted.
func (c *Config) LineIDs() []string { return slices.Sorted(maps.Keys(c.Lines)) }

// CheckAreas refuses areas that the flow does not have. find reports whether the
// flow has an area of that id or alias.
func (c *Config) CheckAreas(known []string, find func(string) bool) error {
	d := &decoder{}
	check := func(path string, areas []string) {
		for _, a := range areas {
			if !find(a) {
				d.bad(path, "", "names the area "+strconv.Quote(printable(a))+", which the flow does not have", "use one of "+strings.Join(known, ", "))
			}
		}
	}
	for i, k := range c.APIKeys {
		check(join("api_keys", strconv.Itoa(i))+".areas", k.Areas)
	}
	for i, e := range c.Endpoints {
		check(join("endpoints", strconv.Itoa(i))+".areas", e.Areas)
	}
	if len(d.problems) > 0 {
		return d.problems
	}
	return nil
}

// CheckRole refuses a role when the queue is embedded: other processes cannot reach it.
func (c *Config) CheckRole(role string) error {
	if role == "" || role == "all" || !c.RedisURL.Empty() {
		return nil
	}
	return Problems{{
		Key: "--role " + printable(role), Reason: "needs a queue that several processes share, and the embedded queue belongs to one",
		Fix: "start without --role, or set redis_url and database_url",
	}}
}
