package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// fake is an API with the answers that a real one gives rarely.
func fake(t *testing.T, answers map[string]func(w http.ResponseWriter, r *http.Request)) (shell, string) {
	t.Helper()
	mux := http.NewServeMux()
	for pattern, answer := range answers {
		mux.HandleFunc(pattern, answer)
	}
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return shell{t, nil}, srv.URL
}

func say(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

func TestRefusalsBecomeExitCodes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		code int
		body string
		exit int
		want string
	}{
		{"unavailable", 503, `{"code":"unavailable","detail":"The store cannot be reached."}`, exitUnreachable, "psi-router: The store cannot be reached."},
		{"forbidden", 403, `{"code":"forbidden","detail":"This needs an admin."}`, exitUsage, "This needs an admin."},
		{"invalid", 422, `{"code":"invalid_request","detail":"It does not fit.","errors":[{"location":"query.limit","message":"too large"}]}`, exitUsage, "query.limit: too large"},
		{"conflict", 409, `{"code":"conflict","detail":"Not now."}`, exitProblem, "Not now."},
		{"internal", 500, `{"code":"internal","detail":"Broken."}`, exitProblem, "Broken."},
		{"another program", 404, `<html>`, exitUnreachable, "is not a PSI Router"},
		{"another program that is fine", 200, `<html>`, exitUnreachable, "is not a PSI Router"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){"GET /api/v1/queues": say(tt.code, tt.body)})
			sh.want(tt.exit, []string{tt.want}, "queue", "stats", "--url", url)
		})
	}
}

func TestTheKeyTravels(t *testing.T) {
	t.Parallel()
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){"GET /api/v1/queues": func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer k" {
			t.Errorf("Authorization %q", got)
		}
		fmt.Fprint(w, `{"items":[]}`)
	}})
	sh.environ = []string{"PSI_URL=" + url, "PSI_KEY=k"}
	sh.fine([]string{"queue"}, "queue", "stats")
}

func TestQueueStates(t *testing.T) {
	t.Parallel()
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){"GET /api/v1/queues": say(200, `{"items":[
		{"name":"inbound","depth":12,"in_flight":2,"dead":1,"oldest_age_seconds":75,"paused":true},
		{"name":"send:wsp4","depth":1,"held_until":"2026-11-24T10:00:30Z","held_for":"190: the token expired\u001b[31m","rate":80}]}`)})
	sh.environ = []string{"PSI_TIMEZONE=UTC"}
	got := sh.fine(nil, "queue", "stats", "--url", url)
	const want = `queue      waiting  running  dead  oldest  rate  state
inbound    10       2        1     1 min   –     paused
send:wsp4  1        0        0     0 s     80/s  held until 10:00:30: 190: the token expired[31m
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestDeadLettersArePaged(t *testing.T) {
	t.Parallel()
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){
		"GET /api/v1/dead-letters": func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Query().Get("cursor") {
			case "":
				fmt.Fprint(w, `{"items":[{"id":9,"queue":"inbound","lane":"wsp4:5491155550001","attempts":3,"error":"decode: end"}],"next_cursor":"9"}`)
			case "9":
				fmt.Fprint(w, `{"items":[{"id":4,"queue":"inbound","lane":"wsp4:5491155550002","attempts":1,"error":"x"}],"next_cursor":null}`)
			}
		},
		"GET /api/v1/dead-letters/9": say(200, `{"id":9,"body":{"a":"<b>"}}`),
		"POST /api/v1/dead-letters/redrive": func(w http.ResponseWriter, r *http.Request) {
			var body map[string]any
			if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
				t.Error(err)
			}
			fmt.Fprintf(w, `{"redriven":%d}`, len(fmt.Sprint(body["ids"]))/2)
		},
	})
	sh.fine([]string{"9   inbound", "decode: end", "4   inbound"}, "dead", "list", "--url", url)
	if got := sh.fine([]string{"There are more"}, "dead", "list", "--limit", "1", "--url", url); strings.Contains(got, "wsp4:5491155550002") {
		t.Errorf("more than was asked for:\n%s", got)
	}
	sh.fine([]string{`"a": "<b>"`}, "dead", "show", "9", "--url", url)
	sh.fine([]string{"2 redriven", "(2): wsp4 ***001, wsp4 ***002. Miralos con `psi-router left`"}, "dead", "redrive", "9", "4", "--url", url)
	sh.want(exitUsage, []string{"say which"}, "dead", "redrive", "9", "--queue", "inbound", "--url", url)
}

// TestLeft: who has no answer, page by page, and how to say that nothing is needed.
func TestLeft(t *testing.T) {
	t.Parallel()
	const row = `{"id":"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a0%d","line":"wsp4","state":"menu","contact":{"name":"Ana","phone":"549115555000%d"},"left":%s}`
	since := `{"reason":"stale","since":"2026-11-24T10:00:00Z"}`
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){
		"GET /api/v1/conversations": func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			switch {
			case q.Get("left") != "true":
				t.Errorf("asked for %s", r.URL)
			case q.Get("line") == "none":
				fmt.Fprint(w, `{"items":[],"next_cursor":null}`)
			case q.Get("cursor") == "":
				fmt.Fprintf(w, `{"items":[`+row+`],"next_cursor":"1.1"}`, 1, 1, since)
			default:
				fmt.Fprintf(w, `{"items":[`+row+`],"next_cursor":null}`, 2, 2, since)
			}
		},
		"POST /api/v1/conversations/01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01/left/dismiss": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, row, 1, 1, "null")
		},
	})
	sh.fine([]string{"24/11 07:00", "5491155550001", "5491155550002", "Llegó demasiado tarde", "left dismiss"}, "left", "--url", url)
	sh.fine([]string{"Arrived too old", "There are more"}, "left", "--limit", "1", "--lang", "en", "--url", url)
	sh.fine([]string{`"reason": "stale"`, `"more": false`}, "left", "--json", "--url", url)
	sh.fine([]string{"No quedó nadie"}, "left", "--line", "none", "--url", url)
	sh.fine([]string{"01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01 wsp4 menu"}, "left", "dismiss", "01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01", "--url", url)
	sh.want(exitUsage, []string{"--limit -1"}, "left", "--limit=-1", "--url", url)
}

func TestAPersonOnTwoLines(t *testing.T) {
	t.Parallel()
	const one, two = "01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a01", "01987f3e-5d3c-7c11-b5a5-6f0b8f2d1a02"
	sh, url := fake(t, map[string]func(http.ResponseWriter, *http.Request){
		"GET /api/v1/trace/{key}":                      say(200, `{"conversations":[{"id":"`+one+`","line":"wsp4","state":"menu"},{"id":"`+two+`","line":"ventas","state":"closed"}]}`),
		"POST /api/v1/conversations/" + two + "/reset": say(200, `{"id":"`+two+`","line":"ventas","state":"menu"}`),
	})
	sh.want(exitUsage, []string{"several conversations", "--line", one, two}, "conv", "reset", "5491155550001", "--url", url)
	sh.fine([]string{two + " ventas menu"}, "conv", "reset", "5491155550001", "--line", "ventas", "--url", url)
	sh.fine([]string{two}, "conv", "reset", two, "--url", url)
}
