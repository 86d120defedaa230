package whatsapp_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// number is the line's phone number id.
const number = "200000000000002"

// answering returns a client whose Graph gives this answer to every call.
func answering(t *testing.T, status int, body string) *whatsapp.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	client, err := whatsapp.NewClient(whatsapp.ClientOptions{
		BaseURL: server.URL, PhoneNumberID: number, Tokens: []string{"token"}, Redact: redact.New("sesame-open-sesame"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestWhoseFault: an error about the number, token, app or account is the line's, whatever
// the status; one about a file, a message or a template is the message's; an unknown one is
// nobody's yet.
func TestWhoseFault(t *testing.T) {
	t.Parallel()
	const message, line, human, unknown = outbound.Permanent, outbound.Throttle, outbound.Auth, outbound.Unknown
	object := func(id string) string {
		return "Unsupported post request. Object with ID '" + id + "' does not exist, cannot be loaded due to missing permissions, or does not support this operation."
	}
	e := func(fields ...string) string { return `{"error":{` + strings.Join(fields, ",") + `}}` }
	said := func(s string) string { return `"message":"` + s + `"` }
	details := func(s string) string {
		return `"error_data":{"messaging_product":"whatsapp","details":"` + s + `"}`
	}
	const graphs, oauth = `"type":"GraphMethodException"`, `"type":"OAuthException"`
	for name, c := range map[string]struct {
		body string
		want outbound.Class
	}{
		"the number":                     {e(said(object(number)), graphs, `"code":100,"error_subcode":33`), human},
		"the number, without a subcode":  {e(said(object(number)), graphs, `"code":100`), human},
		"the number, in details":         {e(said("(#100) Invalid parameter"), oauth, `"code":100,"error_subcode":33`, details(object(number))), human},
		"the node that was asked":        {e(said("Unsupported post request."), graphs, `"code":100`), human},
		"the node, by another name":      {e(said("(#803) Some of the aliases you requested do not exist"), oauth, `"code":803`), human},
		"an account's id for a number's": {e(said("(#100) Tried accessing nonexisting field (messages) on node type (WhatsAppBusinessAccount)"), oauth, `"code":100`), human},
		"an invalid path":                {e(said("Unknown path components: /messages"), oauth, `"code":2500`), human},
		"a file":                         {e(said(object("777")), graphs, `"code":100,"error_subcode":33`), message},
		"a file, in details":             {e(said("(#100) Invalid parameter"), oauth, `"code":100,"error_subcode":33`, details("Media ID does not exist")), message},
		"a template":                     {e(said("(#132001) Template name does not exist in the translation"), oauth, `"code":132001`), message},
		"a parameter":                    {e(said("(#100) Invalid parameter"), oauth, `"code":100`, details("text.body is too long")), message},
		"a parameter, without details":   {e(said("(#100) The parameter to is required."), oauth, `"code":100`), message},
		"details that quote a proof":     {e(said("(#100) Invalid parameter"), oauth, `"code":100`, details("text.body: appsecret_proof")), message},
		"session":                        {e(said("Session key invalid or no longer valid"), oauth, `"code":102`), human},
		"expired":                        {e(said("Session has expired"), oauth, `"code":190,"error_subcode":463`), human},
		"expired, in another code":       {e(said("Session has expired"), oauth, `"code":999999,"error_subcode":463`), human},
		"logged out":                     {e(said("m"), oauth, `"code":999999,"error_subcode":467`), human},
		"password":                       {e(said("m"), oauth, `"code":999999,"error_subcode":460`), human},
		"app not installed":              {e(said("m"), oauth, `"code":999999,"error_subcode":458`), human},
		"invalid session":                {e(said("m"), oauth, `"code":999999,"error_subcode":492`), human},
		"a type and no code":             {e(said("Invalid OAuth access token."), oauth), human},
		"app deleted":                    {e(said("Error validating application. Application has been deleted."), oauth, `"code":190`), human},
		"app unknown":                    {e(said("Error validating application. Invalid application ID."), oauth, `"code":101`), human},
		"app blocked":                    {e(said("API access blocked."), oauth, `"code":200`), human},
		"our address":                    {e(said("This IP can't make requests for that application."), oauth, `"code":5`), human},
		"signature":                      {e(said("Incorrect signature"), oauth, `"code":104`), human},
		"an old version":                 {e(said("(#2635) You are calling a deprecated version"), oauth, `"code":2635`), human},
		"proof required":                 {e(said("API calls from the server require an appsecret_proof argument"), graphs, `"code":100`), human},
		"proof wrong":                    {e(said("Invalid appsecret_proof provided in the API argument"), graphs, `"code":100`), human},
		"permission":                     {e(said("(#10) Application does not have permission for this action"), oauth, `"code":10`), human},
		"account locked":                 {e(said("(#131031) Business Account locked"), oauth, `"code":131031`), human},
		"payment":                        {e(said("(#131042) Business eligibility payment issue"), oauth, `"code":131042`), human},
		"a code as a text":               {e(said("Session has expired"), oauth, `"code":"190"`), human},
		"a message's code as a text":     {e(said("m"), oauth, `"code":"131026"`), message},
		"a code that is not a number":    {e(said("m"), `"code":"E190"`), unknown},
		"a group":                        {e(said("m"), oauth, `"code":131215`), message},
		"a marketing template":           {e(said("m"), oauth, `"code":134102`), message},
		"a call":                         {e(said("m"), oauth, `"code":138006`), message},
		"limit of the app":               {e(said("(#4) Application request limit reached"), oauth, `"code":4`), line},
		"another limit of the app":       {e(said("(#341) Application limit reached"), oauth, `"code":341`), line},
		"limit of the account":           {e(said("(#80008) There have been too many calls to this account"), oauth, `"code":80008`), line},
		"an unknown code":                {e(said("m"), oauth, `"code":140999`), unknown},
		"an unknown subcode":             {e(said("m"), oauth, `"code":140999,"error_subcode":2494010`), unknown},
		"no code, no type":               {e(said("m")), unknown},
		"somebody else's page":           {`<html>Object with ID '` + number + `'</html>`, unknown},
	} {
		for _, status := range []int{400, 403, 404} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				_, err := answering(t, status, c.body).Send(t.Context(), reply("hola"))
				f := classOf(t, err)
				want := c.want
				if f.Code == 0 && status != 400 { // the status is all there is
					want = human
				}
				if f.Class != want || f.Detail == "" {
					t.Errorf("%d: got %s %d %q, want %s", status, f.Class, f.Code, f.Detail, want)
				}
			})
		}
	}
}

