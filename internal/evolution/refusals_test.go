package evolution_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// refused sends a text to a server that gives this answer, and returns the Failure.
func refused(t *testing.T, said string, status int, body string) *outbound.Failure {
	t.Helper()
	return refusedPost(t, text(said), status, body)
}

func refusedPost(t *testing.T, post outbound.Post, status int, body string) *outbound.Failure {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	client, err := evolution.NewClient(evolution.ClientOptions{
		BaseURL: s.URL, Instance: "ventas", APIKey: "key", Redact: redact.New("sesame-open-sesame"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Send(t.Context(), post)
	f, ok := errors.AsType[*outbound.Failure](err)
	if !ok {
		t.Fatalf("got %v, want a Failure", err)
	}
	return f
}

// says returns a refusal in the form of version 2 and late version 1 servers.
func says(status int, message string) string {
	return `{"status":` + strconv.Itoa(status) + `,"error":"` + http.StatusText(status) + `","response":{"message":` + message + `}}`
}

// TestWhoseFault: an error about one message is the message's, one about the instance or
// the server is the line's, and an unknown one is nobody's yet.
func TestWhoseFault(t *testing.T) {
	t.Parallel()
	const message, line, human, unknown, uncertain = outbound.Permanent, outbound.Throttle, outbound.Auth, outbound.Unknown, outbound.Uncertain
	for name, c := range map[string]struct {
		status int
		said   string // response.message
		want   outbound.Class
	}{
		"no session with this recipient":  {400, `["SessionError: No sessions"]`, message},
		"an old session":                  {400, `["SessionError: No open session"]`, message},
		"another phone of the recipient":  {400, `["UntrustedIdentityKeyError"]`, message},
		"keys of the recipient":           {500, `["PreKeyError: Invalid PreKey ID"]`, message},
		"not on WhatsApp":                 {400, `[{"jid":"5491100000001@s.whatsapp.net","exists":false,"number":"5491100000001"}]`, message},
		"not on WhatsApp, list in a list": {400, `[[{"exists":false}]]`, message},
		"dead link":                       {400, `["AxiosError: Request failed with status code 404"]`, message},
		"sound":                           {500, `["Failed to convert audio"]`, message},
		"no link":                         {400, `["Owned media must be a url or base64"]`, message},
		"phone is off":                    {500, `["Error: Connection Closed"]`, line},
		"phone is off, a sentence alone":  {500, `"Connection Closed"`, line},
		"phone is off, as a bad request":  {400, `["Error: Connection Closed"]`, line},
		"phone was off":                   {500, `"Connection was lost"`, line},
		"logged out":                      {400, `["Error: Intentional Logout"]`, line},
		"instance not connected":          {400, `["The \"ventas\" instance is not connected"]`, line},
		"instance not running":            {500, `"Cannot read properties of undefined (reading 'textMessage')"`, line},
		"too much":                        {400, `["Error: rate-overlimit"]`, line},
		"too much, by status":             {429, `"wait"`, line},
		"no such instance":                {404, `["The \"ventas\" instance does not exist"]`, human},
		"no such path":                    {404, `["Cannot POST /api/message/sendText/ventas"]`, human},
		"not for this one":                {400, `["Error: forbidden"]`, unknown},
		"not for this one, otherwise":     {400, `["Error: unauthorized"]`, unknown},
		"key, other words":                {403, `["Forbidden"]`, human},
		"not signed in":                   {400, `["Error: Not authenticated"]`, line},
		"closed by WhatsApp":              {400, `["Error: Connection Terminated by Server"]`, line},
		"closed too early":                {400, `["Error: WebSocket was closed before the connection was established"]`, line},
		"encryption failed":               {400, `["Error: All encryptions failed"]`, message},
		"no such media":                   {400, `["Error: Invalid media type"]`, message},
		"an invalid link":                 {400, `["TypeError: Invalid URL"]`, message},
		"a host, of a text":               {400, `["Error: getaddrinfo ENOTFOUND web.whatsapp.com"]`, unknown},
		"a port, of a text":               {400, `["Error: connect ECONNREFUSED 127.0.0.1:443"]`, unknown},
		"too slow, of a text":             {400, `["AxiosError: timeout of 10000ms exceeded"]`, unknown},
		"key":                             {401, `"Unauthorized"`, human},
		"key, without words":              {403, `null`, human},
		"version 1":                       {400, `[["instance requires property \"textMessage\""]]`, human},
		"version 1, a file":               {400, `["instance requires property \"mediaMessage\""]`, human},
		"unknown words":                   {400, `["Error: account_reachout_restricted"]`, unknown},
		"a bug of theirs":                 {400, `["TypeError: Cannot read properties of undefined (reading 'message')"]`, unknown},
		"an object instead of words":      {400, `["[object Object]"]`, unknown},
		"nothing said":                    {422, `null`, unknown},
		"a refusal without a number":      {400, `[{"exists":true}]`, unknown},
		"words that quote a closed phone": {400, `["text \"connection closed\" is not allowed"]`, unknown},
		"words that quote a session":      {400, `["instance.text contains SessionError: No sessions"]`, unknown},
		"database":                        {400, `["PrismaClientKnownRequestError: \nInvalid invocation: hola"]`, uncertain},
		"no answer of WhatsApp":           {400, `["Error: Timed Out"]`, uncertain},
		"broken":                          {500, `["Error: something"]`, uncertain},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := refused(t, "hola", c.status, says(c.status, c.said))
			if f.Class != c.want || f.Code != c.status || f.Detail == "" {
				t.Errorf("got %s %d %q, want %s", f.Class, f.Code, f.Detail, c.want)
			}
		})
	}
}

// TestUnreachableFile: an unreachable link is the message's fault, if it has one.
func TestUnreachableFile(t *testing.T) {
	t.Parallel()
	post := text("")
	post.Body = outbound.Body{Cloud: json.RawMessage(`{"type":"image","image":{"link":"https://files.example/a.png"}}`)}
	for _, said := range []string{
		"Error: getaddrinfo ENOTFOUND files.example", "AxiosError: connect ECONNREFUSED 127.0.0.1:443",
		"AxiosError: timeout of 10000ms exceeded", "TypeError: Invalid URL",
	} {
		if f := refusedPost(t, post, 400, says(400, `["`+said+`"]`)); f.Class != outbound.Permanent {
			t.Errorf("%s: got %s %q", said, f.Class, f.Detail)
		}
	}
	if f := refusedPost(t, post, 500, says(500, `["Error: getaddrinfo ENOTFOUND mmg.whatsapp.net"]`)); f.Class == outbound.Permanent {
		t.Errorf("a host of WhatsApp's: got %s %q", f.Class, f.Detail)
	}
}

// TestQuotedElsewhere: only the field that is meant for people decides.
func TestQuotedElsewhere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want outbound.Class
	}{
		"the text comes back":       {`{"status":400,"text":"connection closed","response":{"message":["hm"]}}`, outbound.Unknown},
		"a path of theirs":          {`{"path":"/no sessions","response":{"message":["hm"]}}`, outbound.Unknown},
		"exists, of another person": {`{"exists":false,"response":{"message":["hm"]}}`, outbound.Unknown},
		"a proxy's message":         {`{"message":"Cannot POST /message"}`, outbound.Auth},
		"an error alone":            {`{"error":"client disconnected"}`, outbound.Throttle},
		"a page":                    {`<html>connection closed</html>`, outbound.Unknown},
	} {
		if f := refused(t, "hola", 400, c.body); f.Class != c.want {
			t.Errorf("%s: got %s %q, want %s", name, f.Class, f.Detail, c.want)
		}
	}
}

