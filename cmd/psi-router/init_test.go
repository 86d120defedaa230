package main

import (
	"encoding/json"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/doctor"
	"github.com/psivisionhub/psi-router/internal/pgtest"
	"github.com/psivisionhub/psi-router/internal/porttest"
	"github.com/psivisionhub/psi-router/internal/redistest"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

const goodSecret = "0123456789abcdef0123456789abcdef"

// meta is a Graph API that knows one number by one token of one app.
func meta(t *testing.T) string {
	t.Helper()
	s, err := sandbox.New(sandbox.Options{
		PhoneNumberID: "1234567890", DisplayNumber: "5491100000099", Token: "a-good-token-0123456789-0123456789", AppSecret: goodSecret, WebhookURL: func() string { return "" },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server.URL + "/sandbox/graph/v26.0"
}

// TestInitInAScript writes an installation over servers, all of it from flags,
// and doctor agrees with it before and after a router ran.
func TestInitInAScript(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t, pgtest.Options{Durable: true})
	postgres := db.TCPURL(db.Database(t)) // has a user: it is a secret
	redis := redistest.Start(t, redistest.AOF...)
	dir := filepath.Join(t.TempDir(), "etc")
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("a-good-token-0123456789-0123456789\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := shell{t: t}
	args := []string{
		"init", "--dir", dir, "--listen", porttest.Addr(t), "--graph-url", meta(t), "--phone-number-id", "1234567890", "--app-secret", goodSecret,
		"--database-url", postgres, "--redis-url", redis.URL(), "--public-url", "https://wsp.example.com",
	}
	sh.want(exitUsage, []string{"--token", "hace falta"}, args...)
	sh.want(exitProblem, []string{"--token", "refuses this token for this number"}, append(args, "--token", "a-bad-token-0123456789-0123456789xx", "--lang", "en")...)
	sh.want(exitProblem, []string{"--listen", "no se puede usar"}, append(args, "--listen", redis.Addr)...)
	if _, err := os.Stat(dir); err == nil {
		t.Error("something was written")
	}
	var got initResult
	if err := json.Unmarshal([]byte(sh.fine(nil, append(args, "--token-file", token, "--json")...)), &got); err != nil {
		t.Fatal(err)
	}
	if got.Callback != "https://wsp.example.com/webhook" || len(got.VerifyToken) < 20 || !strings.HasPrefix(got.APIKey, "psi_") || got.Doctor.Broken != 0 {
		t.Errorf("%+v", got)
	}
	modes := map[string]fs.FileMode{
		"psi-router.yaml": 0o640, "secrets": 0o700, "secrets/wsp4.token": 0o600, "secrets/wsp4.app_secret": 0o600,
		"secrets/wsp4.verify_token": 0o600, "secrets/database_url": 0o600, "data": 0o700,
	}
	for name, want := range modes {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v (%v), want %v", name, info, err, want)
		}
	}
	src, err := os.ReadFile(filepath.Join(dir, "psi-router.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{goodSecret, got.VerifyToken, got.APIKey, "a-good-token", postgres} {
		if strings.Contains(string(src), secret) {
			t.Errorf("a secret is in the configuration:\n%s", src)
		}
	}
	cfg, err := config.Load(config.Options{File: got.Config})
	if err != nil || cfg.Lines["wsp4"].VerifyToken.First() != got.VerifyToken || cfg.DatabaseURL.First() != postgres {
		t.Errorf("%v %+v", err, cfg)
	}
	sh.want(exitUsage, []string{"ya existe", "--force"}, append(args, "--token-file", token)...)
	sh.fine([]string{"Token de verificación"}, append(args, "--token-file", token, "--force")...)

	look := []string{"doctor", "--config", got.Config, "--lang", "en"}
	sh.fine([]string{
		"is free", "Redis 7", "on disk before each 200", "PostgreSQL 1", "schema psi_router does not exist yet", "agrees with the clock of Redis",
		"agrees with the clock of PostgreSQL", "wsp4 is 5491100000099", "1 thing to look at",
	}, look...)
	_, stop := routerIn(t, []string{
		"PSI_LISTEN=127.0.0.1:0", "PSI_SANDBOX=true", "PSI_DATA_DIR=" + cfg.DataDir, "PSI_DATABASE_URL=" + postgres, "PSI_REDIS_URL=" + redis.URL(),
	})
	sh.fine([]string{"schema is up to date", "it runs and is ready", "all is well"}, look...)
	stop()
}

// TestInitAsks: who types is asked again until the answer holds.
func TestInitAsks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var out, errs strings.Builder
	answers := strings.Join([]string{
		"nonsense", porttest.Addr(t), "", "http://plain", "https://wsp.example.com", "", "Line!", "", "+54 11", "1234567890", "short", goodSecret,
		"wrong-token-0123456789-0123456789xx", "a-good-token-0123456789-0123456789",
	}, "\n") + "\n"
	e := &env{ctx: t.Context(), in: strings.NewReader(answers), out: &out, err: &errs, globals: &globals{Lang: "en"}, now: time.Now}
	c := &initCmd{Dir: dir, Durability: "fsync", APIKey: "crm", Graph: meta(t), forceInteractive: true}
	if err := c.Run(e); err != nil {
		t.Fatalf("%v\n%s%s", err, errs.String(), out.String())
	}
	for _, part := range []string{"write host:port", "lower-case", "only digits", "too short", "refuses this token", "WhatsApp: 5491100000099"} {
		if !strings.Contains(errs.String(), part) {
			t.Errorf("no %q in\n%s", part, errs.String())
		}
	}
	for _, part := range []string{"https://wsp.example.com/webhook", "Verify token", "all is well"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("no %q in\n%s", part, out.String())
		}
	}
	for _, secret := range []string{goodSecret, "a-good-token"} {
		if strings.Contains(errs.String()+out.String(), secret) {
			t.Error("a secret was printed")
		}
	}
	// No further answers: nothing is written.
	c = &initCmd{Dir: filepath.Join(dir, "other"), Durability: "fsync", forceInteractive: true}
	e.in = strings.NewReader("")
	if err := c.Run(e); err == nil || !strings.Contains(err.Error(), "no more answers") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "other")); err == nil {
		t.Error("something was written")
	}
}

