package whatsapp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	who := outbound.Address{Phone: "5491100000001", UserID: "AR.1"}
	for name, tc := range map[string]struct {
		block  bool
		status int
		answer string
		want   string // of the error, "" for none
	}{
		"blocked":        {true, 200, `{"messaging_product":"whatsapp","block_users":{"added_users":[{"input":"5491100000001","wa_id":"5491100000001"}]}}`, ""},
		"unblocked":      {false, 200, `{"messaging_product":"whatsapp","block_users":{"removed_users":[{"input":"5491100000001"}]}}`, ""},
		"did not write":  {true, 400, `{"messaging_product":"whatsapp","block_users":{"added_users":[],"failed_users":[{"input":"5491100000001","errors":[{"message":"Re-engagement required","code":131047,"error_data":{"details":"The user has not written in 24 hours"}}]}]},"error":{"message":"(#139100) Failed to block/unblock some users","code":139100}}`, "24 hours"},
		"list is full":   {true, 400, `{"error":{"message":"(#139102) Block list limit reached","code":139102}}`, "Block list limit reached"},
		"says nothing":   {true, 200, `{}`, "did not say"},
		"another answer": {false, 200, `{"block_users":{"added_users":[{"input":"1"}]}}`, "did not say"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				method := http.MethodPost
				if !tc.block {
					method = http.MethodDelete
				}
				if r.Method != method || r.URL.Path != "/v26.0/200/block_users" || string(body) != `{"block_users":[{"user":"5491100000001"}],"messaging_product":"whatsapp"}` {
					t.Errorf("got %s %s %s", r.Method, r.URL.Path, body)
				}
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.answer)
			})
			err := client.Block(t.Context(), who, tc.block)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(classOf(t, err).Detail, tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestCatalog(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var down atomic.Bool
	client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if down.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		if r.URL.Path != "/v26.0/waba/message_templates" {
			t.Errorf("got %s", r.URL.Path)
		}
		if r.URL.Query().Get("after") == "" {
			fmt.Fprint(w, `{"data":[{"name":"promo","language":"es_AR","category":"MARKETING","status":"APPROVED"}],"paging":{"cursors":{"after":"X"},"next":"https://graph.facebook.com/next"}}`)
			return
		}
		fmt.Fprint(w, `{"data":[{"name":"recordatorio","language":"es_AR","category":"UTILITY"},{"name":"promo","language":"en","category":"marketing"}],"paging":{"cursors":{"after":"Y"}}}`)
	})
	catalog := whatsapp.NewCatalog(client, "waba")
	down.Store(true)
	if catalog.Marketing(t.Context(), "promo", "es_AR") {
		t.Error("what nobody knows is marketing")
	}
	down.Store(false)
	asked.Store(0)
	if catalog.Marketing(t.Context(), "promo", "es_AR") || asked.Load() != 0 {
		t.Errorf("asked %d times within a minute of a failure", asked.Load())
	}
	catalog = whatsapp.NewCatalog(client, "waba")
	for _, tc := range []struct {
		name, language string
		want           bool
	}{{"promo", "es_AR", true}, {"promo", "en", true}, {"recordatorio", "es_AR", false}, {"nueva", "es_AR", false}} {
		if got := catalog.Marketing(t.Context(), tc.name, tc.language); got != tc.want {
			t.Errorf("%s in %s: got %v", tc.name, tc.language, got)
		}
	}
	if asked.Load() != 2 { // both pages, once
		t.Errorf("asked %d times", asked.Load())
	}
}
