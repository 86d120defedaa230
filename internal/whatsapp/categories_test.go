package whatsapp_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func TestTemplates(t *testing.T) {
	t.Parallel()
	client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/v26.0/900/message_templates" || q.Get("fields") != "name,language,category,status" {
			t.Errorf("asked %s", r.URL)
		}
		switch q.Get("after") {
		case "":
			fmt.Fprint(w, `{"data":[{"name":"promo","language":"es_AR","category":"MARKETING","status":"APPROVED"}],"paging":{"cursors":{"after":"one"},"next":"https://graph.example/more"}}`)
		case "one":
			fmt.Fprint(w, `{"data":[{"name":"turno","language":"es_AR","category":"UTILITY","status":"PAUSED"}],"paging":{"cursors":{"after":"two"}}}`)
		}
	})
	got, err := client.Templates(t.Context(), "900")
	want := []whatsapp.Template{{"promo", "es_AR", "MARKETING", "APPROVED"}, {"turno", "es_AR", "UTILITY", "PAUSED"}}
	if diff := cmp.Diff(got, want); diff != "" || err != nil {
		t.Errorf("%v (-got +want):\n%s", err, diff)
	}
}

func TestUnreadableTemplates(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{}`, `[]`, `nope`} {
		client, _ := graph(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, answer) })
		_, err := client.Templates(t.Context(), "900")
		if f := classOf(t, err); f.Class != outbound.Retry {
			t.Errorf("%s: got %+v", answer, f)
		}
	}
}

// account is a business account whose templates the test sets.
type account struct {
	asked int
	list  []whatsapp.Template
	err   error
	takes time.Duration
}

func (a *account) templates(ctx context.Context) ([]whatsapp.Template, error) {
	a.asked++
	select {
	case <-time.After(a.takes):
		return a.list, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestCategories(t *testing.T) {
	t.Parallel()
	promo, turno := whatsapp.Template{Name: "promo", Language: "es_AR", Category: "MARKETING"}, whatsapp.Template{Name: "turno", Language: "es_AR", Category: "UTILITY"}
	run := func(name string, a *account, test func(t *testing.T, ask func(name string) bool, log *strings.Builder)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log strings.Builder
				c := whatsapp.NewCategories(a.templates, time.Now, slog.New(slog.NewTextHandler(&log, nil)))
				test(t, func(name string) bool { return c.Marketing(t.Context(), name, "es_AR") }, &log)
				synctest.Wait()
			})
		})
	}
	first := &account{list: []whatsapp.Template{promo, turno}}
	run("asked once an hour", first, func(t *testing.T, ask func(string) bool, _ *strings.Builder) {
		for range 3 {
			if !ask("promo") || ask("turno") {
				t.Error("promo is marketing, and turno is not")
			}
		}
		first.list = []whatsapp.Template{promo}
		time.Sleep(59 * time.Minute)
		ask("promo")
		if first.asked != 1 {
			t.Errorf("asked %d times", first.asked)
		}
		time.Sleep(time.Minute)
		ask("promo")
		if first.asked != 2 {
			t.Errorf("asked %d times", first.asked)
		}
	})
	second := &account{list: []whatsapp.Template{turno}}
	run("a new template is found within a minute", second, func(t *testing.T, ask func(string) bool, _ *strings.Builder) {
		ask("turno")
		second.list = append(second.list, promo)
		for range 5 {
			if ask("promo") {
				t.Error("known too early")
			}
		}
		time.Sleep(time.Minute)
		if !ask("promo") || second.asked != 2 {
			t.Errorf("asked %d times", second.asked)
		}
	})
	third := &account{err: errors.New("no permission")}
	run("an unreadable list refuses nobody, and is logged once", third, func(t *testing.T, ask func(string) bool, log *strings.Builder) {
		for range 3 {
			if ask("promo") {
				t.Error("known although unreadable")
			}
			time.Sleep(time.Minute)
		}
		if third.asked != 3 || strings.Count(log.String(), "no permission") != 1 {
			t.Errorf("asked %d times, log:\n%s", third.asked, log)
		}
		third.err, third.list = nil, []whatsapp.Template{promo}
		if !ask("promo") {
			t.Error("promo is marketing")
		}
		third.err = errors.New("no permission")
		time.Sleep(time.Hour)
		if !ask("promo") || strings.Count(log.String(), "no permission") != 2 {
			t.Errorf("the last list stays, and the next failure is logged:\n%s", log)
		}
	})
	fourth := &account{list: []whatsapp.Template{promo}, takes: 5 * time.Second}
	run("nobody waits for longer than 2 s", fourth, func(t *testing.T, ask func(string) bool, _ *strings.Builder) {
		began := time.Now()
		if ask("promo") || time.Since(began) != 2*time.Second {
			t.Errorf("after %s", time.Since(began))
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !ask("promo") || fourth.asked != 1 {
			t.Errorf("the list arrived and was lost: asked %d times", fourth.asked)
		}
	})
}
