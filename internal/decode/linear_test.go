package decode_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/psivisionhub/psi-router/internal/decode"
	evo "github.com/psivisionhub/psi-router/internal/evolution"
	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// decoders are all the decoders that a body may reach.
func decoders() map[string]func([]byte) ([]inbound.Arrival, error) {
	return map[string]func([]byte) ([]inbound.Arrival, error){
		"whatsapp": whatsapp.Decode, "evolution": evo.Decode, "all": decode.Decoder{}.Decode,
	}
}

// body is a document that repeats a part n times.
type body struct{ head, part, comma, tail string }

func (b body) times(n int) []byte {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(b.part, "#", fmt.Sprint(i))
	}
	return []byte(b.head + strings.Join(all, b.comma) + strings.ReplaceAll(b.tail, "#", fmt.Sprint(n)))
}

// linear fails if eight times the input costs more than sixteen times the work; quadratic
// code costs 64 times. Work is this thread's CPU time, the least of several runs, so that
// other load on the machine does not count.
func linear(t *testing.T, decode func([]byte) ([]inbound.Arrival, error), small, large []byte) {
	t.Helper()
	const tries = 30
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	best := [2]time.Duration{time.Hour, time.Hour}
	share := float64(len(large)) / float64(len(small))
	for range tries {
		for i, body := range [2][]byte{small, large} {
			began := worked(t)
			decode(body)
			best[i] = min(best[i], worked(t)-began)
		}
		if float64(best[1]) <= 2*share*float64(best[0]) {
			return
		}
	}
	t.Errorf("%d bytes take %v, %d bytes %v: %.0f times as long as their share", len(small), best[0], len(large), best[1],
		float64(best[1])/float64(best[0])/share)
}

// worked returns the CPU time of this thread.
func worked(t *testing.T) time.Duration {
	t.Helper()
	var at unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &at); err != nil {
		t.Fatal(err)
	}
	return time.Duration(at.Nano())
}

