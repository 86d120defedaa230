package api

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// Codes of problems. They are stable: clients branch on them.
const (
	codeBrokenJSON     = "broken_json"
	codeBlocked        = "blocked"
	codeBusy           = "busy"
	codeClosed         = "conversation_closed"
	codeConflict       = "conflict"
	codeForbidden      = "forbidden"
	codeInternal       = "internal"
	codeKeyReused      = "idempotency_key_reused"
	codeInvalid        = "invalid_request"
	codeMediaType      = "unsupported_media_type"
	codeMethod         = "method_not_allowed"
	codeNotFound       = "not_found"
	codeOptedOut       = "opted_out"
	codeRateLimited    = "rate_limited"
	codeTimeout        = "timeout"
	codeTooLarge       = "too_large"
	codeNotOnThisLine  = "not_on_this_line"
	codeUnauthorized   = "unauthorized"
	codeUnavailable    = "unavailable"
	codeUnknownArea    = "unknown_area"
	codeUnknownLine    = "line_unknown"
	codeUnknownMessage = "message_unknown"
	codeWindowClosed   = "window_closed"
)

// Problem is an error in the shape of RFC 9457.
type Problem struct {
	_      struct{} `additionalProperties:"true"`
	Type   string   `json:"type" example:"about:blank" doc:"Always about:blank: the code says which problem it is."`
	Title  string   `json:"title" example:"Not Found" doc:"The HTTP status in words."`
	Status int      `json:"status" example:"404" doc:"The HTTP status."`
	Code   string   `json:"code" example:"not_found" enum:"blocked,broken_json,busy,conflict,conversation_closed,forbidden,idempotency_key_reused,internal,invalid_request,line_unknown,message_unknown,method_not_allowed,not_found,not_on_this_line,opted_out,rate_limited,timeout,too_large,unauthorized,unavailable,unknown_area,unsupported_media_type,window_closed" doc:"What went wrong, for programs; codes do not change."`
	Detail string   `json:"detail" example:"There is no such thing, or it is outside what this key may see." doc:"What went wrong and what to do about it, for people."`
	Errors []Flaw   `json:"errors,omitempty" nullable:"false" doc:"Each thing wrong with the request."`

	retryAfter string // Retry-After
}

// Flaw is one thing wrong with a request.
type Flaw struct {
	_        struct{} `additionalProperties:"true"`
	Location string   `json:"location" example:"body.area" doc:"Where it is."`
	Message  string   `json:"message" example:"expected string" doc:"What is wrong there."`
}

func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

// GetStatus implements huma.StatusError.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders implements huma.HeadersError.
func (p *Problem) GetHeaders() http.Header {
	h := http.Header{}
	switch p.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="psi-router"`)
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	case http.StatusTooManyRequests:
		h.Set("Retry-After", p.retryAfter)
	}
	return h
}

// ContentType implements huma.ContentTypeFilter.
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func problem(status int, code, detail string) *Problem {
	return &Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

func notFound() *Problem {
	return problem(http.StatusNotFound, codeNotFound, "There is no such thing, or it is outside what this key may see. Check the id, and the lines and areas of the key.")
}

func unauthorized(detail string) *Problem {
	return problem(http.StatusUnauthorized, codeUnauthorized, detail)
}

func invalid(location, message, cure string) *Problem {
	return flawed(codeInvalid, location, message, cure)
}

// flawed is a problem with one thing wrong in the request.
func flawed(code, location, message, cure string) *Problem {
	p := problem(http.StatusUnprocessableEntity, code, cure)
	p.Errors = []Flaw{{Location: location, Message: message}}
	return p
}

func tooLarge() *Problem {
	return problem(http.StatusRequestEntityTooLarge, codeTooLarge, "The body is over "+strconv.Itoa(maxBody>>10)+" KiB. Send less at once.")
}

// writeProblem answers a request that reached no operation.
func writeProblem(w http.ResponseWriter, p *Problem) {
	for name, values := range p.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(p) // it fails only if the caller is gone
}

// toProblem turns the framework's own errors (validation, broken JSON, size) into a Problem
// with a code and a cure. It never echoes the request.
func toProblem(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	var flaws []Flaw
	broken := false
	for _, e := range m.Errors {
		if e == nil {
			continue
		}
		broken = broken || (e.Location == "body" && m.Status == http.StatusBadRequest)
		flaws = append(flaws, Flaw{Location: e.Location, Message: e.Message + lengthOf(e)})
	}
	var p *Problem
	switch m.Status {
	case http.StatusBadRequest:
		p = problem(m.Status, codeBrokenJSON, "The body is missing or is not JSON. Send JSON as /openapi.json describes it.")
		if !broken {
			p.Detail = "The body is missing or cannot be read: " + m.Detail + ". Send JSON as /openapi.json describes it."
		}
	case http.StatusRequestEntityTooLarge:
		p = tooLarge()
	case http.StatusRequestTimeout:
		p = problem(m.Status, codeTimeout, "The body did not arrive in time. Send it again.")
	case http.StatusUnsupportedMediaType:
		p = problem(m.Status, codeMediaType, "Send `Content-Type: application/json`.")
	case http.StatusUnprocessableEntity:
		p = problem(m.Status, codeInvalid, "The request does not fit: correct what `errors` lists; /openapi.json describes every field.")
	default:
		p = problem(m.Status, codeInternal, "Something broke on our side. Try again, and report it if it stays.")
	}
	p.Errors = flaws
	return p, nil
}

// lengthOf says how long a text of the wrong length is.
func lengthOf(e *huma.ErrorDetail) string {
	text, is := e.Value.(string)
	if !is || !strings.HasPrefix(e.Message, "expected length") {
		return ""
	}
	return ", and this has " + strconv.Itoa(utf8.RuneCountInString(text))
}

// errorResponses describes the error responses of an operation.
func errorResponses(statuses []int) map[string]*huma.Response {
	all := make(map[string]*huma.Response, len(statuses))
	for _, status := range statuses {
		all[strconv.Itoa(status)] = &huma.Response{
			Description: http.StatusText(status),
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: &huma.Schema{Ref: "#/components/schemas/" + reflect.TypeFor[Problem]().Name()},
			}},
		}
	}
	return all
}

// isPrintable reports whether an id may exist at all. Engines differ in how they treat NUL
// and broken UTF-8, so neither reaches them.
func isPrintable(id string) bool {
	return id != "" && strings.IndexFunc(id, func(r rune) bool { return r < ' ' || r == '\uFFFD' || r == 0x7f }) < 0
}
