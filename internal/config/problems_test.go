package config

import (
	"os"
	"strings"
	"testing"
)

// TestProblems: each case gives one problem, and its message contains every part.
func TestProblems(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, yaml string
		env        []string
		want       []string
	}{
		{"typo", good + "listn: x\n", nil, []string{"listn (psi.yaml:3)", "is unknown", "Did you mean listen?"}},
		{"dash", good + "data-dir: x\n", nil, []string{"data-dir", "Did you mean data_dir?"}},
		{"typo in a line", "lines:\n  wsp4: {phone_number_id: 1, tokn: x, token: t, app_secret: s, verify_token: v}\n", nil, []string{"lines.wsp4.tokn (psi.yaml:2)", "Did you mean token?"}},
		{"wrong place", good + "phone_number_id: 1\n", nil, []string{"phone_number_id", "It belongs to a line, below lines.<id>"}},
		{"nowhere near", good + "worker: {zzzzzzzzz: 1}\n", nil, []string{"worker.zzzzzzzzz", "the keys here are concurrency, batch, rate"}},
		{"twice", good + "listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", nil, []string{"listen (psi.yaml:4)", "is here twice"}},
		{"no yaml", "a: [\n", []string{"PSI_LINES_WSP4_TOKEN=t"}, []string{"psi.yaml", "is not YAML", "line"}},
		{"only text", "hola\n", nil, []string{"is not a list of keys and values"}},
		{"merge", "x: &x {provider: cloud}\n", []string{"PSI_SANDBOX=true"}, []string{"x (psi.yaml:1)", "is unknown"}},
		{"lacks a secret", "lines: {wsp4: {phone_number_id: 1, token: t, verify_token: v}}\n", nil, []string{"lines.wsp4.app_secret", "is missing", "PSI_LINES_WSP4_APP_SECRET"}},
		{"lacks an id", "lines: {wsp4: {token: t, app_secret: s, verify_token: v}}\n", nil, []string{"lines.wsp4.phone_number_id", "is missing"}},
		{"evolution lacks", "lines: {v: {provider: evolution, url: http://x, instance: v, api_key: k}}\n", nil, []string{"lines.v.secret", "is missing"}},
		{"number for an id", "lines: {wsp4: {phone_number_id: '+54 9 11', token: t, app_secret: s, verify_token: v}}\n", nil, []string{"lines.wsp4.phone_number_id", "must be digits only", "not the phone number"}},
		{"a name for an account", "lines: {wsp4: {phone_number_id: 1, business_account_id: PSI, token: t, app_secret: s, verify_token: v}}\n", nil, []string{"lines.wsp4.business_account_id", "must be digits only", "leave it out"}},
		{"same id", good + "  b: {phone_number_id: 100000000000001, token: t, app_secret: s, verify_token: v}\n", nil, []string{"lines.wsp4.phone_number_id", "is the same as that of lines.b"}},
		{"same instance", "lines:\n  a: &a {provider: evolution, url: http://x, instance: v, api_key: k, secret: s}\n  b: *a\n", nil, []string{"lines.b.instance", "is the same as that of lines.a"}},
		{"provider", "lines: {wsp4: {provider: meta, phone_number_id: 1, token: t, app_secret: s, verify_token: v}}\n", nil, []string{"lines.wsp4.provider", `"meta" is not possible`, "Write one of cloud, evolution"}},
		{"id of a line", "lines: {'WSP 4': {phone_number_id: 1, token: t, app_secret: s, verify_token: v}}\n", nil, []string{"lines.WSP 4", "is not a valid line id"}},
		{"no lines", "log_level: info\n", nil, []string{"lines", "has no line", "sandbox: true"}},
		{"level", good + "log_level: loud\n", nil, []string{"log_level", "debug, info, warn, error"}},
		{"duration", good + "stale_after: 10\n", nil, []string{"stale_after (psi.yaml:3)", "is not a duration", "30d"}},
		{"negative", good + "stale_after: -3s\n", nil, []string{"stale_after", "is negative"}},
		{"rate", good + "worker: {rate: fast}\n", nil, []string{"worker.rate", "is not a rate", "80/s"}},
		{"size", good + "media_max: big\n", nil, []string{"media_max", "is not a size", "100MB"}},
		{"bool", good + "spool: maybe\n", nil, []string{"spool", "neither true nor false"}},
		{"int", good + "worker: {batch: 0}\n", nil, []string{"worker.batch", "from 1 to 1000"}},
		{"proxy", good + "trusted_proxies: [nginx]\n", nil, []string{"trusted_proxies.0", "is not an address range"}},
		{"listen", good + "listen: here\n", nil, []string{"listen", "is not an address with a port"}},
		{"graph", good + "graph_url: graph.facebook.com\n", nil, []string{"graph_url", "is not an http(s) address"}},
		{"country", good + "default_country: Argentina\n", nil, []string{"default_country", "two letters"}},
		{"zone", good + "timezone: Buenos Aires\n", nil, []string{"timezone", "does not exist"}},
		{"shape", good + "worker: 4\n", nil, []string{"worker (psi.yaml:3)", "must hold keys and values"}},
		{"shape of a value", good + "listen: {a: b}\n", nil, []string{"listen", "must be a single value"}},
		{"shape of a list", good + "endpoints: {a: b}\n", nil, []string{"endpoints", "must be a list"}},
		{"shape of a secret", "lines: {wsp4: {phone_number_id: 1, token: {a: b}, app_secret: s, verify_token: v}}\ninsecure: true\n", nil, []string{"lines.wsp4.token", "one value or a list"}},
		{"white space", "insecure: true\nlines: {wsp4: {phone_number_id: 1, token: 'a b'}}\n", nil, []string{"lines.wsp4.token", "contains white space"}},
		{"queue without store", good + "redis_url: redis://h\n", nil, []string{"redis_url", "needs database_url"}},
		{"direct url alone", good + "database_direct_url: postgres://u:p@h/d\n", nil, []string{"database_direct_url", "needs database_url"}},
		{"replica", good + "durability: replica\n", nil, []string{"durability", "has no replica"}},
		{"tls with a scheme", good + "tls_domain: https://x.example\n", nil, []string{"tls_domain", "is not a DNS name", "without https://"}},
		{"tls of a machine", good + "tls_domain: router\n", nil, []string{"tls_domain", "is not a DNS name"}},
		{"tls of the sandbox", good + "tls_domain: x.example\nsandbox: true\n", nil, []string{"tls_domain", "secrets are public"}},
		{"authority", good + "tls_domain: x.example\ntls_acme_url: letsencrypt\n", nil, []string{"tls_acme_url", "is not an http(s) address"}},
		{"insecure outside", good + "insecure: true\nlisten: 0.0.0.0:3002\n", nil, []string{"insecure", "reachable from outside"}},
		{"sandbox outside", good + "sandbox: true\nlisten: ':3002'\n", nil, []string{"sandbox", "secrets are public"}},
		{"variable", good + "flow: ${NOPE}\n", nil, []string{"flow (psi.yaml:3)", "needs the variable NOPE"}},
		{"open variable", good + "flow: ${NOPE\n", nil, []string{"flow", "has ${ without }"}},
		{"unknown variable", good, []string{"PSI_LISTN=x"}, []string{"PSI_LISTN (environment)", "Did you mean PSI_LISTEN?"}},
		{"unknown variable of a line", good, []string{"PSI_LINES_WSP4_TOKN=x"}, []string{"PSI_LINES_WSP4_TOKN", "PSI_LINES_<ID>_<KEY>"}},
		{"gap", good, []string{"PSI_ENDPOINTS_2_URL=https://x"}, []string{"endpoints.2.url", "leaves a gap"}},
		{"both", good, []string{"PSI_LINES_WSP4_TOKEN=x", "PSI_LINES_WSP4_TOKEN_FILE=/run/token"}, []string{"lines.wsp4.token", "is also set by PSI_LINES_WSP4_TOKEN"}},
		{"both in the file", "lines: {wsp4: {phone_number_id: 1, token: t, token_file: /run/token, app_secret: s, verify_token: v}}\ninsecure: true\n", nil, []string{"lines.wsp4.token", "is set both here and by token_file"}},
		{"no such file", good + "insecure: true\n", []string{"PSI_LINES_WSP4_TOKEN_FILE=/nope"}, []string{"lines.wsp4.token (PSI_LINES_WSP4_TOKEN_FILE)", "/nope: file does not exist"}},
		{"empty file", good + "insecure: true\n", []string{"PSI_LINES_WSP4_TOKEN_FILE=/run/empty"}, []string{"has an empty file"}},
		{"short key", good + "api_keys: [{name: a, key: short}]\n", nil, []string{"api_keys.0.key", "psi-router key new"}},
		{"hash", good + "api_keys: [{name: a, key: 'sha256:12'}]\n", nil, []string{"api_keys.0.key", "is not a SHA-256 hash"}},
		{"nameless key", good + "api_keys: [{key: 0123456789abcdef}]\n", nil, []string{"api_keys.0.name", "is missing", "PSI_API_KEYS_0_NAME"}},
		{"role", good + "api_keys: [{name: a, key: 0123456789abcdef, role: root}]\n", nil, []string{"api_keys.0.role", "viewer, agent, admin"}},
		{"line of a key", good + "api_keys: [{name: a, key: 0123456789abcdef, lines: [x]}]\n", nil, []string{"api_keys.0.lines", `names the line "x"`, "wsp4"}},
		{"endpoint's secret", good + "endpoints: [{name: a, url: https://a, secret: word}]\n", nil, []string{"endpoints.0.secret", "whsec_"}},
		{"endpoint's url", good + "endpoints: [{name: a, url: 'ftp://a', secret: w, format: n8n}]\n", nil, []string{"endpoints.0.url", "is not an http(s) address"}},
		{"endpoint twice", good + "endpoints: [{name: a, url: https://a, secret: w, format: n8n}, {name: a, url: https://b, secret: w, format: n8n}]\n", nil, []string{"endpoints.1.name", "is taken"}},
		{"allow", good + "endpoints: [{name: a, url: https://a, secret: w, format: n8n, allow: [x]}]\n", nil, []string{"endpoints.0.allow", "host:port"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load(t, tt.yaml, tt.env...)
			ps, ok := err.(Problems) //nolint:errorlint // Load returns it bare
			if !ok || len(ps) != 1 {
				t.Fatalf("got %v, want one problem", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q\nwant %q in it", err, part)
				}
			}
			if ps[0].Fix == "" || ps[0].Reason == "" {
				t.Errorf("no cure or reason: %+v", ps[0])
			}
		})
	}
}