// TestDoctorFindsWhatIsBroken: each trouble of an installation with its cure.
func TestDoctorFindsWhatIsBroken(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "maxmemory-policy allkeys-lru")
	busy := httptest.NewServer(nil)
	defer busy.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "psi-router.yaml")
	text := strings.NewReplacer("LISTEN", busy.Listener.Addr().String(), "REDIS", redis.URL(), "GRAPH", meta(t), "DIR", dir).Replace(`
listen: LISTEN
data_dir: DIR/data
redis_url: REDIS
database_url: postgres://nobody@127.0.0.1:1/nothing?sslmode=disable
graph_url: GRAPH
lines:
  wsp4: {provider: cloud, phone_number_id: "1234567890", token: another-token-0123456789-0123456789, app_secret: test_app_secret_0123456789abcdef, verify_token: abc}
endpoints:
  - {name: crm, url: "http://169.254.169.254/latest", secret: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"}
  - {name: n8n, url: "http://127.0.0.1:1/x", secret: a-word-for-n8n, format: n8n, allow: ["127.0.0.1:1"]}
`)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil { //nolint:gosec // that is what is wrong
		t.Fatal(err)
	}
	sh := shell{t, []string{"ANTILOOP_MINUTES=3"}}
	var r doctor.Report
	if err := json.Unmarshal([]byte(sh.want(exitProblem, nil, "doctor", "--config", file, "--json", "--lang", "en")), &r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []doctor.Finding{
		{Area: doctor.Configuration, State: doctor.Broken, Text: "ANTILOOP_MINUTES (environment)", Fix: "init --from-env FILE"},
		{Area: doctor.Secrets, State: doctor.Broken, Text: "lines.wsp4.app_secret is publicly known"},
		{Area: doctor.Secrets, State: doctor.Warning, Text: "lines.wsp4.verify_token is short (3 characters)"},
		{Area: doctor.Secrets, State: doctor.Warning, Text: "can be read by others (0644)", Fix: "chmod 640 "},
		{Area: doctor.Redis, State: doctor.Broken, Text: "throws data away when its memory is full"},
		{Area: doctor.PostgreSQL, State: doctor.Broken, Text: "open store", Fix: "database_url"},
		{Area: doctor.Port, State: doctor.Broken, Text: "cannot be used", Fix: "ss -ltnp"},
		{Area: doctor.Lines, State: doctor.Broken, Text: "wsp4: WhatsApp refuses it", Fix: "phone_number_id"},
		{Area: doctor.Endpoints, State: doctor.Broken, Text: "crm: 169.254.169.254:80 is an internal address", Fix: `allow: ["169.254.169.254:80"]`},
		{Area: doctor.Endpoints, State: doctor.Warning, Text: "n8n does not answer"},
	} {
		found := false
		for _, f := range r.Findings {
			found = found || f.Area == want.Area && f.State == want.State && strings.Contains(f.Text, want.Text) && strings.Contains(f.Fix, want.Fix)
		}
		if !found {
			t.Errorf("not found: %+v\nin %+v", want, r.Findings)
		}
	}
	sh.want(exitProblem, []string{"puerto", "→ chmod 640", "por arreglar"}, "doctor", "--config", file)
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte("listne: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh.want(exitProblem, []string{"listne (" + broken + ":1) is unknown", "did you mean listen?"}, "doctor", "--config", broken)
}
