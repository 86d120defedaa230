// Package config is everything that an operator can set: one struct, filled
// from defaults, a YAML file and the environment, and checked as a whole, so
// that all that is wrong is said at once, with the place, the reason and the
// cure. It must never start anything, nor print a secret.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration. The tags are its documentation:
// docs/configuration.md is made from them, and a test keeps it true. The tag
// later names what this version accepts without effect.
type Config struct {
	Listen            string           `yaml:"listen" default:"127.0.0.1:3002" doc:"Address of the door, the API and the pages."`
	DataDir           string           `yaml:"data_dir" default:"./data" doc:"Where the embedded queue and store, media and the admin socket live."`
	RedisURL          Secret           `yaml:"redis_url" doc:"Queue on Redis, for many processes; needs database_url. Absent: embedded queue."`
	Durability        string           `yaml:"durability" default:"fsync" oneof:"fsync replica relaxed" doc:"What a 200 promises: fsync is on the disk; replica is in the memory of a second Redis, for Sentinel and Cluster (all with appendonly yes, and appendfsync no or always); relaxed survives only a crash of the router."`
	DatabaseURL       Secret           `yaml:"database_url" doc:"Store on PostgreSQL, through a pooler in transaction mode too. Alone, without redis_url: one process only. Absent: embedded store."`
	DatabaseDirectURL Secret           `yaml:"database_direct_url" doc:"For migrations, when database_url is a pooler."`
	Flow              string           `yaml:"flow" doc:"YAML file of the conversation. Absent: flows/psi.yaml as it ships inside the program." example:"flows/psi.yaml"`
	GraphURL          string           `yaml:"graph_url" default:"https://graph.facebook.com/v26.0" doc:"WhatsApp's Graph API, with its version."`
	Sandbox           bool             `yaml:"sandbox" default:"false" doc:"Fake WhatsApp with a phone at /sandbox and a line of that name. On when nothing at all is configured. Loopback only."`
	Insecure          bool             `yaml:"insecure" default:"false" doc:"Start although lines lack secrets. Loopback only."`
	Spool             bool             `yaml:"spool" default:"true" doc:"With Redis: keep what it cannot take on disk until it can; only where data_dir outlives the process."`
	StaleAfter        Duration         `yaml:"stale_after" default:"10m" doc:"A message that was this old when it reached the door is stored and not answered. 0: never stale."`
	HandoffTimeout    Duration         `yaml:"handoff_timeout" default:"24h" doc:"A hand-off without any message of a human or the contact for so long is closed. 0: never."`
	DrainTimeout      Duration         `yaml:"drain_timeout" default:"25s" doc:"How long the whole stop may take after SIGTERM; the service manager must wait longer."`
	DefaultCountry    string           `yaml:"default_country" default:"AR" doc:"Where phone numbers without country code belong (ISO 3166, two letters)."`
	Timezone          string           `yaml:"timezone" default:"America/Argentina/Buenos_Aires" doc:"Zone of the dates that people read, and of a ticket's year."`
	LogLevel          string           `yaml:"log_level" default:"info" oneof:"debug info warn error" doc:"Least level that is logged."`
	LogFormat         string           `yaml:"log_format" default:"auto" oneof:"auto json text" doc:"auto writes text to a terminal and JSON elsewhere."`
	MediaMax          Size             `yaml:"media_max" default:"100MB" doc:"Largest file that is downloaded."`
	MetricsListen     string           `yaml:"metrics_listen" doc:"Where a worker answers /metrics, /healthz, /readyz and /status; of several each takes the next free port, of 16. Absent: only on its socket in data_dir. Who answers webhooks has them at listen." example:"127.0.0.1:9464"`
	TrustedProxies    []netip.Prefix   `yaml:"trusted_proxies" default:"127.0.0.1/32" doc:"Whose X-Forwarded-For is believed."`
	TLSDomain         string           `yaml:"tls_domain" doc:"Serve TLS on listen, with a certificate of this domain that is got and renewed by itself; port 443 of the domain has to reach listen. For one process; behind nginx or Caddy leave it out." example:"router.example.com"`
	TLSEmail          string           `yaml:"tls_email" doc:"Where the certificate authority writes when something is wrong with the certificate."`
	TLSACMEURL        string           `yaml:"tls_acme_url" default:"https://acme-v02.api.letsencrypt.org/directory" doc:"Directory of the certificate authority (ACME)."`
	PublicURL         string           `yaml:"public_url" doc:"How browsers and the CRM reach the router, where a proxy stands before it. Absent: https:// and tls_domain. Its host is a name under which pages may be opened." example:"https://router.example.com"`
	Hosts             []string         `yaml:"hosts" doc:"More names and addresses under which pages may be opened, without port; others are answered 421. Those of loopback, listen, tls_domain and public_url may be used anyway." example:"router.lan, 192.168.1.20"`
	AdminPassword     Secret           `yaml:"admin_password" later:"the pages need no password yet" doc:"Password of the pages. Absent: made and printed once."`
	APIKeys           []APIKey         `yaml:"api_keys" doc:"Keys that open the API."`
	Worker            Worker           `yaml:"worker" doc:"How much is done at once."`
	Retention         Retention        `yaml:"retention" later:"everything is kept for ever" doc:"How long things are kept."`
	Lines             map[string]*Line `yaml:"lines" doc:"WhatsApp numbers, by an id of your choice."`
	Endpoints         []Endpoint       `yaml:"endpoints" doc:"Who gets events pushed. A new name begins with what happens from then on; one that was known goes on where it was."`
	Alerts            Alerts           `yaml:"alerts" doc:"Where the router cries for help."`

	// File is the YAML file that was read, "" without one.
	File string `yaml:"-"`
	// Dev is set when nothing at all was configured: the development identity.
	Dev bool `yaml:"-"`
	// Notes tell the operator what is open, not needed or without effect.
	Notes []string `yaml:"-"`
}

