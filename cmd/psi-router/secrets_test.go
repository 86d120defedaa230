package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// TestNoFaceRepeatsASecret: Graph, Evolution, an endpoint and a receiver of alerts
// say every secret of the configuration, in several ways; whoever looks at the
// router finds it nowhere.
func TestNoFaceRepeatsASecret(t *testing.T) {
	t.Parallel()
	p := &parrot{}
	graph, evolution, endpoint, alerts, told := p.servers(t)
	host := strings.TrimPrefix(endpoint, "http://")
	line := func(id, key, value string) string { return "PSI_LINES_" + id + "_" + key + "=" + value }
	environ := []string{
		"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_GRAPH_URL=" + graph,
		"PSI_ADMIN_PASSWORD=admin-password-of-the-school", "PSI_ALERTS_URL=" + alerts + "/services/T00000000/XyZzYpLuGh1234567890", "PSI_ALERTS_EVERY=200ms",
		"PSI_API_KEYS_0_NAME=crm", "PSI_API_KEYS_0_KEY=" + apiKey, "PSI_API_KEYS_0_ROLE=admin",
		line("DENIED", "PHONE_NUMBER_ID", deniedID), line("DENIED", "TOKEN", "EAAGm0PX4ZCpsBO7Qw9khN3xQ2vTzY8LrUoP1aSdFgHjKl"), line("DENIED", "APP_SECRET", appSecret), line("DENIED", "VERIFY_TOKEN", "verify+this/word"),
		line("REFUSED", "PHONE_NUMBER_ID", refusedID), line("REFUSED", "TOKEN", "[short-token-new,short-token-old]"), line("REFUSED", "APP_SECRET", appSecret), line("REFUSED", "VERIFY_TOKEN", "verify+this/word"),
		line("REPORTED", "PHONE_NUMBER_ID", reportedID), line("REPORTED", "TOKEN", "1234567890|abcdefghijkl"), line("REPORTED", "APP_SECRET", appSecret), line("REPORTED", "VERIFY_TOKEN", "verify+this/word"),
		line("VENTAS", "PROVIDER", "evolution"), line("VENTAS", "URL", evolution), line("VENTAS", "INSTANCE", "ventas"), line("VENTAS", "API_KEY", "evolution-api-key-0001"), line("VENTAS", "SECRET", "evolution-secret-0002"),
		"PSI_ENDPOINTS_0_NAME=n8n", "PSI_ENDPOINTS_0_URL=" + endpoint + "/webhook/0190a1b2-1234-7567-8901-1234567890ab", "PSI_ENDPOINTS_0_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "PSI_ENDPOINTS_0_ALLOW=" + host,
	}
	cfg, err := config.Load(config.Options{Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	if p.secrets = cfg.Secrets(); len(p.secrets) < 12 {
		t.Fatalf("too few secrets: %q", p.secrets)
	}
	p.bury(t, cfg.DataDir)
	a, logs := begin(t, "all", environ)
	for i := range len(p.secrets) {
		arrive(t, a.URL(), deniedID, written(i, `"type":"text","text":{"body":"hola"}`))
		arrive(t, a.URL(), reportedID, written(20+i, `"type":"text","text":{"body":"hola"}`))
		arrive(t, a.URL(), deniedID, written(40+i, fmt.Sprintf(`"type":"image","image":{"id":"90000000000000%02d","mime_type":"image/jpeg"}`, i)))
		arrive(t, a.URL(), refusedID, written(60+i, `"type":"text","text":{"body":"hola"}`))
		arriveByEvolution(t, a.URL(), "evolution-secret-0002", 80+i)
	}
	sh := shell{t, environ}
	want := len(p.secrets)
	eventually := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("never happened: %s\n%.4000s", what, logs)
			}
		}
	}
	messages := func(line string) string {
		var b strings.Builder
		var page struct{ Items []struct{ ID string } }
		if err := json.Unmarshal([]byte(fetched(t, a.URL(), "/api/v1/conversations?limit=200&line="+line, apiKey)), &page); err != nil {
			t.Fatal(err)
		}
		for _, c := range page.Items {
			b.WriteString(fetched(t, a.URL(), "/api/v1/conversations/"+c.ID+"/messages", apiKey))
		}
		return b.String()
	}
	eventually("every answer by one line is refused", func() bool { return strings.Count(messages("denied"), `"code":131026`) >= want })
	eventually("every answer by another leaves", func() bool { return strings.Count(messages("reported"), `wamid.ours`) >= want })
	for i := range want {
		note, err := json.Marshal(p.sayAs(i))
		if err != nil {
			t.Fatal(err)
		}
		to := fmt.Sprintf("54911555500%02d", 20+i)
		arrive(t, a.URL(), reportedID, fmt.Sprintf(`"statuses":[{"id":"wamid.ours%s","recipient_id":%q,"status":"failed","timestamp":"%d","errors":[{"code":131047,"title":"x","error_data":{"details":%s}}]}]`, to, to, time.Now().Unix(), note))
	}
	eventually("every report is read", func() bool { return strings.Count(messages("reported"), `"code":131047`) >= want })
	eventually("files are given up", func() bool { return strings.Count(messages("denied"), `"state":"failed"`) >= want })
	eventually("lines and endpoint are held", func() bool {
		s := fetched(t, a.URL(), "/status", "")
		return strings.Contains(s, "WhatsApp refuses our token") && strings.Contains(s, "the endpoint refuses us")
	})
	eventually("the alert of a held queue is told", func() bool { return strings.Contains(told(), "queue_held") })
	eventually("a line is held for what nobody knows", func() bool {
		return strings.Contains(messages("ventas"), "Evolution answered HTTP 400: ") && strings.Contains(fetched(t, a.URL(), "/status", ""), "a message was refused")
	})
	eventually("events tell of failures", func() bool {
		return strings.Count(fetched(t, a.URL(), "/api/v1/events?after=0&limit=200", apiKey), "message.failed") > 0
	})

	seen := 0
	look := func(face, text string) {
		p.leaks(t, face, text)
		if strings.Contains(text, redact.Secret) || strings.Contains(text, `\u003csecret\u003e`) || strings.Contains(text, "&lt;secret&gt;") {
			seen++
		}
	}
	for _, path := range []string{"/", "/?lang=en", "/status", "/readyz", "/metrics"} {
		look(path, fetched(t, a.URL(), path, ""))
	}
	for _, path := range []string{"/api/v1/queues", "/api/v1/dead-letters?limit=200", "/api/v1/audit", "/api/v1/trace/wamid.ours1", "/api/v1/trace/5491155550001"} {
		look(path, fetched(t, a.URL(), path, apiKey))
	}
	for after := 0; ; {
		text := fetched(t, a.URL(), "/api/v1/events?limit=200&after="+strconv.Itoa(after), apiKey)
		var page struct {
			Items []json.RawMessage
			Pos   int
		}
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatal(err)
		}
		if len(page.Items) == 0 {
			break
		}
		look("events", text)
		after = page.Pos
	}
	for _, line := range []string{"denied", "reported", "refused", "ventas"} {
		look("messages of "+line, messages(line))
	}
	for _, args := range [][]string{
		{"trace", "5491155550000"},
		{"trace", "5491155550021"},
		{"trace", "5491155550041", "--json"},
		{"why", "5491155550000"},
		{"why", "5491155550020", "--lang", "en"},
		{"why", "5491155550061", "--json"},
		{"queue", "stats"},
		{"queue", "stats", "--json"},
		{"dead", "list"},
		{"dead", "list", "--json"},
		{"dead", "show", "1"},
		{"dead", "show", "2"},
		{"doctor"},
		{"doctor", "--json", "--lang", "en"},
		{"conv", "close", strings.Join(p.secrets[:3], " ")},
		{"serve"},
	} {
		got := sh.run("", args...)
		look("psi-router "+strings.Join(args, " "), got.out+got.err)
	}
	look("log", logs.String())
	look("alerts", told())
	if seen < 18 {
		t.Errorf("only %d faces have anything to hide: does everybody still talk?", seen)
	}
}