// TestRefusalDetail: an operator reads Evolution's words on one short line, without secrets,
// numbers or the message's text.
func TestRefusalDetail(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, said, want string }{
		"known":           {"hola", `["SessionError: No sessions"]`, "WhatsApp has no session with this recipient: SessionError: No sessions"},
		"unknown":         {"hola", `["hm", "tja"]`, "Evolution answered HTTP 400: hm; tja"},
		"without words":   {"hola", `[]`, "Evolution answered HTTP 400"},
		"lines":           {"hola", `["a\n  b\tc"]`, "Evolution answered HTTP 400: a b c"},
		"a secret":        {"hola", `["key sesame-open-sesame"]`, "Evolution answered HTTP 400: key <secret>"},
		"a number":        {"hola", `["5491155559876 is odd"]`, "Evolution answered HTTP 400: ***876 is odd"},
		"our own text":    {"mi turno es a las 9", `["bad text: mi turno es a las 9!"]`, "Evolution answered HTTP 400: bad text: …!"},
		"of the database": {"hola", `["PrismaClientKnownRequestError: data: {text: 'Hola María'}"]`, "its database failed, the message may have been sent"},
	} {
		if f := refused(t, c.text, 400, says(400, c.said)); f.Detail != c.want {
			t.Errorf("%s: got %q, want %q", name, f.Detail, c.want)
		}
	}
	if f := refused(t, "hola", 400, says(400, `["`+strings.Repeat("é ", 5000)+`"]`)); len([]rune(f.Detail)) > 300 {
		t.Errorf("%d letters", len([]rune(f.Detail)))
	}
}

// TestRefusalsOnceMisread: answers of real servers that were once classified wrongly.
func TestRefusalsOnceMisread(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]outbound.Class{
		"evolution_no_sessions": outbound.Permanent,
		"evolution_v1_server":   outbound.Auth,
	} {
		raw, err := os.ReadFile(filepath.Join("testdata", "refused", name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		var answer struct {
			HTTP int
			Body json.RawMessage
		}
		if err := json.Unmarshal(raw, &answer); err != nil {
			t.Fatal(err)
		}
		if f := refused(t, "hola", answer.HTTP, string(answer.Body)); f.Class != want {
			t.Errorf("%s: got %s %q, want %s", name, f.Class, f.Detail, want)
		}
	}
}