// APIKey opens the API to somebody.
type APIKey struct {
	Name  string   `yaml:"name" required:"true" doc:"Who it is for; the audit shows it. Several keys may share one, with the same role, lines and areas, while one is changed."`
	Key   Secret   `yaml:"key" required:"true" doc:"The key, or sha256:<hex> as psi-router key new prints it."`
	Role  string   `yaml:"role" default:"viewer" oneof:"viewer agent admin" doc:"viewer reads, agent also writes and commands conversations, admin also queues and the audit."`
	Lines []string `yaml:"lines" doc:"Lines that it may see; empty: all."`
	Areas []string `yaml:"areas" doc:"Areas that it may see; empty: all."`
	Rate  Rate     `yaml:"rate" doc:"Most requests, in each process; twice as many may come at once. Absent: 100/s."`
}

// Worker bounds the turns of one process.
type Worker struct {
	Concurrency int  `yaml:"concurrency" default:"4" min:"1" max:"256" doc:"Batches of turns at once in this process."`
	Batch       int  `yaml:"batch" default:"400" min:"1" max:"1000" doc:"Most messages in one transaction. They share its commit and the planning of its statements."`
	Rate        Rate `yaml:"rate" doc:"Most messages handled, for all processes together." example:"100/s"`
}

// Retention is how long things are kept; 0 is for ever.
type Retention struct {
	Messages Duration `yaml:"messages" default:"0" doc:"Messages and their media. 0: for ever."`
	Events   Duration `yaml:"events" default:"30d" doc:"Events. 0: for ever."`
	Raw      Duration `yaml:"raw" default:"30d" doc:"What providers sent, as it came. 0: for ever."`
}

