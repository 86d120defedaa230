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

// saying is what a sentence of Evolution's means for what comes next.
type saying struct {
	words *regexp.Regexp
	class outbound.Class
	says  string // for operators
}

// sayings are what Evolution says, in whatever status: it has no error codes. Each is
// a whole sentence, so that nothing which one quotes decides.
var sayings = []saying{
	// of the one that it was to be sent to
	{kind(`session|untrustedidentitykey|prekey|messagecounter`), outbound.Permanent, "WhatsApp has no session with this recipient"},
	{sentence(`no (?:open )?sessions?(?: record)?`), outbound.Permanent, "WhatsApp has no session with this recipient"},
	{sentence(`number (?:is not on whatsapp|not found)|group not found`), outbound.Permanent, notOnWhatsApp},
	// of what was to be sent, or fetched
	{sentence(`request failed with status code \d+`), outbound.Permanent, "the file's link cannot be fetched"},
	{sentence(`text is required|owned media must be a url or base64|for base64 the file name must be informed|file buffer, url, or base64 audio is required`), outbound.Permanent, "the message cannot be sent like this"},
	{sentence(`failed to convert audio(?: to mp4)?`), outbound.Permanent, "the sound cannot be converted"},
	{sentence(`message not (?:found|compatible)`), outbound.Permanent, "the message is not there"},
	// of what may have been sent before the server failed
	{kind(`prismaclient\w*`), outbound.Uncertain, "its database failed, the message may have been sent"},
	{sentence(`timed out`), outbound.Uncertain, "WhatsApp did not answer it, the message may have been sent"},
	// of the phone
	{sentence(`connection (?:closed|lost|was lost|failure|terminated|errored|replaced)`), outbound.Throttle, notConnected},
	{sentence(`(?:(?:the )?(?:".*" )?(?:instance|client|phone|whatsapp)(?: is)? )?(?:not connected|disconnected|logged out)|intentional logout|session closed|no active session(?: found)?|stream errored(?: \(.*\))?|websocket is not open.*`), outbound.Throttle, notConnected},
	{sentence(`cannot read properties of undefined \(reading '(?:textmessage|mediamessage|audiowhatsapp|getbase64frommediamessage|onwhatsapp|sendmessage)'\)`), outbound.Throttle, "the instance is not running"},
	{sentence(`rate-overlimit`), outbound.Throttle, "WhatsApp takes no more of this number for now"},
	{sentence(`service-unavailable`), outbound.Throttle, "WhatsApp is down"},
	// of the server and the instance
	{sentence(`the ".*" instance does not exist`), outbound.Auth, "no such instance"},
	{sentence(`cannot (?:post|get) /.*`), outbound.Auth, "url does not lead to an Evolution server"},
	{sentence(`instance requires property "(?:text|media|audio)message"`), outbound.Auth, "the server speaks version 1 of Evolution API, not 2"},
	{sentence(`unauthorized|forbidden|missing global api key`), outbound.Auth, "api_key refused"},
}

const (
	notOnWhatsApp = "the number is not on WhatsApp"
	notConnected  = "the phone of the instance is not connected"
)

// sentence matches a whole one, with the kind of error that some versions put before it.
func sentence(words string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:[a-z]*error: ?)*(?:` + words + `)[.!]?$`)
}

// kind matches errors of a kind, whatever they say.
func kind(names string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:error: )?(?:` + names + `)error(?::|$)`)
}

// refusal is what an answer says of one.
type refusal struct {
	words  []string
	absent bool // whom it is for is not on WhatsApp
}

// mostWords is how many sentences of an answer are read.
const mostWords = 8

// read looks into the field that is for people: response.message, or message or error
// where there is no response. It is a sentence, or a list of sentences and of numbers
// that were looked up; in some versions lists in a list.
func read(body []byte) (r refusal) {
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

// meaning is what the first sentence that we know means.
func (r *refusal) meaning() (class outbound.Class, says string) {
	if r.absent {
		return outbound.Permanent, notOnWhatsApp
	}
	for _, words := range r.words {
		for _, s := range sayings {
			if s.words.MatchString(words) {
				return s.class, s.says
			}
		}
	}
	return "", ""
}

// failure judges an answer that is no acceptance: by what it says, else by its status.
// A 5xx may have been sent; any other refusal in words that we do not know is Unknown.
// What we said ourselves is not repeated.
func failure(a httpcall.Answer, said string, r *redact.Redactor) *outbound.Failure {
	f := &outbound.Failure{Code: a.Status}
	told := read(a.Body)
	words := strings.Join(told.words, "; ")
	if len(said) >= 4 {
		words = strings.ReplaceAll(words, said, "…")
	}
	says := "Evolution answered HTTP " + strconv.Itoa(a.Status)
	class, known := told.meaning()
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
