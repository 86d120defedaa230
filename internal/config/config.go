// Package config is everything that an operator can set: one struct, filled
// from defaults, a YAML file and the environment. It is checked as a whole: one
// error lists every problem with its place, reason and cure. It must never start
// anything, nor print a secret.
package config

import (
	"net/netip"
	"time"
)

// Config is the whole configuration. docs/configuration.md is generated from its
// tags, and a test compares them. The tag later marks a key that this version
// accepts without effect.
type Config struct {
	Listen            string           `yaml:"listen" default:"127.0.0.1:3002" doc:"Address of the webhooks, the API and the pages."`
	DataDir           string           `yaml:"data_dir" default:"./data" doc:"Directory of the embedded queue and store, the media and the admin socket."`
	RedisURL          Secret           `yaml:"redis_url" doc:"Redis for the queue, shared by several processes; needs database_url. Absent: embedded queue."`
	Durability        string           `yaml:"durability" default:"fsync" oneof:"fsync replica relaxed" doc:"Where a message is before its 200. fsync: on disk. replica: in the memory of a second Redis, for Sentinel and Cluster (all with appendonly yes, and appendfsync no or always). relaxed: not yet on disk; it survives only a crash of the router."`
	DatabaseURL       Secret           `yaml:"database_url" doc:"PostgreSQL for the store; a pooler in transaction mode works too. Without redis_url: one process only. Absent: embedded store."`
	DatabaseDirectURL Secret           `yaml:"database_direct_url" doc:"Direct address of the database, for migrations, when database_url is a pooler."`
	Flow              string           `yaml:"flow" doc:"YAML file of the flow. Absent: the flows/psi.yaml built into the program." example:"flows/psi.yaml"`
	GraphURL          string           `yaml:"graph_url" default:"https://graph.facebook.com/v26.0" doc:"Address of WhatsApp's Graph API, with its version."`
	Sandbox           bool             `yaml:"sandbox" default:"false" doc:"Fake WhatsApp, with a phone at /sandbox and a line named sandbox. On when nothing is configured. Loopback only."`
	Insecure          bool             `yaml:"insecure" default:"false" doc:"Start even if lines lack secrets. Loopback only."`
	Spool             bool             `yaml:"spool" default:"true" doc:"With Redis: keep jobs on disk while Redis cannot take them. Turn it off where data_dir does not outlive the process."`
	StaleAfter        Duration         `yaml:"stale_after" default:"10m" doc:"A message this old on arrival is stored and not answered. 0: no message is too old."`
	HandoffTimeout    Duration         `yaml:"handoff_timeout" default:"24h" doc:"Close a hand-off after this long without a message from the contact or an agent. 0: never."`
	DrainTimeout      Duration         `yaml:"drain_timeout" default:"25s" doc:"Time limit of the shutdown after SIGTERM; the service manager must wait longer."`
	DefaultCountry    string           `yaml:"default_country" default:"AR" doc:"Country of phone numbers without a country code (ISO 3166, two letters)."`
	Timezone          string           `yaml:"timezone" default:"America/Argentina/Buenos_Aires" doc:"Time zone of the dates that people read, and of a ticket's year."`
	LogLevel          string           `yaml:"log_level" default:"info" oneof:"debug info warn error" doc:"Lowest level that is logged."`
	LogFormat         string           `yaml:"log_format" default:"auto" oneof:"auto json text" doc:"auto writes text to a terminal and JSON elsewhere."`
	MediaMax          Size             `yaml:"media_max" default:"100MB" doc:"Largest file that is downloaded."`
	MetricsListen     string           `yaml:"metrics_listen" doc:"Address at which a worker serves /metrics, /healthz, /readyz and /status. Several workers each take the next free of 16 ports. Absent: only the socket in data_dir. A process that serves webhooks has these pages at listen." example:"127.0.0.1:9464"`
	TrustedProxies    []netip.Prefix   `yaml:"trusted_proxies" default:"127.0.0.1/32" doc:"Addresses of proxies whose X-Forwarded-For is trusted."`
	TLSDomain         string           `yaml:"tls_domain" doc:"Serve TLS on listen, with a certificate of this domain that the router gets and renews. Port 443 of the domain must reach listen. For one process; leave it out behind nginx or Caddy." example:"router.example.com"`
	TLSEmail          string           `yaml:"tls_email" doc:"E-mail address for problems with the certificate, given to the certificate authority."`
	TLSACMEURL        string           `yaml:"tls_acme_url" default:"https://acme-v02.api.letsencrypt.org/directory" doc:"Directory of the certificate authority (ACME)."`
	PublicURL         string           `yaml:"public_url" doc:"Address at which browsers and the CRM reach the router, if it is behind a proxy. Absent: https:// and tls_domain. Pages may be opened under its host." example:"https://router.example.com"`
	Hosts             []string         `yaml:"hosts" doc:"More hosts under which pages may be opened, without port; others are answered 421. Loopback and the hosts of listen, tls_domain and public_url are always allowed." example:"router.lan, 192.168.1.20"`
	AdminPassword     Secret           `yaml:"admin_password" later:"the pages need no password yet" doc:"Password of the pages. Absent: generated, and printed once."`
	APIKeys           []APIKey         `yaml:"api_keys" doc:"Keys of the API."`
	Worker            Worker           `yaml:"worker" doc:"Limits of message processing."`
	Retention         Retention        `yaml:"retention" later:"everything is kept for ever" doc:"How long data are kept."`
	Lines             map[string]*Line `yaml:"lines" doc:"WhatsApp numbers, each under an id of your choice."`
	Endpoints         []Endpoint       `yaml:"endpoints" doc:"URLs that get events pushed. A new name starts with new events; a known one resumes where it stopped."`
	Alerts            Alerts           `yaml:"alerts" doc:"Where alerts are sent."`

	// File is the path of the YAML file, "" without one.
	File string `yaml:"-"`
	// Dev is set when nothing is configured: the development identity applies.
	Dev bool `yaml:"-"`
	// Notes warn the operator about settings that are insecure, unneeded or without effect.
	Notes []string `yaml:"-"`
}

