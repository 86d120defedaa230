package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/lang"
	"github.com/psivisionhub/psi-router/internal/porttest"
)

// oldFile is a .env file of the previous product, at a Graph API of ours.
const oldFile = "\ufeff# WhatsApp\r\n" + `
export CLOUD_API_TOKEN="a-good-token-0123456789-0123456789"   # of the system user
WHATSAPP_TOKEN=another-token-0123456789-0123456789
CLOUD_API_PHONE_NUMBER_ID=1234567890
META_APP_SECRET='` + goodSecret + `'
WHATSAPP_VERIFY_TOKEN=old-verify-token-0123456789 # at Meta
WSP4_NUMBER=+54 9 11
VENTAS1_NUMBER=
CLOUD_API_BASE_URL=GRAPH
EVOLUTION_API_URL=http://127.0.0.1:1
EVOLUTION_API_KEY=old-evolution-key-0123456789
EVOLUTION_INSTANCE_NAME=Alumnos Uno
WEBHOOK_SECRET=old-webhook-secret-0123456789
LOG_LEVEL=debug
ANTILOOP_MINUTOS=15
N8N_WEBHOOK_ENVIOS_ROUTER_CRM=https://n8n.example.com/webhook/secret-path-0123456789
NODE_ENV=production
REDIS_URL=redis://:redis-password@127.0.0.1:6379
`

