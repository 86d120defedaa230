package redact_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/psivisionhub/psi-router/internal/redact"
)

const (
	token = "EAAGm0PX4ZCpsBO7+Qw/9k=hN3"
	short = "hola1"
)

// ways are the encodings in which a secret may appear.
var ways = map[string]func(string) string{
	"raw":         func(s string) string { return s },
	"upper":       strings.ToUpper,
	"query":       url.QueryEscape,
	"path":        url.PathEscape,
	"every byte":  everyByte,
	"JSON":        inJSON,
	"JSON twice":  func(s string) string { return inJSON(inJSON(s)) },
	"Go":          strconv.Quote,
	"HTML":        html.EscapeString,
	"URL in JSON": func(s string) string { return inJSON(url.QueryEscape(s)) },
	"hex":         func(s string) string { return hex.EncodeToString([]byte(s)) },
	"HEX":         func(s string) string { return strings.ToUpper(hex.EncodeToString([]byte(s))) },
	"base64":      func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
	"base64 raw":  func(s string) string { return base64.RawStdEncoding.EncodeToString([]byte(s)) },
	"base64 url":  func(s string) string { return base64.URLEncoding.EncodeToString([]byte(s)) },
	"basic": func(s string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("u:"+s+"\n"))
	},
	"base64 inside":     func(s string) string { return base64.StdEncoding.EncodeToString([]byte("key=" + s + "&more=1")) },
	"base64 url inside": func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte("a" + s + "b")) },
	"base64 in a URL":   func(s string) string { return url.QueryEscape(base64.StdEncoding.EncodeToString([]byte(s))) },
}

func everyByte(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		fmt.Fprintf(&b, "%%%02x", c)
	}
	return b.String()
}

func inJSON(s string) string {
	raw, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(raw[1 : len(raw)-1])
}

// TestASecretInAnyEncoding: a secret is found in every encoding.
func TestASecretInAnyEncoding(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{token, `pa"ss\w<o>rd & more`, "ñandú-contraseña", "0123456789"} {
		r := redact.New("other-secret", secret)
		for name, way := range ways {
			if name == "upper" && secret[0] > '~' {
				continue // keys are ASCII
			}
			said := way(secret)
			got := r.Text("refused: " + said + " is wrong")
			if strings.Contains(got, said) || !strings.Contains(got, redact.Secret) || !strings.HasPrefix(got, "refused: ") || !strings.HasSuffix(got, " is wrong") {
				t.Errorf("%s: got %q of %q", name, got, said)
			}
		}
	}
}

// TestAnySecretAnywhere: any secret is found in any text.
func TestAnySecretAnywhere(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		secret := rapid.StringMatching(`[ -~]{7}[!-~]{1,60}`).Draw(t, "secret")
		name := rapid.SampledFrom([]string{"raw", "query", "path", "every byte", "JSON", "Go", "hex", "base64", "base64 raw", "base64 url", "base64 inside", "base64 url inside"}).Draw(t, "way")
		before, after := rapid.StringMatching(`[ -~]{0,20}[ ,:]`).Draw(t, "before"), rapid.StringMatching(`[ ,:;][ -~]{0,20}`).Draw(t, "after")
		said := ways[name](secret)
		r := redact.New(secret)
		got := r.Text(before + said + after)
		if strings.Contains(got, said) || !strings.Contains(got, redact.Secret) {
			t.Fatalf("%s: got %q of %q", name, got, before+said+after)
		}
		if again := r.Text(got); again != got {
			t.Fatalf("a second time: got %q of %q", again, got)
		}
	})
}

// TestACutSecret: a secret is found even if the text was cut within it.
func TestACutSecret(t *testing.T) {
	t.Parallel()
	r := redact.New(token)
	for _, said := range []string{"refused: " + token[:12], "refused: " + token[:20] + "… [code 190]", "x " + token[:9] + "...", "refused: " + inJSON(token)[:14]} {
		if got := r.Text(said); strings.Contains(got, token[:8]) || !strings.Contains(got, redact.Secret) {
			t.Errorf("got %q of %q", got, said)
		}
	}
}

