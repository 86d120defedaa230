package app

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

// change posts the value of one change, signed by an app, and waits until all of it is
// handled.
func (r *testRouter) change(secret, number, value string) {
	r.t.Helper()
	body := fmt.Sprintf(`{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"messages","value":{"messaging_product":"whatsapp","metadata":{"phone_number_id":%q},%s}}]}]}`,
		number, value)
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.URL()+"/webhook", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set(whatsapp.SignatureHeader, whatsapp.Sign(secret, []byte(body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		r.t.Fatalf("webhook: got %s, want 200", res.Status)
	}
	eventually(r.t, "it is handled", func() bool {
		var queues struct {
			Items []struct {
				Name  string
				Depth int
				Busy  int `json:"in_flight"`
			}
		}
		r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/queues", &queues)
		for _, q := range queues.Items {
			if (q.Name == "inbound" || q.Name == "status") && q.Depth+q.Busy > 0 {
				return false
			}
		}
		return len(queues.Items) > 0
	})
}

// TestOneAppsSecretIsGoodForItsLines: with the secret of one app a sender cannot block
// another line's message, forge another person's words, or affect people of that line.
func TestOneAppsSecretIsGoodForItsLines(t *testing.T) {
	const (
		ana, eva = "5491155550301", "5491155550302"
		other    = "the_secret_of_another_app_0123456"
		number   = "300000000000001"
	)
	dir := t.TempDir()
	r := startAs(t, roleAll, "PSI_LISTEN=127.0.0.1:0", "PSI_DATA_DIR="+dir, "PSI_SANDBOX=true", "PSI_LINES_OTRA_PHONE_NUMBER_ID="+number,
		"PSI_LINES_OTRA_APP_SECRET="+other, "PSI_LINES_OTRA_TOKEN=t", "PSI_LINES_OTRA_VERIFY_TOKEN=v")
	r.write(eva, "wamid.2", "hola")
	r.messages(eva, answered(1, ""))
	var queue struct{ Paused bool }
	admin := overSocket(t, dir)
	r.ask(admin, "http://admin", http.MethodPost, "/api/v1/queues/send:sandbox/pause", &queue)
	r.write(ana, "wamid.1", "hola")
	id, _ := r.messages(ana, func(all []message) bool { return len(all) == 2 })
	type messages struct {
		Items []struct{ ID, Status, Text string }
	}
	var page, before messages
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations/"+id+"/messages", &before)

	for _, app := range []struct{ secret, number string }{
		{other, number}, {other, config.DevPhoneNumberID}, {config.DevAppSecret, config.DevPhoneNumberID},
	} {
		for _, status := range []string{"failed", "delivered"} {
			r.change(app.secret, app.number, fmt.Sprintf(`"statuses":[{"id":"wamid.out","status":%q,"recipient_id":%q,"timestamp":"%d","biz_opaque_callback_data":%q}]`,
				status, ana, time.Now().Unix(), before.Items[1].ID))
		}
	}
	edit := func(from string) string {
		return fmt.Sprintf(`"messages":[{"from":%q,"id":"wamid.e.%s","timestamp":"%d","type":"edit","edit":{"original_message_id":"wamid.1","message":{"type":"text","text":{"body":"te odio"}}}}]`,
			from, from, time.Now().Unix())
	}
	r.change(config.DevAppSecret, config.DevPhoneNumberID, edit(eva)) // a different person
	r.change(other, number, edit(ana))
	r.change(other, config.DevPhoneNumberID, edit(ana))
	r.ask(http.DefaultClient, r.URL(), http.MethodGet, "/api/v1/conversations/"+id+"/messages", &page)
	if diff := cmp.Diff(page, before); diff != "" {
		t.Fatalf("strangers changed something (-got +want):\n%s", diff)
	}

	r.ask(admin, "http://admin", http.MethodPost, "/api/v1/queues/send:sandbox/resume", &queue)
	r.messages(ana, answered(1, ""))
}
