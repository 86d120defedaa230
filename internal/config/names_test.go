package config

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	t.Parallel()
	c, err := load(t, good+"public_url: https://Router.Example.com/\nhosts: [Router.LAN., 192.168.1.20, '[FD00::1]', '::ffff:10.0.0.1', my_box]\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"router.lan", "192.168.1.20", "fd00::1", "10.0.0.1", "my_box"}, c.Hosts); diff != "" || c.PublicURL != "https://Router.Example.com" {
		t.Errorf("got %q, hosts (-want +got):\n%s", c.PublicURL, diff)
	}
	if c, err = load(t, good+"tls_domain: router.example.com\n"); err != nil || c.PublicURL != "https://router.example.com" {
		t.Errorf("with tls_domain: got %q, %v", c.PublicURL, err)
	}
	if c, err = load(t, good, "PSI_HOSTS=a.lan, b.lan"); err != nil || !slices.Equal(c.Hosts, []string{"a.lan", "b.lan"}) {
		t.Errorf("from the environment: got %q, %v", c.Hosts, err)
	}
	for bad, want := range map[string]string{
		"hosts: [https://router.lan]":           "is a URL",
		"hosts: ['router.lan:3002']":            "has a port",
		"hosts: ['*.lan']":                      "has a *",
		"hosts: ['*']":                          "has a *",
		"hosts: [ñandú.lan]":                    "xn--",
		"hosts: ['0.0.0.0']":                    "is the unspecified address",
		"hosts: ['::']":                         "is the unspecified address",
		"hosts: ['fe80::1%eth0']":               "has a port",
		"hosts: ['']":                           "is not a host name",
		"hosts: ['a b']":                        "is not a host name",
		"hosts: [-a.lan]":                       "is not a host name",
		"public_url: router.example.com":        "is not an http(s) address",
		"public_url: https://u:p@example.com":   "is not an http(s) address",
		"public_url: https://example.com/?a=b":  "has a query",
		"public_url: https://example.com/r#top": "has a query or a fragment",
	} {
		if _, err := load(t, good+bad+"\n"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "u:p@") {
			t.Errorf("%s: got %v, want %q", bad, err, want)
		}
	}
}

// TestKeyNames: the name of a key stands for one actor only.
func TestKeyNames(t *testing.T) {
	t.Parallel()
	const (
		one = ", key: 0123456789abcdef0"
		two = ", key: 0123456789abcdef1"
	)
	for _, ours := range []string{"cli", "timer", "router", "phone", "system", "contact", "agent", "program", "sandbox", "CLI", "Timer "} {
		for _, sandbox := range []string{"", "sandbox: true\n"} {
			_, err := load(t, good+sandbox+"api_keys: [{name: '"+ours+"'"+one+"}]\n")
			if err == nil || !strings.Contains(err.Error(), "api_keys.0.name") || !strings.Contains(err.Error(), "is reserved for the router") {
				t.Errorf("%s: got %v", ours, err)
			}
		}
	}
	for name, keys := range map[string]string{
		"rotation":     "{name: crm, role: agent, lines: [wsp4], areas: [a, b]" + one + "}, {name: crm, role: agent, lines: [wsp4, wsp4], areas: [b, a]" + two + "}",
		"other names":  "{name: crm, role: agent" + one + "}, {name: crm2" + two + "}",
		"like ours":    "{name: cli-ana" + one + "}, {name: router2" + two + "}",
		"one of many":  "{name: crm" + one + "}, {name: a" + two + "}, {name: crm" + two + "}",
		"by a default": "{name: crm, role: viewer" + one + "}, {name: crm, lines: []" + two + "}",
	} {
		if _, err := load(t, good+"api_keys: ["+keys+"]\n"); err != nil {
			t.Errorf("%s: got %v", name, err)
		}
	}
	for name, keys := range map[string]string{
		"role":      "{name: crm, role: agent" + one + "}, {name: crm, role: admin" + two + "}",
		"lines":     "{name: crm" + one + "}, {name: crm, lines: [wsp4]" + two + "}",
		"areas":     "{name: crm, areas: [a]" + one + "}, {name: crm, areas: [a, b]" + two + "}",
		"the third": "{name: crm" + one + "}, {name: crm" + two + "}, {name: 'crm ', role: agent, key: 0123456789abcdef2}",
	} {
		if _, err := load(t, good+"api_keys: ["+keys+"]\n"); err == nil || !strings.Contains(err.Error(), "is also the name of api_keys.0") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// TestSecretsAreAll: Secrets returns every secret of the configuration.
func TestSecretsAreAll(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
redis_url: rediss://user:redis-pass%2Fword@127.0.0.1:6379/0
database_url: postgres://psi:database-password@127.0.0.1/psi?sslpassword=key-password
database_direct_url: postgres://psi@127.0.0.1/psi?password=direct-password
admin_password: [admin-password, admin-password-old]
api_keys: [{name: crm, key: api-key-0123456789}]
lines:
  wsp4: {phone_number_id: "1", token: [line-token, line-token-old], app_secret: line-app-secret, verify_token: verify}
  ventas: {provider: evolution, url: "https://e.example.com", instance: i, api_key: evolution-key, secret: evolution-secret}
endpoints: [{name: crm, url: "https://n8n.example.com/webhook/0190a1b2-1234-7567-8901-123456789abc", secret: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw}]
alerts: {url: https://hooks.slack.com/services/T000/B000/XXXXXXXXXXXXXXXXXXXXXXXX}
`)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"redis-pass/word", "redis-pass%2Fword", "database-password", "key-password", "direct-password", "admin-password", "admin-password-old", "api-key-0123456789",
		"line-token", "line-token-old", "line-app-secret", "verify", "evolution-key", "evolution-secret", "0190a1b2-1234-7567-8901-123456789abc",
		"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "XXXXXXXXXXXXXXXXXXXXXXXX",
		// Proofs: printf line-token | openssl dgst -sha256 -hmac line-app-secret
		"2a6ee3234af2dd57c10529d345398d8ed58099fef9d30d5dd4cf31683b2f362c", "bda506c2c266629779a5bb418f551fd0aa48296901c55d33ac640ca21d5558d3",
	}
	got := c.Secrets()
	for _, s := range want {
		if !slices.Contains(got, s) {
			t.Errorf("%s is missing", s)
		}
	}
	if dev, err := Load(Options{}); err != nil || len(dev.Secrets()) != 0 {
		t.Errorf("of the development identity: got %q, %v", dev.Secrets(), err)
	}
	if c, err = load(t, good+"redis_url: redis://127.0.0.1:6379/0\ndatabase_url: postgres://psi@127.0.0.1/psi\n"); err != nil || slices.ContainsFunc(c.Secrets(), func(s string) bool { return strings.Contains(s, "127.0.0.1") }) {
		t.Errorf("addresses without a password: got %q, %v", c.Secrets(), err)
	}
}
