package whatsapp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/psivisionhub/psi-router/internal/outbound"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	contact := outbound.Address{Phone: "5491100000001", UserID: "AR.1"}
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
		"says nothing":   {true, 200, `{}`, "did not confirm"},
		"another answer": {false, 200, `{"block_users":{"added_users":[{"input":"1"}]}}`, "did not confirm"},
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
			err := client.Block(t.Context(), contact, tc.block)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(classOf(t, err).Detail, tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// TestBlockWithoutPhone: a user id has a field of its own; a contact with neither phone
// nor user id cannot be blocked.
func TestBlockWithoutPhone(t *testing.T) {
	t.Parallel()
	asked := ""
	client, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = string(body)
		fmt.Fprint(w, `{"messaging_product":"whatsapp","block_users":{"added_users":[{"input":"AR.1"}]}}`)
	})
	err := client.Block(t.Context(), outbound.Address{UserID: "AR.1"}, true)
	if want := `{"block_users":[{"user_id":"AR.1"}],"messaging_product":"whatsapp"}`; err != nil || asked != want {
		t.Errorf("got %s, %v", asked, err)
	}
	if err := client.Block(t.Context(), outbound.Address{ExternalID: "x"}, true); err == nil {
		t.Error("blocked nobody without an error")
	}
}
