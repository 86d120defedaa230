package whatsapp

import (
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/psivisionhub/psi-router/internal/httpcall"
	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// code is the meaning of one of Meta's error codes.
type code struct {
	class outbound.Class
	wait  time.Duration
	says  string // for operators; Meta's own titles are unstable
}

// codes is Meta's list (support/error-codes, and Graph's own) in our terms. ranges has
// the codes that mean the same; missingNode decides about 100 and 803 of a node. The HTTP
// status is ignored: throttling comes as 400.
var codes = map[int]code{
	0:       {outbound.Auth, 0, "token could not be authenticated"},
	1:       {outbound.Retry, 0, "unknown API error"},
	2:       {outbound.Throttle, 0, "service temporarily down"},
	3:       {outbound.Auth, 0, "capability or permission missing"},
	4:       {outbound.Throttle, time.Minute, "app call limit reached"},
	5:       {outbound.Auth, 0, "the app does not allow this machine's address"},
	10:      {outbound.Auth, 0, "permission missing"},
	12:      {outbound.Auth, 0, "the API version in graph_url is no longer served"},
	17:      {outbound.Throttle, time.Minute, "user call limit reached"},
	32:      {outbound.Throttle, time.Minute, "page call limit reached"},
	33:      {outbound.Auth, 0, "phone number id invalid or deleted"},
	100:     {outbound.Permanent, 0, "invalid parameter"},
	101:     {outbound.Auth, 0, "app unknown or deleted"},
	102:     sessionOver,
	104:     {outbound.Auth, 0, "signature of the call wrong"},
	190:     {outbound.Auth, 0, "token expired or invalid"},
	341:     {outbound.Throttle, time.Minute, "app limit reached"},
	368:     {outbound.Auth, 0, "account blocked for policy"},
	613:     {outbound.Throttle, time.Minute, "call limit reached"},
	2500:    {outbound.Auth, 0, "graph_url or phone_number_id is wrong"},
	2635:    {outbound.Auth, 0, "the API version in graph_url is no longer served"},
	130429:  {outbound.Throttle, 2 * time.Second, "number throughput reached"},
	130472:  {outbound.Permanent, 0, "person is part of an experiment"},
	130497:  {outbound.Permanent, 0, "account may not write to this country"},
	131000:  {outbound.Retry, 0, "something went wrong at WhatsApp"},
	131005:  {outbound.Auth, 0, "access denied"},
	131008:  {outbound.Permanent, 0, "parameter missing"},
	131009:  {outbound.Permanent, 0, "parameter value invalid"},
	131016:  {outbound.Throttle, 0, "service unavailable"},
	131020:  {outbound.Permanent, 0, "group error"},
	131021:  {outbound.Permanent, 0, "recipient is the sender"},
	131026:  {outbound.Permanent, 0, "undeliverable: not on WhatsApp, or an old app"},
	131030:  {outbound.Permanent, 0, "recipient is not in the test number's list (in Argentina and Mexico check the 9 and the 1)"},
	131031:  {outbound.Auth, 0, "account locked"},
	131037:  {outbound.Auth, 0, "display name not approved"},
	131041:  {outbound.Permanent, 0, "group error"},
	131042:  {outbound.Auth, 0, "payment problem of the account"},
	131043:  {outbound.Permanent, 0, "message expired"},
	131044:  {outbound.Auth, 0, "payment problem of the account"},
	131045:  {outbound.Auth, 0, "number registration problem"},
	131047:  {outbound.Permanent, 0, "more than 24 h since the person wrote: only a template may go"},
	131048:  {outbound.Throttle, 10 * time.Minute, "number restricted as spam"},
	131049:  {outbound.Permanent, 0, "WhatsApp chose not to deliver"},
	131050:  {outbound.Permanent, 0, "person stopped marketing messages"},
	131051:  {outbound.Permanent, 0, "message type not supported"},
	131052:  {outbound.Retry, 0, "media could not be downloaded"},
	131053:  {outbound.Retry, 0, "media could not be uploaded"},
	131055:  {outbound.Permanent, 0, "not a marketing template"},
	131056:  {outbound.Pair, 0, "too many messages to this person"},
	131057:  {outbound.Throttle, time.Minute, "account in maintenance"},
	131058:  {outbound.Permanent, 0, "hello_world goes from test numbers only"},
	131059:  {outbound.Permanent, 0, "cursor invalid"},
	131060:  {outbound.Permanent, 0, "message unavailable"},
	131061:  {outbound.Permanent, 0, "template not for this API"},
	131062:  {outbound.Permanent, 0, "needs a phone number, a user id is not enough"},
	131063:  {outbound.Permanent, 0, "marketing templates disabled"},
	131064:  {outbound.Pair, time.Hour, "messaging limit reached: answers go on"},
	131065:  {outbound.Permanent, 0, "price limit not available in this country"},
	131070:  {outbound.Permanent, 0, "another app owns this conversation"},
	132000:  {outbound.Permanent, 0, "template parameter count"},
	132001:  {outbound.Permanent, 0, "template missing in this language, or not approved"},
	132005:  {outbound.Permanent, 0, "template too long"},
	132007:  {outbound.Permanent, 0, "template against policy"},
	132008:  {outbound.Permanent, 0, "template parameter value"},
	132012:  {outbound.Permanent, 0, "template parameter format"},
	132015:  {outbound.Permanent, 0, "template paused"},
	132016:  {outbound.Permanent, 0, "template disabled"},
	132018:  {outbound.Permanent, 0, "template parameter problem"},
	132068:  {outbound.Permanent, 0, "flow blocked"},
	132069:  {outbound.Pair, time.Hour, "flow throttled"},
	133000:  {outbound.Auth, 0, "deregistration incomplete"},
	133004:  {outbound.Throttle, 0, "server temporarily unavailable"},
	133005:  {outbound.Auth, 0, "two-step PIN wrong"},
	133006:  {outbound.Auth, 0, "number needs verification"},
	133008:  {outbound.Auth, 0, "too many PIN guesses"},
	133009:  {outbound.Auth, 0, "PIN guessed too fast"},
	133010:  {outbound.Auth, 0, "number not registered"},
	133015:  {outbound.Auth, 0, "number was just deleted"},
	133016:  {outbound.Auth, 0, "too many registrations"},
	134011:  {outbound.Permanent, 0, "payment terms not accepted"},
	135000:  {outbound.Permanent, 0, "generic parameter problem"},
	137000:  {outbound.Permanent, 0, "identity key does not match"},
	2494191: {outbound.Permanent, 0, "thread control not permitted"},
}

// ranges gives one meaning to all codes from from to to that codes does not list.
var ranges = []struct {
	from, to int
	code
}{
	{200, 299, code{outbound.Auth, 0, "permission missing"}},
	{80000, 80014, code{outbound.Throttle, time.Minute, "account rate limit reached"}},
	{131200, 131299, code{outbound.Permanent, 0, "group error"}},
	{134100, 134199, code{outbound.Permanent, 0, "marketing template refused"}},
	{138000, 138999, code{outbound.Permanent, 0, "call refused"}},
	{139000, 139999, code{outbound.Permanent, 0, "flow or block refused"}},
	{147000, 147999, code{outbound.Permanent, 0, "user name refused"}},
}

// lookUp returns the meaning of a code; known is false for a code that Meta added since.
func lookUp(number int) (code, bool) {
	if c, known := codes[number]; known {
		return c, true
	}
	for _, r := range ranges {
		if number >= r.from && number <= r.to {
			return r.code, true
		}
	}
	return code{}, false
}

// errSession marks a refusal of the token, whatever its code.
var errSession = errors.New("token refused")

// sessionOver is the meaning of every code or subcode for which isTokenCode is true.
var sessionOver = code{outbound.Auth, 0, "session of the token is over"}

// isTokenCode reports whether a code or subcode says that the token's session is over:
// expired, revoked, logged out, or its app removed.
func isTokenCode(number int) bool {
	switch number {
	case 102, 190, 452, 490, 492, 493:
		return true
	}
	return number >= 456 && number <= 468
}

// The types of a refusal. methodError is about the node that was called. tokenError is
// about the token only if there is no code: WhatsApp's API puts it beside most codes.
const (
	methodError = "GraphMethodException"
	tokenError  = "OAuthException"
)

// objectName matches the sentence in which Graph names an object that it does not have or
// does not show to this token.
var objectName = regexp.MustCompile(`Object with ID '([^']*)'`)

// missingNode classifies an error about a node that Graph does not have or does not show
// to this token; ok is false for other errors. If the node is the line's own number,
// nothing can be sent (Auth); if it is a file, a message or a template, only this message
// fails (Permanent). The node is the one that the error names, else the one we asked for,
// unless details show that the number's API looked at the message.
func (c *Client) missingNode(e rawjson.Value, asked string) (m code, ok bool) {
	message, details := e.Get("message").Text(), e.Get("error_data", "details").Text()
	name := objectName.FindStringSubmatch(message + "\n" + details)
	missing := name != nil || e.Get("error_subcode").Int() == 33 || e.Get("type").Text() == methodError ||
		strings.Contains(message, "nonexisting field")
	switch number := e.Get("code").Int(); {
	case number != 803 && (number != 100 || !missing):
		return code{}, false
	case name != nil && name[1] != c.number, name == nil && (details != "" || asked != c.number):
		return code{outbound.Permanent, 0, "something in it is not there, or not for this token"}, true
	}
	return code{outbound.Auth, 0, "phone_number_id is not there, or the token may not use it"}, true
}

// meaning interprets an error by its most specific field: the proof, the subcode, the
// node, then the code. cause is errProof, errSession or nil.
func (c *Client) meaning(e rawjson.Value, asked string) (m code, cause error, known bool) {
	number := int(e.Get("code").Int())
	if number == 100 && strings.Contains(e.Get("message").Text(), "appsecret_proof") {
		return code{outbound.Auth, 0, "appsecret_proof wrong or missing: app_secret must belong to the token's app"}, errProof, true
	}
	if isTokenCode(int(e.Get("error_subcode").Int())) {
		return sessionOver, errSession, true
	}
	if m, known = c.missingNode(e, asked); known {
		return m, nil, true
	}
	if m, known = lookUp(number); isTokenCode(number) {
		cause = errSession
	}
	return m, cause, known
}

// failure turns a refusal into a Failure. asked is the node that was called.
func (c *Client) failure(a httpcall.Answer, asked string) *outbound.Failure {
	v, _ := rawjson.Parse(a.Body)
	e := v.Get("error")
	if !numbered(e) {
		return c.failureWithoutCode(a, e)
	}
	number, detail := readError(e)
	m, cause, known := c.meaning(e, asked)
	f := &outbound.Failure{Code: number, Wait: patience(a.Header), Err: cause}
	switch transient := e.Get("is_transient").Bool(); {
	case known && (!transient || m.class != outbound.Permanent):
		f.Class, f.Wait = m.class, max(m.wait, f.Wait)
	case transient, a.Status >= http.StatusInternalServerError:
		f.Class = outbound.Retry
	case a.Status == http.StatusTooManyRequests:
		f.Class = outbound.Throttle
	case a.Status == http.StatusUnauthorized:
		f.Class = outbound.Auth
	default:
		f.Class = outbound.Unknown
	}
	f.Detail = c.redact.Line(strings.TrimPrefix(m.says+": "+detail, ": "))
	if trace := e.Get("fbtrace_id").Text(); trace != "" {
		f.Detail += " [" + c.redact.Line(trace) + "]"
	}
	return f
}

// numbered reports whether an error has a code. Some proxies write it as a string.
func numbered(e rawjson.Value) bool {
	_, err := strconv.Atoi(e.Get("code").Text())
	return err == nil || e.Get("code").IsNumber()
}

// failureWithoutCode classifies an answer without Meta's code: it comes from a proxy, a
// front end or a wrong address, or from Graph about the token.
func (c *Client) failureWithoutCode(a httpcall.Answer, e rawjson.Value) *outbound.Failure {
	f := &outbound.Failure{Wait: patience(a.Header), Detail: "HTTP " + strconv.Itoa(a.Status) + " without an error code"}
	switch {
	case e.Get("type").Text() == tokenError:
		f.Class, f.Err, f.Detail = outbound.Auth, errSession, c.redact.Line(sessionOver.says+": "+e.Get("message").Text())
	case a.Status == http.StatusTooManyRequests:
		f.Class = outbound.Throttle
	case a.Status < 300:
		f.Class, f.Detail = outbound.Uncertain, "HTTP "+strconv.Itoa(a.Status)+" without a message id"
	case a.Status >= 500, a.Status == http.StatusRequestTimeout:
		f.Class = outbound.Uncertain
	case a.Status == http.StatusUnauthorized, a.Status == http.StatusForbidden,
		a.Status == http.StatusNotFound, a.Status < 400:
		f.Class = outbound.Auth // a wrong address or token fails every message
	case a.Status == http.StatusRequestEntityTooLarge:
		f.Class = outbound.Permanent
	default:
		f.Class = outbound.Unknown
	}
	return f
}

// maxPatience bounds the wait that a header may ask for.
const maxPatience = time.Hour

// patience returns how long Meta asks us to wait: Retry-After, or the minutes until access
// returns in X-Business-Use-Case-Usage, whichever is longer.
func patience(h http.Header) time.Duration {
	wait := time.Duration(0)
	if s, err := strconv.Atoi(h.Get("Retry-After")); err == nil && s > 0 {
		wait = time.Duration(min(s, int(maxPatience/time.Second))) * time.Second
	}
	usage, _ := rawjson.Parse([]byte(h.Get("X-Business-Use-Case-Usage")))
	for _, account := range usage.Members() {
		for item := range account.Items() {
			minutes := min(max(0, item.Get("estimated_time_to_regain_access").Int()), int64(maxPatience/time.Minute))
			wait = max(wait, time.Duration(minutes)*time.Minute)
		}
	}
	return wait
}