// APIKey is one key of the API.
type APIKey struct {
	Name  string   `yaml:"name" required:"true" doc:"Holder of the key, as the audit shows it. During a rotation several keys may share a name, with the same role, lines and areas."`
	Key   Secret   `yaml:"key" required:"true" doc:"The key, or sha256:<hex> as psi-router key new prints it."`
	Role  string   `yaml:"role" default:"viewer" oneof:"viewer agent admin" doc:"viewer reads. agent also writes and commands conversations. admin also manages queues and reads the audit."`
	Lines []string `yaml:"lines" doc:"Lines that the key may see; empty: all."`
	Areas []string `yaml:"areas" doc:"Areas that the key may see; empty: all."`
	Rate  Rate     `yaml:"rate" doc:"Maximum request rate, per process; bursts of twice as many are allowed. Absent: 100/s."`
}

// Worker bounds the turns of one process.
type Worker struct {
	Concurrency int  `yaml:"concurrency" default:"4" min:"1" max:"256" doc:"Batches processed at once, per process."`
	Batch       int  `yaml:"batch" default:"400" min:"1" max:"1000" doc:"Maximum number of messages in one transaction. They share its commit and the planning of its statements."`
	Rate        Rate `yaml:"rate" doc:"Maximum rate of messages handled, by all processes together." example:"100/s"`
}

// Retention is how long data are kept; 0 is for ever.
type Retention struct {
	Messages Duration `yaml:"messages" default:"0" doc:"Messages and their media. 0: for ever."`
	Events   Duration `yaml:"events" default:"30d" doc:"Events. 0: for ever."`
	Raw      Duration `yaml:"raw" default:"30d" doc:"Webhooks as the providers sent them. 0: for ever."`
}

