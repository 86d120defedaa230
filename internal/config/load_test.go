package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// load reads the YAML as psi.yaml, with files of secrets beside it.
func load(t *testing.T, yaml string, env ...string) (*Config, error) {
	t.Helper()
	return Load(Options{File: "psi.yaml", Env: env, ReadFile: func(path string) ([]byte, error) {
		switch path {
		case "psi.yaml":
			return []byte(yaml), nil
		case "/run/token":
			return []byte("from-file\n"), nil
		case "/run/tokens":
			return []byte("new\n\nold\n"), nil
		case "/run/empty":
			return []byte("\n"), nil
		}
		return nil, &os.PathError{Op: "open", Path: path, Err: os.ErrNotExist}
	}})
}

// good is a complete line.
const good = "lines:\n  wsp4: {phone_number_id: 100000000000001, token: t0ken, app_secret: s3cret, verify_token: v}\n"

func TestNothingConfiguredIsTheDevelopmentIdentity(t *testing.T) {
	t.Parallel()
	c, err := Load(Options{Env: []string{"HOME=/root", "PSI_PROOF=1", "PSI_ROUTER_SERVICE_HOST=10.0.0.1", "WEBHOOK_SECRET=other"}})
	if err != nil {
		t.Fatal(err)
	}
	l := c.Lines["sandbox"]
	if !c.Dev || !c.Sandbox || len(c.Lines) != 1 || l == nil {
		t.Fatalf("dev %v, sandbox %v, lines %v", c.Dev, c.Sandbox, c.LineIDs())
	}
	got := []string{c.Listen, c.DataDir, l.PhoneNumberID, l.AppSecret.First(), l.VerifyToken.First(), c.APIKeys[0].Key.First(), c.APIKeys[0].Role}
	want := []string{"127.0.0.1:3002", "./data", "200000000000002", "test_app_secret_0123456789abcdef", "sandbox", "sandbox", "admin"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if c.StaleAfter.D() != 10*time.Minute || c.Retention.Raw.D() != 30*24*time.Hour || c.Worker.Batch != 400 || c.MediaMax != 100e6 {
		t.Errorf("defaults: %+v", c)
	}
	if len(c.Notes) != 0 {
		t.Errorf("notes: %q", c.Notes)
	}
}

func TestEnvironmentAloneChangesTheDevelopmentIdentity(t *testing.T) {
	t.Parallel()
	c, err := Load(Options{Env: []string{"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=/tmp/x", "PSI_LOG_LEVEL="}})
	if err != nil {
		t.Fatal(err)
	}
	if !c.Dev || c.Listen != "127.0.0.1:0" || c.DataDir != "/tmp/x" || c.LogLevel != "info" {
		t.Errorf("%+v", c)
	}
}

func TestTheContractsExample(t *testing.T) {
	t.Parallel()
	c, err := load(t, `
listen: 127.0.0.1:3002
data_dir: ./data
durability: fsync
flow: flows/psi.yaml
graph_url: https://graph.facebook.com/v26.0/
sandbox: false
stale_after: 10m
handoff_timeout: 24h
trusted_proxies: [127.0.0.1/32, 10.0.0.1]
api_keys: [{name: crm, key: "sha256:`+strings.Repeat("ab", 32)+`", role: agent, lines: [], areas: []}]
worker: {concurrency: 8, batch: 50, rate: 100/s}
retention: {messages: 0, events: 30d, raw: 1w}
lines:
  wsp4:   {provider: cloud, phone_number_id: "100000000000001", token: [new, old], app_secret: '${APP}', verify_token: "${V:-word}", rate: 80/s}
  ventas: {provider: evolution, url: "http://127.0.0.1:8080", instance: ventas, api_key: k, secret: s}
endpoints:
  - {name: crm, url: "https://crm.example/hook", secret: "whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", lines: [wsp4]}
  - {name: n8n-admin, url: "http://127.0.0.1:5678/x", secret: s, areas: [admin], format: n8n, allow: ["127.0.0.1:5678"]}
alerts: {url: , whatsapp: , template: }
`, "APP=s3cret")
	if err != nil {
		t.Fatal(err)
	}
	if c.Dev || c.Sandbox || c.GraphURL != "https://graph.facebook.com/v26.0" || c.Worker.Rate != 100 {
		t.Errorf("%+v", c)
	}
	w, v := c.Lines["wsp4"], c.Lines["ventas"]
	if diff := cmp.Diff([]string{"new", "old"}, w.Token.Values()); diff != "" {
		t.Error(diff)
	}
	if w.ID != "wsp4" || w.AppSecret.First() != "s3cret" || w.VerifyToken.First() != "word" || w.Rate != 80 || v.Rate != 1 {
		t.Errorf("wsp4 %+v, ventas %+v", w, v)
	}
	if len(c.TrustedProxies) != 2 || c.TrustedProxies[1].String() != "10.0.0.1/32" {
		t.Errorf("proxies %v", c.TrustedProxies)
	}
	if diff := cmp.Diff([]string{"*"}, c.Endpoints[0].Events); diff != "" || c.Endpoints[1].Format != "n8n" {
		t.Errorf("%s %+v", diff, c.Endpoints)
	}
	if err := c.CheckAreas([]string{"admin"}, func(a string) bool { return a == "admin" }); err != nil {
		t.Error(err)
	}
	if err := c.CheckAreas([]string{"ventas"}, func(a string) bool { return a == "ventas" }); err == nil || !strings.Contains(err.Error(), "endpoints.1.areas") {
		t.Errorf("unknown area: %v", err)
	}
	if err := c.CheckRole("worker"); err == nil {
		t.Error("a split of the embedded engine was not refused")
	}
	shared, err := load(t, good+"redis_url: redis://h\ndatabase_url: postgres://u:p@h/d\n")
	if err != nil {
		t.Fatal(err)
	}
	if err := shared.CheckRole("worker"); err != nil {
		t.Errorf("a worker with shared engines: %v", err)
	}
}

// TestTheSandboxBesideRealLines: its public key opens the sandbox line only.
func TestTheSandboxBesideRealLines(t *testing.T) {
	t.Parallel()
	c, err := load(t, good+"sandbox: true\napi_keys: [{name: crm, key: 0123456789abcdef, role: admin}]\n")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"sandbox", "wsp4"}, c.LineIDs()); diff != "" || c.Dev {
		t.Error(diff)
	}
	k := c.APIKeys[len(c.APIKeys)-1]
	if len(c.APIKeys) != 2 || k.Name != "sandbox" || k.Role != "agent" || cmp.Diff([]string{"sandbox"}, k.Lines) != "" {
		t.Errorf("keys %+v", c.APIKeys)
	}
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], "sandbox is on") {
		t.Errorf("notes %q", c.Notes)
	}
}

