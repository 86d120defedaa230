package evolution

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
	"github.com/psivisionhub/psi-router/internal/redact"
)

// knownError is what a sentence of Evolution's means for what comes next.
type knownError struct {
	pattern *regexp.Regexp
	class   outbound.Class
	detail  string // for operators
	// file says that it means this only of a message with a link to a file.
	file bool
}

// knownErrors are what Evolution says, in whatever status: it has no error codes. Each is
// a whole sentence, so that nothing which one quotes decides.
var knownErrors = []knownError{
	// of the one that it was to be sent to
	{pattern: errorOfKind(`session|untrustedidentitykey|prekey|messagecounter`), class: outbound.Permanent, detail: "WhatsApp has no session with this recipient"},
	{pattern: sentence(`no (?:open )?sessions?(?: record)?`), class: outbound.Permanent, detail: "WhatsApp has no session with this recipient"},
	{pattern: sentence(`all encryptions failed`), class: outbound.Permanent, detail: "WhatsApp could not encrypt it for this recipient"},
	{pattern: sentence(`number (?:is not on whatsapp|not found)|group not found`), class: outbound.Permanent, detail: notOnWhatsApp},
	// of WhatsApp's own hosts: nothing that we know
	{pattern: sentence(`getaddrinfo enotfound \S*whatsapp\.(?:net|com)`), class: "", file: true},
	// of what was to be sent, or fetched
	{pattern: sentence(`getaddrinfo enotfound .*|connect econnrefused .*|timeout of \d+ms exceeded|failed to fetch stream from .*`), class: outbound.Permanent, detail: noLink, file: true},
	{pattern: sentence(`request failed with status code \d+`), class: outbound.Permanent, detail: noLink},
	{pattern: sentence(`text is required|owned media must be a url or base64|for base64 the file name must be informed|file buffer, url, or base64 audio is required|invalid media type|invalid url`), class: outbound.Permanent, detail: "the message cannot be sent like this"},
	{pattern: sentence(`failed to convert audio(?: to mp4)?`), class: outbound.Permanent, detail: "the sound cannot be converted"},
	{pattern: sentence(`message not (?:found|compatible)`), class: outbound.Permanent, detail: "the message is not there"},
	// of what may have been sent before the server failed
	{pattern: errorOfKind(`prismaclient\w*`), class: outbound.Uncertain, detail: "its database failed, the message may have been sent"},
	{pattern: sentence(`timed out`), class: outbound.Uncertain, detail: "WhatsApp did not answer it, the message may have been sent"},
	// of the phone
	{pattern: sentence(`connection (?:closed|lost|was lost|failure|terminated(?: by server)?|errored|replaced)`), class: outbound.Throttle, detail: notConnected},
	{pattern: sentence(`(?:(?:the )?(?:".*" )?(?:instance|client|phone|whatsapp)(?: is)? )?(?:not connected|not authenticated|disconnected|logged out)|intentional logout|session closed|no active session(?: found)?|stream errored(?: \(.*\))?|websocket is not open.*|websocket was closed before the connection was established`), class: outbound.Throttle, detail: notConnected},
	{pattern: sentence(`cannot read properties of undefined \(reading '(?:textmessage|mediamessage|audiowhatsapp|getbase64frommediamessage|onwhatsapp|sendmessage)'\)`), class: outbound.Throttle, detail: "the instance is not running"},
	{pattern: sentence(`rate-overlimit`), class: outbound.Throttle, detail: "WhatsApp takes no more of this number for now"},
	{pattern: sentence(`service-unavailable`), class: outbound.Throttle, detail: "WhatsApp is down"},
	// of the server and the instance
	{pattern: sentence(`the ".*" instance does not exist`), class: outbound.Auth, detail: "no such instance"},
	{pattern: sentence(`cannot (?:post|get) /.*`), class: outbound.Auth, detail: "url does not lead to an Evolution server"},
	{pattern: sentence(`instance requires property "(?:text|media|audio)message"`), class: outbound.Auth, detail: "the server speaks version 1 of Evolution API, not 2"},
	{pattern: sentence(`missing global api key`), class: outbound.Auth, detail: keyRefused},
}

