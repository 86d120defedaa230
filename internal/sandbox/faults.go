package sandbox

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// fault is a failure that can be provoked.
type fault struct {
	Word   string `json:"word"`   // after "falla", in a text
	Suffix string `json:"suffix"` // of a phone number
	What   string `json:"what"`   // for people, in Spanish

	err    *graphError // refuse with this
	status *wireError  // accept, then report this by webhook
	hang   bool        // hold the request without an answer
	reset  bool        // accept, report statuses, then break the connection
	slow   bool        // accept, but late
	html   bool        // 500 with an HTML page
}

// faults are all faults. A number that ends in the suffix always gets its fault. "falla
// <word>" in a person's message gives the fault to the next send to them ("falla <word>
// x3": the next three); in a message of the business, to that message.
var faults = []fault{
	{Word: "131056", Suffix: "131056", What: "Límite por persona: demasiado seguido al mismo número", err: errPair},
	{Word: "130429", Suffix: "130429", What: "Límite de la línea: demasiados mensajes por segundo", err: errRate},
	{Word: "131047", Suffix: "131047", What: "Pasaron más de 24 h desde que escribió", err: errWindow},
	{Word: "131026", Suffix: "131026", What: "Se acepta y después falla: no se puede entregar", status: undeliverable},
	{Word: "131030", Suffix: "131030", What: "El número no está en la lista de prueba", err: errNotAllowed},
	{Word: "131000", Suffix: "131000", What: "Algo salió mal del lado de Meta (500 con JSON)", err: errUnknown},
	{Word: "190", Suffix: "990190", What: "El token venció", err: errExpired},
	{Word: "500", Suffix: "990500", What: "Error 500 con una página, sin JSON", html: true},
	{Word: "cuelgue", Suffix: "990598", What: "Nunca contesta", hang: true},
	{Word: "corte", Suffix: "990104", What: "Acepta, avisa los estados y corta la conexión sin contestar", reset: true},
	{Word: "lento", Suffix: "990408", What: "Contesta bien, pero tarde", slow: true},
}

var faultWords = regexp.MustCompile(`(?i)\b(?:falla|fail)\s+(\d{3,6}|cuelgue|hang|corte|reset|lento|slow)\b(?:\s*x\s*(\d{1,2})\b)?`)

// faultInText returns the fault that a text names and how many sends get it.
func faultInText(text string) (*fault, int) {
	found := faultWords.FindStringSubmatch(text)
	if found == nil {
		return nil, 0
	}
	word := strings.ToLower(found[1])
	switch word {
	case "hang":
		word = "cuelgue"
	case "reset":
		word = "corte"
	case "slow":
		word = "lento"
	}
	times := 1
	if n, err := strconv.Atoi(found[2]); err == nil {
		times = n
	}
	return faultNamed(word), times
}

// faultNamed returns the fault of a word, nil for none.
func faultNamed(word string) *fault {
	return findFault(func(f fault) bool { return f.Word == word })
}

// faultForNumber returns the fault of a number.
func faultForNumber(digits string) *fault {
	return findFault(func(f fault) bool { return strings.HasSuffix(digits, f.Suffix) })
}

func findFault(is func(fault) bool) *fault {
	if i := slices.IndexFunc(faults, is); i >= 0 {
		return &faults[i]
	}
	return nil
}

// InjectFault makes every send meet the fault of a word, such as "190", "cuelgue" or
// "corte", whatever NoFaults says, until ClearFault. An unknown word is an error.
func (g *graph) InjectFault(word string) error { return g.InjectFaultEvery(word, 1) }

// InjectFaultEvery is InjectFault for one send in so many.
func (g *graph) InjectFaultEvery(word string, every int) error {
	fault := faultNamed(word)
	if fault == nil {
		return fmt.Errorf("sandbox: there is no fault %q", word)
	}
	g.outage.Store(&outage{fault: fault, every: int64(max(1, every))})
	return nil
}

// outage is a fault of all sends, whatever their recipient.
type outage struct {
	fault *fault
	every int64 // one send in every
	sends atomic.Int64
}

