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

// knownError gives an error sentence of Evolution's its class.
type knownError struct {
	pattern *regexp.Regexp
	class   outbound.Class
	detail  string // for operators
	// file restricts it to messages with a link to a file.
	file bool
}

// knownErrors lists Evolution's error sentences, whatever the HTTP status: it has no error
// codes. Each pattern matches a whole sentence, so that text quoted in one cannot match.
var knownErrors = []knownError{
	// about the recipient
	{pattern: errorOfKind(`session|untrustedidentitykey|prekey|messagecounter`), class: outbound.Permanent, detail: "WhatsApp has no session with this recipient"},
	{pattern: sentence(`no (?:open )?sessions?(?: record)?`), class: outbound.Permanent, detail: "WhatsApp has no session with this recipient"},
	{pattern: sentence(`all encryptions failed`), class: outbound.Permanent, detail: "WhatsApp could not encrypt it for this recipient"},
	{pattern: sentence(`number (?:is not on whatsapp|not found)|group not found`), class: outbound.Permanent, detail: notOnWhatsApp},
	// about WhatsApp's own hosts: no known meaning
	{pattern: sentence(`getaddrinfo enotfound \S*whatsapp\.(?:net|com)`), class: "", file: true},
	// about the message or the file
	{pattern: sentence(`getaddrinfo enotfound .*|connect econnrefused .*|timeout of \d+ms exceeded|failed to fetch stream from .*`), class: outbound.Permanent, detail: noLink, file: true},
	{pattern: sentence(`request failed with status code \d+`), class: outbound.Permanent, detail: noLink},
	{pattern: sentence(`text is required|owned media must be a url or base64|for base64 the file name must be informed|file buffer, url, or base64 audio is required|invalid media type|invalid url`), class: outbound.Permanent, detail: "the message cannot be sent like this"},
	{pattern: sentence(`failed to convert audio(?: to mp4)?`), class: outbound.Permanent, detail: "the sound cannot be converted"},
	{pattern: sentence(`message not (?:found|compatible)`), class: outbound.Permanent, detail: "the message is not there"},
	// the message may have been sent before the server failed
	{pattern: errorOfKind(`prismaclient\w*`), class: outbound.Uncertain, detail: "its database failed, the message may have been sent"},
	{pattern: sentence(`timed out`), class: outbound.Uncertain, detail: "WhatsApp did not answer it, the message may have been sent"},
	// about the phone
	{pattern: sentence(`connection (?:closed|lost|was lost|failure|terminated(?: by server)?|errored|replaced)`), class: outbound.Throttle, detail: notConnected},
	{pattern: sentence(`(?:(?:the )?(?:".*" )?(?:instance|client|phone|whatsapp)(?: is)? )?(?:not connected|not authenticated|disconnected|logged out)|intentional logout|session closed|no active session(?: found)?|stream errored(?: \(.*\))?|websocket is not open.*|websocket was closed before the connection was established`), class: outbound.Throttle, detail: notConnected},
	{pattern: sentence(`cannot read properties of undefined \(reading '(?:textmessage|mediamessage|audiowhatsapp|getbase64frommediamessage|onwhatsapp|sendmessage)'\)`), class: outbound.Throttle, detail: "the instance is not running"},
	{pattern: sentence(`rate-overlimit`), class: outbound.Throttle, detail: "WhatsApp takes no more of this number for now"},
	{pattern: sentence(`service-unavailable`), class: outbound.Throttle, detail: "WhatsApp is down"},
	// about the server and the instance
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

// sentence matches a whole sentence, with or without the error's name before it.
func sentence(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:[a-z]*error: ?)*(?:` + words + `)[.!]?$`)
}

// errorOfKind matches errors by their name, whatever their text.
func errorOfKind(names string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:error: )?(?:` + names + `)error(?::|$)`)
}

// refusal is the readable part of an error answer.
type refusal struct {
	words  []string
	absent bool // the recipient is not on WhatsApp
}

// mostWords bounds the sentences that are read of an answer.
const mostWords = 8

// parseRefusal reads the field that is meant for people: response.message, else message,
// else error. It is a sentence, or a list of sentences and of looked-up numbers; in some
// versions the list is nested.
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

// keyWords are about the API key only with a 401 or 403; otherwise WhatsApp said them about
// one message.
var keyWords = sentence(`unauthorized|forbidden`)

// meaning returns the class and words of the first known sentence. file says that the
// message had a link to a file.
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

// failure turns a refusal into a Failure, by its words, else by its status. With a 5xx the
// message may have been sent; any other refusal in unknown words is Unknown. said is the
// message's own text, which is removed from the detail. file says that the message had a
// link to a file.
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
		f.Class, says, words = class, known, "" // the database's error quotes the message
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

// byStatus returns the class of an answer that has only a status.
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