// TestTimeIsLinear: no sender can make a short body expensive.
func TestTimeIsLinear(t *testing.T) {
	const (
		open  = `{"object":"x","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":"200"},`
		shut  = `}}]}]}`
		text  = `{"from":"54911#","id":"w#","timestamp":"1795000001","type":"text","text":{"body":"hola"}}`
		up    = `{"event":"messages.upsert","instance":"i","data":`
		chat  = `{"key":{"remoteJid":"54911#@s.whatsapp.net","id":"M#"},"message":{"conversation":"hola"}}`
		depth = inbound.MaxDepth - 1
	)
	// The same list once, with all its contacts in front.
	contacts := func(contact string) func(n int) []byte {
		return func(n int) []byte {
			people := body{`"contacts":[`, contact, ",", "],"}.times(n)
			return body{open + string(people) + `"messages":[`, text, ",", "]" + shut}.times(n)
		}
	}
	times := func(head, part, comma, tail string) func(n int) []byte { return body{head, part, comma, tail}.times }
	deep := func(open, inner, shut string) func(n int) []byte {
		return func(n int) []byte { return []byte(strings.Repeat(open, n) + inner + strings.Repeat(shut, n)) }
	}
	wide := func(open, inner, shut string) func(n int) []byte { // as deep as may be, side by side
		part := strings.Repeat(open, depth-1) + inner + strings.Repeat(shut, depth-1)
		return times("[", part, ",", "]")
	}
	within := func(head string, make func(int) []byte, tail string) func(n int) []byte {
		return func(n int) []byte { return []byte(head + string(make(n)) + tail) }
	}
	const few, many = 200, 3_000 // elements, of which eight times as many are within the bounds, and anything else
	tests := map[string]struct {
		n    int
		body func(n int) []byte
	}{
		"deep arrays":              {many, deep("[", "1", "]")},
		"deep objects":             {many, deep(`{"a":`, "1", "}")},
		"deep arrays, open":        {many, deep("[", "", "")},
		"deep envelopes":           {many, deep(`{"entry":[{"changes":[{"value":`, "1", "}]}]}")},
		"deep events":              {many, deep(`{"event":"x","data":`, "1", "}")},
		"deep items of n8n":        {many, deep(`[{"json":`, "1", "}]")},
		"deep edits":               {many, within(open+`"messages":[`, deep(`{"from":"1","id":"w","type":"edit","edit":{"message":`, "1", "}}"), "]"+shut)},
		"deep wrappers":            {many, within(up+`{"key":{"remoteJid":"1@s.whatsapp.net","id":"M"},"message":`, deep(`{"viewOnceMessage":{"message":`, "1", "}}"), "}}")},
		"many deep arrays":         {few, wide("[", "1", "]")},
		"many deep objects":        {few, wide(`{"a":`, "1", "}")},
		"many deep hooks":          {few, wide(`{"body":`, "1", "}")},
		"repeated keys":            {many, times("{", `"a":1`, ",", "}")},
		"repeated types":           {many, times(`{"from":"1",`, `"type":"x"`, ",", "}")},
		"repeated types of a part": {many, times(`[{"from":"1",`, `"type":"text"`, ",", `},{"a":1}]`)},
		"repeated entries":         {many, times("{", `"entry":[]`, ",", "}")},
		"repeated messages":        {many, times(open, `"messages":[]`, ",", shut)},
		"repeated standby":         {few, times(open+`"standby":{"messages":[`+text+`]},`, `"standby":{}`, ",", shut)},
		"repeated metadata":        {many, times(open, `"metadata":{"phone_number_id":"1"}`, ",", shut)},
		"repeated data":            {many, times(`{"event":"messages.upsert","instance":"i",`, `"data":{}`, ",", "}")},
		"repeated json":            {many, times("{", `"json":{}`, ",", "}")},
		"repeated ids":             {many, times(open+`"messages":[{"from":"1",`, `"id":"w"`, ",", "}]"+shut)},
		"repeated replies":         {many, times(open+`"messages":[{"from":"1","id":"w","type":"interactive","interactive":{`, `"button_reply":{"id":"1"}`, ",", "}}]"+shut)},
		"unknown keys":             {many, times(open, `"k#":1`, ",", shut)},
		"unknown keys, escaped":    {many, times(open, `"\u006b#":1`, ",", shut)},
		"unknown keys, flat":       {many, times(`{"telefono":"549110",`, `"k#":1`, ",", `,"mensaje":"hola"}`)},
		"messages":                 {few, times(open+`"messages":[`, text, ",", "]"+shut)},
		"messages, contacts":       {few, contacts(`{"wa_id":"54911#","profile":{"name":"Persona #"}}`)},
		"messages, others":         {few, contacts(`{"wa_id":"1#","profile":{"name":"Persona #"}}`)},
		"messages, one contact":    {few, contacts(`{"wa_id":"549110","user_id":"AR.#","profile":{"name":"Persona #"}}`)},
		"messages, empty contacts": {few, contacts(`{}`)},
		"statuses":                 {few, times(open+`"statuses":[`, `{"id":"w#","status":"read","recipient_id":"1"}`, ",", "]"+shut)},
		"errors before their id":   {few, times(`{"entry":[{"changes":[{"field":"messages","value":{"errors":[`, `{"code":#}`, ",", `]}}],"id":"1","time":1795000001}]}`)},
		"standby":                  {few, times(`{"entry":[{"changes":[{"field":"standby","value":{"standby":{"messages":[`, text, ",", `]}}}],"id":"1","time":1795000001}]}`)},
		"entries":                  {few, times(`{"entry":[`, `{"id":"#","changes":[{"field":"messages","value":{"messages":[`+text+`]}}]}`, ",", "]}")},
		"changes":                  {few, times(`{"entry":[{"id":"1","changes":[`, `{"field":"account_alerts","value":{"a":#}}`, ",", "]}]}")},
		"threads of a history":     {many, times(`{"entry":[{"changes":[{"field":"history","value":{"history":[{"threads":[`, `{"id":"#","messages":[`+text+`]}`, ",", "]}]}}]}]}")},
		"chunks of a history":      {few, times(`{"entry":[{"changes":[{"field":"history","value":{"history":[`, `{"threads":[{"id":"#"}]}`, ",", `]}}],"id":"1"}]}`)},
		"cards of a message":       {many, times(open+`"messages":[{"from":"1","id":"w","type":"contacts","contacts":[`, `{"name":{"formatted_name":"A"}}`, ",", "]}]"+shut)},
		"backslashes":              {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","text":{"body":"`, `\\`, "", `"}}]`+shut)},
		"quotes":                   {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","text":{"body":"`, `\"`, "", `"}}]`+shut)},
		"escapes":                  {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","text":{"body":"`, `\u00f1`, "", `"}}]`+shut)},
		"lone surrogates":          {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","text":{"body":"`, `\ud800`, "", `"}}]`+shut)},
		"no UTF-8":                 {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","text":{"body":"`, "\xff", "", `"}}]`+shut)},
		"a string that never ends": {many, times(`{"a":"`, `\\\"`, "", "")},
		"a long number":            {many, times(open+`"messages":[{"from":"1","id":"w","type":"text","timestamp":`, "1", "", "}]"+shut)},
		"a long key":               {many, times(`{"`, "k", "", `":1}`)},
		"spaces":                   {many, times(open+`"messages":[`, " ", "", text+"]"+shut)},
		"events of Evolution":      {few, times(up+"[", chat, ",", "]}")},
		"nulls of Evolution":       {many, times(up+"[", "null", ",", "]}")},
		"updates of Evolution":     {few, times(`{"event":"messages.update","data":[`, `{"keyId":"M#","status":"READ","remoteJid":"1@s.whatsapp.net"}`, ",", `],"instance":"i"}`)},
		"files of Evolution": {few, times(up+"[", `{"key":{"remoteJid":"1@s.whatsapp.net","id":"M#"},"message":{"imageMessage":{},"base64":"`+
			strings.Repeat("QUJD", 1100)+`"}}`, ",", "]}")},
		"one file of Evolution": {many, times(up+`{"key":{"remoteJid":"1@s.whatsapp.net","id":"M"},"message":{"imageMessage":{"caption":"x"},"base64":"`, "QUJD", "", `"}}}`)},
		"messages of history":   {many, times(`{"event":"messages.set","instance":"i","data":[`, chat, ",", "]}")},
		"items of n8n":          {few, times("[", `{"json":{"telefono":"54911#","mensaje":"hola","messageId":"M#"}}`, ",", "]")},
		"items of items of n8n": {few, times("[[[", `[{"telefono":"54911#","mensaje":"hola","messageId":"M#"}]`, ",", "]]]")},
		"values of n8n":         {few, times("[", `{"messaging_product":"whatsapp","messages":[`+text+`]}`, ",", "]")},
		"strings of n8n":        {few, times("[", `"{\"telefono\":\"54911#\",\"mensaje\":\"hola\"}"`, ",", "]")},
		"a string in strings":   {many, times(`{"headers":{},"body":"{\"headers\":{},\"body\":\"`, `a`, "", `\"}"}`)},
		"empty arrays of n8n":   {few, times("[", "[]", ",", "]")},
		"numbers of n8n":        {few, times("[", "7", ",", "]")},
		"unknown parts of n8n":  {few, times("["+flat+",", `{"a#":1}`, ",", "]")},
		"hooks of n8n":          {few, times(`{"headers":{},"body":[`, `{"telefono":"54911#","mensaje":"hola"}`, ",", "]}")},
		"no JSON":               {many, times("telefono=", "#&", "", "")},
		"nearly JSON":           {many, times("[", "{}", ",", "")},
	}
	for name, test := range tests {
		small, large := test.body(test.n), test.body(8*test.n)
		for provider, decode := range decoders() {
			t.Run(provider+"/"+name, func(t *testing.T) { linear(t, decode, small, large) })
		}
	}
}