// TestMissingFile: a fetch tells an error about the file from one about the line.
func TestMissingFile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		want outbound.Class
	}{
		"gone":            {`{"error":{"code":100,"error_subcode":33,"type":"GraphMethodException","message":"Unsupported get request. Object with ID '77' does not exist"}}`, outbound.Permanent},
		"gone, not named": {`{"error":{"code":100,"error_subcode":33,"type":"GraphMethodException","message":"Unsupported get request."}}`, outbound.Permanent},
		"the number":      {`{"error":{"code":100,"error_subcode":33,"type":"GraphMethodException","message":"Object with ID '` + number + `' does not exist"}}`, outbound.Auth},
		"session":         {`{"error":{"code":102,"type":"OAuthException","message":"m"}}`, outbound.Auth},
		"proof":           {`{"error":{"code":100,"type":"GraphMethodException","message":"API calls from the server require an appsecret_proof argument"}}`, outbound.Auth},
		"unknown":         {`{"error":{"code":140999,"message":"m"}}`, outbound.Retry},
	} {
		_, _, err := answering(t, 400, c.body).Fetch(t.Context(), inbound.Media{ID: "77"})
		if f := classOf(t, err); f.Class != c.want {
			t.Errorf("%s: got %s %q, want %s", name, f.Class, f.Detail, c.want)
		}
	}
}

// TestRefusalsOnceMisread: answers that were once classified wrongly.
func TestRefusalsOnceMisread(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"graph_100_appsecret_proof", "graph_100_subcode_33", "graph_102_session"} {
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
		_, err = answering(t, answer.HTTP, string(answer.Body)).Send(t.Context(), reply("hola"))
		if f := classOf(t, err); f.Class != outbound.Auth {
			t.Errorf("%s: got %s %q, want %s", name, f.Class, f.Detail, outbound.Auth)
		}
	}
}