// TestNoFaceRepeatsASecretOfAServer: Redis and PostgreSQL say every secret, at the
// start and to who asks.
func TestNoFaceRepeatsASecretOfAServer(t *testing.T) {
	t.Parallel()
	p := &parrot{}
	redis := spoke(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		for { // a command is *parts, and $length and its bytes for each
			var parts int
			if _, err := fmt.Fscanf(in, "*%d\r\n", &parts); err != nil {
				return
			}
			for range parts {
				var length int64
				if _, err := fmt.Fscanf(in, "$%d\r\n", &length); err != nil {
					return
				}
				if _, err := io.CopyN(io.Discard, in, length+2); err != nil {
					return
				}
			}
			fmt.Fprintf(c, "-WRONGPASS %s\r\n", p.sayAll())
		}
	})
	postgres := spoke(t, func(c net.Conn) {
		for buf := make([]byte, 4096); ; {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			if n == 8 { // it asks for TLS
				_, _ = c.Write([]byte("N"))
				continue
			}
			fields := "SFATAL\x00VFATAL\x00C57P03\x00M" + p.sayAll() + "\x00\x00"
			_, _ = c.Write(append(binary.BigEndian.AppendUint32([]byte("E"), uint32(len(fields)+4)), fields...))
			return
		}
	})
	environ := []string{
		"PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR=" + filepath.Join(t.TempDir(), "d"), "PSI_SANDBOX=true",
		"PSI_REDIS_URL=redis://router:redis%2Fpass+word@" + redis, "PSI_DATABASE_URL=postgres://psi:postgres-pass!word@" + postgres + "/psi?sslmode=disable",
		"PSI_DATABASE_DIRECT_URL=postgres://psi:direct-pass=word@" + postgres + "/psi?sslmode=disable",
	}
	cfg, err := config.Load(config.Options{Env: environ})
	if err != nil {
		t.Fatal(err)
	}
	if p.secrets = cfg.Secrets(); len(p.secrets) < 3 {
		t.Fatalf("too few secrets: %q", p.secrets)
	}
	sh, seen := shell{t, environ}, 0
	look := func(face, text string) {
		p.leaks(t, face, text)
		if strings.Contains(text, redact.Secret) || strings.Contains(text, "&lt;secret&gt;") {
			seen++
		}
	}
	for _, args := range [][]string{
		{"doctor"},
		{"doctor", "--json"},
		{"queue", "stats"},
		{"trace", "5491155550001"},
		{"migrate"},
		{"migrate", "--after-restore"},
		{"serve", "--role", "worker"},
		{"store", "move", "--to", "postgres://psi:postgres-pass!word@" + postgres + "/psi?sslmode=disable"},
	} {
		got := sh.run("", args...)
		look("psi-router "+strings.Join(args, " "), got.out+got.err)
	}
	a, logs := begin(t, "webhook", environ)
	for _, path := range []string{"/", "/status", "/readyz", "/metrics", "/api/v1/queues", "/api/v1/conversations"} {
		look(path, fetched(t, a.URL(), path, config.DevAPIKey))
	}
	look("log", logs.String())
	if seen < 9 {
		t.Errorf("only %d faces have anything to hide: does everybody still talk?\n%s", seen, logs)
	}
}