// FuzzTimeIsLinear looks for parts whose cost grows faster than their number, side by side
// or nested.
func FuzzTimeIsLinear(f *testing.F) {
	f.Add([]byte(`{"from":"1",`), []byte(`"type":"x",`), []byte(`"a":1}`))
	f.Add([]byte(`[`), []byte(`{"json":`), []byte(`1]`))
	f.Add([]byte(`{"entry":[{"changes":[{"field":"messages","value":{"messages":[`), []byte(`{"from":"1","id":"w"},`), []byte(`1]}}]}]}`))
	f.Add([]byte(`{"event":"messages.upsert","instance":"i","data":[`), []byte(`null,`), []byte(`1]}`))
	f.Add([]byte(`{"telefono":"`), []byte(`\\`), []byte(`","mensaje":"x"}`))
	f.Fuzz(func(t *testing.T, head, part, tail []byte) {
		if len(part) == 0 || len(part) > 200 || len(head)+len(tail) > 2000 {
			return
		}
		body := func(size int) []byte {
			b := append([]byte{}, head...)
			for len(b) < size {
				b = append(b, part...)
			}
			return append(b, tail...)
		}
		small, large := body(16<<10), body(8*16<<10)
		for _, decode := range decoders() {
			linear(t, decode, small, large)
		}
	})
}