// TestMissingFile: an absent file is one problem; its missing keys are not reported.
func TestMissingFile(t *testing.T) {
	t.Parallel()
	for want, file := range map[string]string{"file does not exist": "nope.yaml", "is not YAML": "bad.yaml"} {
		_, err := Load(Options{File: file, ReadFile: func(path string) ([]byte, error) {
			if path == "bad.yaml" {
				return []byte("\tlines: x\n"), nil
			}
			return nil, os.ErrNotExist
		}})
		ps, ok := err.(Problems) //nolint:errorlint // Load returns it bare
		if !ok || len(ps) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want one problem with %q", file, err, want)
		}
	}
}

// TestInsecureIsTold: one note names the lines that insecure opens.
func TestInsecureIsTold(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ yaml, want string }{
		{"insecure: true\nlines: {b: {phone_number_id: 1}, a: {phone_number_id: 2}}\n", "can write as any contact on a, b,"},
		{good + "insecure: true\n", "no line needs it"},
		{good, ""},
	} {
		c, err := load(t, tt.yaml)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(c.Notes, "\n")
		if !strings.Contains(got, tt.want) || (tt.want == "") != (len(c.Notes) == 0) || len(c.Notes) > 1 {
			t.Errorf("%s: got %q, want %q", tt.yaml, got, tt.want)
		}
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	_, err := load(t, "listn: x\nstale_after: soon\nlines: {wsp4: {phone_number_id: 1, token: t0ken}}\n", "PSI_REDIS_URL=redis://:s3cret@h")
	const want = `the configuration has 5 problems:
  stale_after (psi.yaml:2): "soon" is not a duration. Write a number and a unit: 500ms, 30s, 10m, 24h, 30d.
  listn (psi.yaml:1): is unknown. Did you mean listen?
  redis_url: needs database_url: several processes cannot share the embedded store, and messages would be lost. Set database_url, or remove redis_url.
  lines.wsp4.app_secret: is missing. Set it: cloud: the app's secret. It signs webhooks, and proves our calls to graph_url; in the environment it is PSI_LINES_WSP4_APP_SECRET.
  lines.wsp4.verify_token: is missing. Set it: cloud: a word of your choice for the webhook handshake; in the environment it is PSI_LINES_WSP4_VERIFY_TOKEN.`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
	if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "t0ken") {
		t.Error("a secret was printed")
	}
}