const (
	notOnWhatsApp = "the number is not on WhatsApp"
	noLink        = "the file's link cannot be fetched"
	keyRefused    = "api_key refused"
	notConnected  = "the phone of the instance is not connected"
)

// sentence matches a whole one, with the kind of error that some versions put before it.
func sentence(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:[a-z]*error: ?)*(?:` + words + `)[.!]?$`)
}

// errorOfKind matches errors of a kind, whatever they say.
func errorOfKind(names string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:error: )?(?:` + names + `)error(?::|$)`)
}

// refusal is what an answer says of one.
type refusal struct {
	words  []string
	absent bool // whom it is for is not on WhatsApp
}

// mostWords is how many sentences of an answer are read.
const mostWords = 8

// parseRefusal looks into the field that is for people: response.message, or message or error
// where there is no response. It is a sentence, or a list of sentences and of numbers
// that were looked up; in some versions lists in a list.
func parseRefusal(body []byte) (r refusal) {
	v, _ := rawjson.Parse(body)
	for _, path := range [][]string{{"response", "message"}, {"message"}, {"error"}} {
		if said := v.Get(path...); said.Exists() {
			r.add(said, 0)
			break
		}
	}
	return r
}

func (r *refusal) add(v rawjson.Value, depth int) {
	switch {
	case v.IsString() && len(r.words) < mostWords:
		r.words = append(r.words, strings.TrimSpace(v.Text()))
	case v.IsArray() && depth < mostWords:
		for item := range v.Items() {
			r.add(item, depth+1)
		}
	case v.IsObject() && string(v.Get("exists")) == "false":
		r.absent = true
	}
}

// keyWords are also WhatsApp's, of one message: they are about the key only with the
// status of one.
var keyWords = sentence(`unauthorized|forbidden`)

// meaning is what the first sentence that we know means, of a message with a link to a
// file or without.
func (r *refusal) meaning(status int, file bool) (class outbound.Class, says string) {
	if r.absent {
		return outbound.Permanent, notOnWhatsApp
	}
	for _, words := range r.words {
		if (status == http.StatusUnauthorized || status == http.StatusForbidden) && keyWords.MatchString(words) {
			return outbound.Auth, keyRefused
		}
		for _, s := range knownErrors {
			if (file || !s.file) && s.pattern.MatchString(words) {
				return s.class, s.detail
			}
		}
	}
	return "", ""
}

// failure judges an answer that is no acceptance: by what it says, else by its status.
// A 5xx may have been sent; any other refusal in words that we do not know is Unknown.
// What we said ourselves is not repeated. file says that it had a link to fetch.
func failure(a httpcall.Answer, said string, file bool, r *redact.Redactor) *outbound.Failure {
	f := &outbound.Failure{Code: a.Status}
	parsed := parseRefusal(a.Body)
	words := strings.Join(parsed.words, "; ")
	if len(said) >= 4 {
		words = strings.ReplaceAll(words, said, "…")
	}
	says := "Evolution answered HTTP " + strconv.Itoa(a.Status)
	class, known := parsed.meaning(a.Status, file)
	switch {
	case a.Status < 300:
		f.Class, says = outbound.Uncertain, says+" without a message id"
	case class == outbound.Uncertain:
		f.Class, says, words = class, known, "" // the database's words hold the message
	case class != "":
		f.Class, says = class, known
	default:
		f.Class = byStatus(a.Status)
	}
	f.Detail = r.Line(strings.TrimSuffix(says+": "+words, ": "))
	if s, err := strconv.Atoi(a.Header.Get("Retry-After")); err == nil && s > 0 {
		f.Wait = time.Duration(min(s, 3600)) * time.Second
	}
	return f
}

// byStatus judges what only has a status.
func byStatus(status int) outbound.Class {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound, status < 400:
		return outbound.Auth // the key, the instance or the address
	case status == http.StatusTooManyRequests:
		return outbound.Throttle
	case status >= 500, status == http.StatusRequestTimeout:
		return outbound.Uncertain
	case status == http.StatusRequestEntityTooLarge:
		return outbound.Permanent
	}
	return outbound.Unknown
}