// Line is one WhatsApp number.
type Line struct {
	ID                string `yaml:"-"`
	Provider          string `yaml:"provider" default:"cloud" oneof:"cloud evolution" doc:"Who carries its messages."`
	PhoneNumberID     string `yaml:"phone_number_id" doc:"cloud: the number's id at Meta (not the number itself)."`
	BusinessAccountID string `yaml:"business_account_id" doc:"cloud: the WhatsApp business account's id at Meta. With it the categories of templates are known, and who opted out gets no marketing."`
	Number            string `yaml:"number" doc:"The number as people dial it; for display only."`
	Token             Secret `yaml:"token" doc:"cloud: access token of a system user."`
	AppSecret         Secret `yaml:"app_secret" doc:"cloud: the app's secret, which signs webhooks and proves our calls to graph_url."`
	VerifyToken       Secret `yaml:"verify_token" doc:"cloud: word of your choice for the webhook handshake."`
	Rate              Rate   `yaml:"rate" doc:"Most messages sent. Absent: 80/s on cloud, 1/s on evolution."`
	URL               string `yaml:"url" doc:"evolution: address of the server."`
	Instance          string `yaml:"instance" doc:"evolution: name of the instance."`
	APIKey            Secret `yaml:"api_key" doc:"evolution: the instance's key."`
	Secret            Secret `yaml:"secret" doc:"evolution, n8n: what callers send as X-Webhook-Secret or bearer."`
}

// Endpoint gets events pushed.
type Endpoint struct {
	Name        string   `yaml:"name" required:"true" doc:"Name of the endpoint, and of its queue."`
	URL         string   `yaml:"url" required:"true" doc:"Where events are posted."`
	Secret      Secret   `yaml:"secret" required:"true" doc:"Signs the events: whsec_<base64> for standard, any word for n8n."`
	Events      []string `yaml:"events" default:"*" doc:"Event types; * is all, message.* a family."`
	Lines       []string `yaml:"lines" doc:"Only these lines; empty: all."`
	Areas       []string `yaml:"areas" doc:"Only these areas; empty: all."`
	Format      string   `yaml:"format" default:"standard" oneof:"standard n8n" doc:"Standard Webhooks, or the n8n inbox notice."`
	Rate        Rate     `yaml:"rate" doc:"Most events pushed, for all processes together." example:"20/s"`
	Concurrency int      `yaml:"concurrency" default:"8" min:"1" max:"64" doc:"Posts at once in one process; one conversation has one at a time."`
	Allow       []string `yaml:"allow" doc:"Private host:port that this endpoint may be; without it only public addresses are called." example:"127.0.0.1:5678"`
}

// Alerts says where the router cries for help.
type Alerts struct {
	URL              Secret   `yaml:"url" doc:"Webhook that gets alerts as JSON with text (Slack), content (Discord) and fields (n8n and others)."`
	WhatsApp         string   `yaml:"whatsapp" doc:"Number that gets alerts by WhatsApp, with its country code." example:"5491155550000"`
	Template         string   `yaml:"template" doc:"Approved template for alerts by WhatsApp; its body has one parameter, {{1}}."`
	TemplateLanguage string   `yaml:"template_language" default:"es_AR" doc:"Language code of the template."`
	Line             string   `yaml:"line" doc:"Cloud line that sends them. Absent: the first one."`
	Language         string   `yaml:"language" default:"es" oneof:"es en" doc:"Language of the text."`
	Every            Duration `yaml:"every" default:"15s" doc:"Pause between two looks."`
	Hours            Hours    `yaml:"hours" default:"mon-fri 9-18" doc:"Working hours, in timezone: only then a line can be too silent and a team too slow. always is one too." example:"mon-fri 9-18, sat 9:30-13"`
	SilentAfter      Duration `yaml:"silent_after" default:"3h" doc:"Working time without a message after which a line is too silent. 0: never."`
	TeamAfter        Duration `yaml:"team_after" default:"2h" doc:"Working time that a person who was handed off may wait for the team. 0: for ever."`
}

// The development identity, when nothing is configured. It is public.
const (
	DevLine          = "sandbox"
	DevPhoneNumberID = "200000000000002"
	DevNumber        = "5491100000099"
	DevAccount       = "100000000000001"
	DevAppSecret     = "test_app_secret_0123456789abcdef"
	DevVerifyToken   = "sandbox"
	DevAPIKey        = "sandbox"
	DevToken         = "sandbox"
)

// Location returns the zone of Timezone, which was checked.
func (c *Config) Location() *time.Location {
	loc, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}