func TestEnvironmentOverTheFile(t *testing.T) {
	t.Parallel()
	c, err := load(t, good+"  otra-linea: {phone_number_id: 2, token_file: /run/empty, app_secret: a, verify_token: v}\nendpoints: [{name: a, url: https://a.example, secret: s, format: n8n}]\n",
		"PSI_LINES_WSP4_TOKEN_FILE=/run/token", "PSI_LINES_OTRA_LINEA_TOKEN=[x, y]", "PSI_LINES_NUEVA_PHONE_NUMBER_ID=3",
		"PSI_LINES_NUEVA_TOKEN=a,b", "PSI_LINES_NUEVA_APP_SECRET_FILE=/run/tokens", "PSI_LINES_NUEVA_VERIFY_TOKEN=v",
		"PSI_ENDPOINTS_0_URL=https://b.example", "PSI_ENDPOINTS_1_NAME=b", "PSI_ENDPOINTS_1_URL=https://c.example",
		"PSI_ENDPOINTS_1_SECRET=s", "PSI_ENDPOINTS_1_FORMAT=n8n", "PSI_ENDPOINTS_1_EVENTS=message.*,conversation.closed",
		"PSI_WORKER_CONCURRENCY=2", "PSI_TRUSTED_PROXIES=10.0.0.0/8,127.0.0.1", "PSI_API_KEYS_0_NAME=ci", "PSI_API_KEYS_0_KEY=0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{
		"wsp4": c.Lines["wsp4"].Token.Values(), "otra": c.Lines["otra-linea"].Token.Values(),
		"nueva": c.Lines["nueva"].Token.Values(), "secret": c.Lines["nueva"].AppSecret.Values(),
		"url": {c.Endpoints[0].URL, c.Endpoints[1].URL}, "events": c.Endpoints[1].Events, "key": {c.APIKeys[0].Name, c.APIKeys[0].Role},
	}
	want := map[string][]string{
		"wsp4": {"from-file"}, "otra": {"x", "y"}, "nueva": {"a,b"}, "secret": {"new", "old"},
		"url": {"https://b.example", "https://c.example"}, "events": {"message.*", "conversation.closed"}, "key": {"ci", "viewer"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Worker.Concurrency != 2 || len(c.TrustedProxies) != 2 {
		t.Errorf("%+v", c)
	}
}

func TestSecretsNeverPrint(t *testing.T) {
	t.Parallel()
	c, err := load(t, good)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", c.Lines["wsp4"].Token, "line", c.Lines["wsp4"])
	out := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		out = append(out, fmt.Sprintf(verb, c.Lines["wsp4"].Token), fmt.Sprintf(verb, *c.Lines["wsp4"]), fmt.Sprintf(verb, *c))
	}
	js, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range append(out, string(js)) {
		if strings.Contains(s, "t0ken") || strings.Contains(s, "s3cret") || strings.Contains(s, "7330636b") {
			t.Errorf("a secret was printed: %s", s)
		}
	}
	if !strings.Contains(string(js), "<secret>") && !strings.Contains(string(js), `\u003csecret\u003e`) {
		t.Errorf("the secret has no placeholder: %s", js)
	}
}

func TestASecretCanBeReadFromDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "psi.yaml")
	for path, text := range map[string]string{token: "abc\n", file: good} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Load(Options{File: file, Env: []string{"PSI_LINES_WSP4_TOKEN_FILE=" + token}})
	if err != nil || c.Lines["wsp4"].Token.First() != "abc" {
		t.Errorf("%v, %v", c.Lines["wsp4"], err)
	}
}

func TestInsecureAllowsMissingSecretsOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	const bare = "insecure: true\nlines: {wsp4: {phone_number_id: 1}}\n"
	if _, err := load(t, bare); err != nil {
		t.Errorf("on loopback: %v", err)
	}
	_, err := load(t, bare, "PSI_LISTEN=:3002")
	var ps Problems
	if !errors.As(err, &ps) || len(ps) != 4 {
		t.Errorf("open to all: %v", err)
	}
}