// next returns the fault of the next send, nil for none.
func (o *outage) next() *fault {
	if o == nil || o.sends.Add(1)%o.every != 0 {
		return nil
	}
	return o.fault
}

// ClearFault ends what InjectFault began. Requests that hang go on hanging.
func (g *graph) ClearFault() { g.outage.Store(nil) }

// graphError is an error in Meta's shape.
type graphError struct {
	HTTP    int
	Code    int
	Subcode int
	Title   string
	Details string
	Type    string // OAuthException unless set
}

func (e *graphError) Error() string { return e.Title }

var (
	errPair       = &graphError{HTTP: http.StatusBadRequest, Code: 131056, Title: "(#131056) (Business Account, Consumer Account) pair rate limit hit", Details: "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time."}
	errRate       = &graphError{HTTP: http.StatusBadRequest, Code: 130429, Title: "(#130429) Rate limit hit", Details: "Cloud API message throughput has been reached."}
	errWindow     = &graphError{HTTP: http.StatusBadRequest, Code: 131047, Title: "(#131047) Re-engagement message", Details: "More than 24 hours have passed since the recipient last replied to the sender number."}
	errNotAllowed = &graphError{HTTP: http.StatusBadRequest, Code: 131030, Title: "(#131030) Recipient phone number not in allowed list", Details: "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again."}
	errUnknown    = &graphError{HTTP: http.StatusInternalServerError, Code: 131000, Title: "(#131000) Something went wrong", Details: "Message failed to send due to an unknown error."}
	errExpired    = &graphError{HTTP: http.StatusUnauthorized, Code: 190, Subcode: 463, Title: "Error validating access token: Session has expired"}
	errToken      = &graphError{HTTP: http.StatusUnauthorized, Code: 190, Title: "Invalid OAuth access token - Cannot parse access token"}
	errProof      = &graphError{HTTP: http.StatusBadRequest, Code: 100, Type: "GraphMethodException", Title: "Invalid appsecret_proof provided in the API argument"}
	errNoProof    = &graphError{HTTP: http.StatusBadRequest, Code: 100, Type: "GraphMethodException", Title: "API calls from the server require an appsecret_proof argument"}
	errSelf       = &graphError{HTTP: http.StatusBadRequest, Code: 131021, Title: "(#131021) Recipient cannot be sender", Details: "Recipient and sender phone number is the same"}
	undeliverable = &wireError{Code: 131026, Title: "Message undeliverable", Message: "Message undeliverable", ErrorData: map[string]string{"details": "Message Undeliverable."}, Href: "/documentation/business-messaging/whatsapp/support/error-codes"}
)

func errMissing(details string) *graphError {
	return &graphError{HTTP: http.StatusBadRequest, Code: 131008, Title: "(#131008) Required parameter is missing", Details: details}
}

func errValue(details string) *graphError {
	return &graphError{HTTP: http.StatusBadRequest, Code: 131009, Title: "(#131009) Parameter value is not valid", Details: details}
}

func errParam(title string) *graphError {
	return &graphError{HTTP: http.StatusBadRequest, Code: 100, Title: "(#100) " + title}
}

func errNode(node string) *graphError {
	return &graphError{HTTP: http.StatusBadRequest, Code: 100, Subcode: 33, Type: "GraphMethodException", Title: "Unsupported post request. Object with ID '" + node + "' does not exist, cannot be loaded due to missing permissions, or does not support this operation. Please read the Graph API documentation at https://developers.facebook.com/docs/graph-api"}
}

func writeGraphError(w http.ResponseWriter, e *graphError) {
	body := map[string]any{"message": e.Title, "type": "OAuthException", "code": e.Code, "fbtrace_id": "A" + strings.Repeat("s", 5) + "andbox"}
	if e.Type != "" {
		body["type"] = e.Type
	}
	if e.Subcode != 0 {
		body["error_subcode"] = e.Subcode
	}
	if e.Details != "" {
		body["error_data"] = map[string]string{"messaging_product": "whatsapp", "details": e.Details}
	}
	writeJSON(w, e.HTTP, map[string]any{"error": body})
}