// envFile is a file of the text.
func envFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestInitFromEnv makes an installation of the previous product's variables.
func TestInitFromEnv(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etc")
	file := envFile(t, strings.Replace(oldFile, "GRAPH", meta(t), 1))
	sh := shell{t: t}
	got := sh.run("", "init", "--yes", "--dir", dir, "--from-env", file, "--listen", porttest.Addr(t), "--json", "--lang", "en")
	var m initResult
	if err := json.Unmarshal([]byte(got.out), &m); err != nil {
		t.Fatalf("%v\n%s%s", err, got.out, got.err)
	}
	for _, want := range []string{
		"CLOUD_API_TOKEN → lines.wsp4.token", "WSP4_NUMBER → lines.wsp4.number", "EVOLUTION_API_KEY → lines.alumnos_uno.api_key",
		"WEBHOOK_SECRET → lines.wsp4.secret, lines.alumnos_uno.secret", "ANTILOOP_MINUTOS is not needed: repeats are recognised", "N8N_WEBHOOK_ENVIOS_ROUTER_CRM is not needed",
		"not used: NODE_ENV, REDIS_URL, WHATSAPP_TOKEN", "WhatsApp: 5491100000099",
	} {
		if !strings.Contains(got.err, want) {
			t.Errorf("no %q in\n%s", want, got.err)
		}
	}
	src, err := os.ReadFile(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"0123456789-0123456789", goodSecret, "old-verify-token", "old-evolution-key", "old-webhook-secret", "secret-path", "redis-password"} {
		if strings.Contains(got.err, secret) || strings.Contains(string(src), secret) {
			t.Errorf("%s is in\n%s%s", secret, got.err, src)
		}
	}
	c, err := config.Load(config.Options{File: m.Config})
	if err != nil {
		t.Fatal(err)
	}
	w, e := c.Lines["wsp4"], c.Lines["alumnos_uno"]
	if w == nil || e == nil || len(c.Lines) != 2 {
		t.Fatalf("lines %v", c.LineIDs())
	}
	want := []string{"a-good-token-0123456789-0123456789", goodSecret, "old-verify-token-0123456789", "1234567890", "+54 9 11", "evolution", "http://127.0.0.1:1", "Alumnos Uno", "old-evolution-key-0123456789", "old-webhook-secret-0123456789", "debug"}
	if diff := cmp.Diff(want, []string{w.Token.First(), w.AppSecret.First(), w.VerifyToken.First(), w.PhoneNumberID, w.Number, e.Provider, e.URL, e.Instance, e.APIKey.First(), e.Secret.First(), c.LogLevel}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestInitFromEnvOfSeveralLines: those of the Cloud API share the credentials; what
// flags give wins; what nobody gives is asked for.
func TestInitFromEnvOfSeveralLines(t *testing.T) {
	t.Parallel()
	const lines = "VENTAS1_PHONE_ID=1234567890\nALUMNOS_PHONE_ID=1234567891\nWHATSAPP_ACCESS_TOKEN=an-old-token-0123456789-0123456789\nPORT=1\n"
	dir := filepath.Join(t.TempDir(), "etc")
	sh := shell{t: t}
	args := []string{"init", "--yes", "--no-check", "--dir", dir, "--listen", porttest.Addr(t), "--graph-url", "http://127.0.0.1:1", "--api-key", "none"}
	run := func(text string, more ...string) output {
		t.Helper()
		return sh.run("", slices.Concat(args, []string{"--from-env", envFile(t, text)}, more)...)
	}
	if got := run(lines); got.code != exitUsage || !strings.Contains(got.err, "--app-secret") {
		t.Errorf("without an app secret: %d %s", got.code, got.err)
	}
	for text, want := range map[string]string{
		"NODE_ENV=x\n":   "no dice nada",
		"":               "no dice nada",
		lines + "hola\n": "line 5 is not KEY=VALUE",
		lines + "A='b\n": "line 5 has a quote that does not end",
	} {
		if got := run(text); got.code != exitUsage || !strings.Contains(got.err, want) || strings.Contains(got.err, "hola") {
			t.Errorf("%q: %d %s", text, got.code, got.err)
		}
	}
	if got := run("EVOLUTION_API_URL=http://x\n"); got.code != exitProblem || !strings.Contains(got.err, "lines.wsp4.api_key: is missing") {
		t.Errorf("without a key: %d %s", got.code, got.err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Fatal("something was written")
	}
	run(lines, "--app-secret", goodSecret, "--token", "a-good-token-0123456789-0123456789")
	c, err := config.Load(config.Options{File: filepath.Join(dir, "psi-router.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	v, a := c.Lines["ventas_api"], c.Lines["alumnos"]
	if v == nil || a == nil || len(c.Lines) != 2 || a.PhoneNumberID != "1234567891" {
		t.Fatalf("lines %v", c.LineIDs())
	}
	if v.Token.First() != "a-good-token-0123456789-0123456789" || a.Token.First() != v.Token.First() || a.AppSecret.First() != goodSecret || a.VerifyToken.First() != v.VerifyToken.First() {
		t.Errorf("credentials differ: %v", c.Lines)
	}
}

// TestInitFromEnvOfEvolutionAlone asks nothing about Meta.
func TestInitFromEnvOfEvolutionAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "etc")
	file := envFile(t, "EVOLUTION_API_URL=http://127.0.0.1:1\nEVOLUTION_API_KEY=key-0123456789\nEVOLUTION_INSTANCE_NAME=uno\nWEBHOOK_SECRET=word-0123456789\n")
	got := shell{t: t}.run("", "init", "--yes", "--dir", dir, "--listen", porttest.Addr(t), "--from-env", file)
	c, err := config.Load(config.Options{File: filepath.Join(dir, "psi-router.yaml")})
	if err != nil {
		t.Fatalf("%v\n%s%s", err, got.out, got.err)
	}
	if l := c.Lines["wsp4"]; len(c.Lines) != 1 || l.Provider != "evolution" || l.Instance != "uno" || l.Secret.First() != "word-0123456789" || l.APIKey.First() != "key-0123456789" {
		t.Errorf("%v %+v", c.LineIDs(), l)
	}
	if strings.Contains(got.out, "Meta") {
		t.Errorf("Meta is told of:\n%s", got.out)
	}
}

// TestOldNamesAreRefused by serve, and are broken for doctor. Other commands go on:
// none of them needs what these names held.
func TestOldNamesAreRefused(t *testing.T) {
	t.Parallel()
	sh := shell{t, []string{"WHATSAPP_TOKEN=qJ7secretvalue", "CLOUD_API_TOKEN=x", "N8N_WEBHOOK_X=y", "META_APP_SECRET=", "PORT=4000", "SUPABASE_URL=x", "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + t.TempDir()}}
	const want = "CLOUD_API_TOKEN, N8N_WEBHOOK_X, WHATSAPP_TOKEN (environment): "
	got := sh.run("", "serve")
	if got.code != exitUsage || !strings.Contains(got.err, want) || !strings.Contains(got.err, "psi-router init --from-env FILE") || strings.Contains(got.err, "qJ7") {
		t.Errorf("serve: %d %s", got.code, got.err)
	}
	for _, args := range [][]string{{"migrate"}, {"flow", "check"}, {"queue", "stats"}, {"left"}} {
		if got := sh.run("", args...); got.code == exitUsage || strings.Contains(got.err, "WHATSAPP_TOKEN") {
			t.Errorf("%v: %d %s", args, got.code, got.err)
		}
	}
	sh.want(exitProblem, []string{"WHATSAPP_TOKEN (environment)", "psi-router init --from-env FILE"}, "doctor")
}

// TestOldNamesAreDocumented, with what became of them.
func TestOldNamesAreDocumented(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../docs/migration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range allOldNames {
		if (row.key == "") != (row.why != lang.Text{}) {
			t.Errorf("%s has neither key nor reason, or both", row.names)
		}
		now := "not needed: " + row.why.EN
		if row.key != "" {
			now = "`" + strings.Replace(row.key, ".evolution.", ".<evolution>.", 1) + "`"
		}
		want := "| `" + strings.NewReplacer(" ", "`, `", "° ", "`°, `").Replace(row.names) + "` | " + now + " |\n"
		if want = strings.ReplaceAll(want, "°` |", "`° |"); !strings.Contains(string(src), want) {
			t.Errorf("docs/migration.md lacks %s", want)
		}
	}
}