func TestShortSecretsAreWholeWords(t *testing.T) {
	t.Parallel()
	r := redact.New(short, "abc", "")
	for said, want := range map[string]string{
		"token hola1 is wrong": "token <secret> is wrong", "hola1": "<secret>", "x=hola1&y": "x=<secret>&y",
		"hola123 and choola1": "hola123 and choola1", "abc": "abc", "": "",
	} {
		if got := r.Text(said); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUsefulTextStays: the useful parts of a text stay.
func TestUsefulTextStays(t *testing.T) {
	t.Parallel()
	r := redact.New(token, short)
	for _, said := range []string{
		"(#131056) too many messages to this person", "send refused (retry, code 2494191): thread control not permitted", "HTTP 503 without an error code", "429 131056 190",
		"ERROR: duplicate key value violates unique constraint \"messages_conversation_id_provider_id_created_at_key\" (SQLSTATE 23505)",
		"Error validating access token: Session has expired on Tuesday, 24-Nov-26 10:00:00 PST. The current time is Tuesday, 24-Nov-26 11:00:01 PST.",
		"2026-11-24T10:30:00.123456789Z", "2026-11-24 10:30:00.123456+00", "2026-11-24 10:30:00.12345678 -0300 -03 m=+12.345678901", "2026/11/24 10:30:00", "20261124T103000Z", "20261124", "expires at 1764574800, now 1764574800123",
		"PSI-2026-000123", "ticket ESCUELA-2026-000123.", "[AZc1B2c3D4e5F6g7H8i9J0k]", "fbtrace_id A-1234567890x_Bc", "fbtrace AbcDefGhiJklMnoPqrStuVw",
		"wamid.HBgNNTQ5MTE1NTU1MDAwMRUCABEYEjQ4RkVGQkE2N0ZGMzI0NzY4AA==", "wamid.HBgNNTQ5MTE1NTU1MDAwMRUCABEYEjQ4RkVG/kE2N0ZGMzI0+zY4NTQ5MTE1NTU1MDAwMRUCABEYEjQ4RkVG",
		"AR.13491208655302741918", "AR.ENT.13491208655302741918", "US.1349abcdEFGH1349abcdEFGH1349abcdEFGH1349abcdEFGH1349",
		"0190a1b2-1234-7567-8901-123456789012", "inbound_0190a1b2-1234-7567-8901-123456789012_retry", "3EB0C767D097B7E3F5A1B2",
		"phone_number_id 106540352242922 of account 102290129340398, media 1234567890123456", "sha256:" + strings.Repeat("0123456789abcdef", 4),
		"dial tcp 192.168.100.200:54321: connect: connection refused", "dial tcp [2001:db8:1234:5678:9abc:def0:1234:5678]:443: i/o timeout",
		"open /var/lib/psi-router/with/a/long/path/store.db: permission denied", "host db-primary-sa-east.pooler.supabase.com", "psi-router-worker-of-the-school-in-buenos-aires-2",
		"page 12 of 345, took 12.345678901s, 99.999999999 %", "1.26.0-rc.1", "version 15.14 (Debian 15.14-0+deb12u1)", "0x00007fff12345678",
	} {
		if got := r.Text(said); got != said {
			t.Errorf("got %q, want %q", got, said)
		}
	}
}

func TestLongWords(t *testing.T) {
	t.Parallel()
	const word = "EAAGm0PX4ZCpsBO7Qw9khN3xQ2vTzY8LrUoP1aSdFg" // 42
	for said, want := range map[string]string{
		"token " + word + ".":            "token <long word>.",
		word[:39]:                        word[:39],
		word[:40]:                        "<long word>",
		"x-" + word:                      "<long word>",
		word[:20] + "_" + word[:20]:      "<long word>",
		"?access_token=" + word + "&a=b": "?access_token=<long word>&a=b",
		"eyJhbGciOiJIUzI1NiJ9." + word + "." + word: "eyJhbGciOiJIUzI1NiJ9.<long word>.<long word>",
		strings.Repeat("a1b2c3d4", 8):               "<long word>",
		"wamid.x " + word:                           "wamid.x <long word>",
	} {
		if got := (*redact.Redactor)(nil).Text(said); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := redact.New().Secrets(said); got != said {
			t.Errorf("Secrets: got %q of %q", got, said)
		}
	}
}

func TestPhones(t *testing.T) {
	t.Parallel()
	r := redact.New()
	for _, number := range []string{
		"5491155550001", "+5491155550001", "+54 9 11 5555-0001", "+54 (9) 11 5555 0001", "+54.9.11.5555.0001", "(011) 4555-0001", "011 15 5555-0001", "11 5555 0001", "11-5555-0001",
		"1155550001", "91155550001", "55550001", "+1 (415) 555-0001", "+447911120001", "%2B5491155550001", `\u002b5491155550001`, "12025550001",
	} {
		for _, frame := range []string{"%s", "to %s.", `{"to":"%s"}`, "(%s)", "phone=%s&x=1", "%s@s.whatsapp.net", `"\n%s\t"`, "phone%%3D%s%%20x", "tel:%s,"} {
			said := fmt.Sprintf(frame, number)
			got := r.Text(said)
			if !strings.Contains(got, "***001") || strings.Contains(got, "0001") || strings.Contains(got, "5555") {
				t.Errorf("got %q of %q", got, said)
			}
			if words := r.Words(said); words != said {
				t.Errorf("Words: got %q of %q", words, said)
			}
		}
	}
}

func TestHandler(t *testing.T) {
	t.Parallel()
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var out bytes.Buffer
		log := slog.New(redact.New(token).Handler(handler(&out)))
		type thing struct{ Said string }
		log = log.With("with", token).WithGroup("group").With("in", errors.New(token))
		log.Error("said "+token, "text", token, "error", fmt.Errorf("call: %w", errors.New("no "+token)), "list", []string{"a", token},
			"struct", thing{token}, "pointer", &thing{token}, "map", map[string]any{"a": token}, "bytes", json.RawMessage(`{"a":"`+token+`"}`),
			slog.Group("g", "x", token), "lazy", lazy(token), "nothing", nil, "n", 5491155550001)
		if got := out.String(); strings.Contains(got, "EAAGm0PX") || strings.Count(got, "<secret>")+strings.Count(got, `\u003csecret\u003e`) < 12 {
			t.Errorf("%s: got %s", name, got)
		}
		out.Reset()
		log.Info("plain", "lines", []string{"a", "b"}, "size", 12, "error", nil)
		if got := out.String(); name == "json" && !strings.Contains(got, `"lines":["a","b"],"size":12,"error":null`) {
			t.Errorf("got %s", got)
		}
	}
}

type lazy string

func (l lazy) LogValue() slog.Value { return slog.StringValue(string(l)) }

// TestLine: the result is one line, redacted before it is cut, and cut between characters.
func TestLine(t *testing.T) {
	t.Parallel()
	r := redact.New("sesame-open-sesame")
	for said, want := range map[string]string{
		"":              "",
		" a\r\n\tb  c ": "a b c",
		"sesame-open-sesame\nof +54 9 11 5555-9876":      redact.Secret + " of ***876",
		strings.Repeat("ñ", 30) + " ok":                  strings.Repeat("ñ", 30) + " ok",
		strings.Repeat("ñ ", 200):                        strings.Repeat("ñ ", 149) + "ñ…",
		strings.Repeat("ñ ", 148) + "sesame-open-sesame": strings.Repeat("ñ ", 148) + redact.Secret[:3] + "…",
	} {
		if got := r.Line(said); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
	if got := (*redact.Redactor)(nil).Line("a\nb"); got != "a b" {
		t.Errorf("without secrets: got %q", got)
	}
}