// Line is one WhatsApp number.
type Line struct {
	ID                string `yaml:"-"`
	Provider          string `yaml:"provider" default:"cloud" oneof:"cloud evolution" doc:"Provider of the line."`
	PhoneNumberID     string `yaml:"phone_number_id" doc:"cloud: the number's id at Meta (not the number itself)."`
	BusinessAccountID string `yaml:"business_account_id" doc:"cloud: the WhatsApp business account's id at Meta. Needed to know which templates are marketing, which people who opted out do not get."`
	Number            string `yaml:"number" doc:"The number as people dial it; for display only."`
	Token             Secret `yaml:"token" doc:"cloud: access token of a system user."`
	AppSecret         Secret `yaml:"app_secret" doc:"cloud: the app's secret. It signs webhooks, and proves our calls to graph_url."`
	VerifyToken       Secret `yaml:"verify_token" doc:"cloud: a word of your choice for the webhook handshake."`
	Rate              Rate   `yaml:"rate" doc:"Maximum rate of messages sent. Absent: 80/s on cloud, 1/s on evolution."`
	URL               string `yaml:"url" doc:"evolution: address of the server."`
	Instance          string `yaml:"instance" doc:"evolution: name of the instance."`
	APIKey            Secret `yaml:"api_key" doc:"evolution: the instance's key."`
	Secret            Secret `yaml:"secret" doc:"evolution, n8n: secret that callers send as X-Webhook-Secret or bearer token."`
}

// Endpoint is a URL that gets events pushed.
type Endpoint struct {
	Name        string   `yaml:"name" required:"true" doc:"Name of the endpoint, and of its queue."`
	URL         string   `yaml:"url" required:"true" doc:"URL to which events are posted."`
	Secret      Secret   `yaml:"secret" required:"true" doc:"Signs the events: whsec_<base64> for standard, any word for n8n."`
	Events      []string `yaml:"events" default:"*" doc:"Event types; * is all, message.* a family."`
	Lines       []string `yaml:"lines" doc:"Only these lines; empty: all."`
	Areas       []string `yaml:"areas" doc:"Only these areas; empty: all."`
	Format      string   `yaml:"format" default:"standard" oneof:"standard n8n" doc:"standard is Standard Webhooks; n8n is the n8n inbox notice."`
	Rate        Rate     `yaml:"rate" doc:"Maximum rate of events pushed, by all processes together." example:"20/s"`
	Concurrency int      `yaml:"concurrency" default:"8" min:"1" max:"64" doc:"Posts under way at once, per process; each conversation has at most one."`
	Allow       []string `yaml:"allow" doc:"Private host:port that this endpoint may use; without it only public addresses are called." example:"127.0.0.1:5678"`
}

// Alerts is where alerts are sent, and when.
type Alerts struct {
	URL              Secret   `yaml:"url" doc:"Webhook that gets alerts as JSON with text (Slack), content (Discord) and fields (n8n and others)."`
	WhatsApp         string   `yaml:"whatsapp" doc:"Number that gets alerts by WhatsApp, with its country code." example:"5491155550000"`
	Template         string   `yaml:"template" doc:"Approved template for alerts by WhatsApp; its body has one parameter, {{1}}."`
	TemplateLanguage string   `yaml:"template_language" default:"es_AR" doc:"Language code of the template."`
	Line             string   `yaml:"line" doc:"Cloud line that sends the alerts. Absent: the first one."`
	Language         string   `yaml:"language" default:"es" oneof:"es en" doc:"Language of the text."`
	Every            Duration `yaml:"every" default:"15s" doc:"Interval between two evaluations."`
	Hours            Hours    `yaml:"hours" default:"mon-fri 9-18" doc:"Working hours, in timezone, or always. Alerts about a silent line or a slow team count working hours only." example:"mon-fri 9-18, sat 9:30-13"`
	SilentAfter      Duration `yaml:"silent_after" default:"3h" doc:"Alert when a line has had no message for this much working time. 0: never."`
	TeamAfter        Duration `yaml:"team_after" default:"2h" doc:"Alert when a person has waited for the team for this much working time. 0: never."`
}

// The development identity applies when nothing is configured. It is public.
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

// Location returns the zone of Timezone; Load has checked its name.
func (c *Config) Location() *time.Location {
	loc, err := time.LoadLocation(c.Timezone)
	if err != nil {
		return time.UTC
	}
	return loc
}
