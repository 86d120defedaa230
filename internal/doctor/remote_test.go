package doctor

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
	"github.com/psivisionhub/psi-router/internal/redact"
	"github.com/psivisionhub/psi-router/internal/sandbox"
)

// TestAppSecretOfALine: doctor reports a line none of whose app secrets belongs to its
// token's app, whether Graph requires proofs or not.
func TestAppSecretOfALine(t *testing.T) {
	t.Parallel()
	const token, mine, old = "a-good-token-0123456789-0123456789", "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
	for name, tt := range map[string]struct {
		required bool
		secrets  []string
		state    string
		says     string
	}{
		"the app's":               {false, []string{mine}, OK, "wsp4 is 5491100000099"},
		"the app's, required":     {true, []string{mine}, OK, "wsp4 is 5491100000099"},
		"while it is changed":     {true, []string{old, mine}, OK, "wsp4 is 5491100000099"},
		"another app's":           {false, []string{old}, Broken, "WhatsApp rejects its appsecret_proof"},
		"another app's, required": {true, []string{old}, Broken, "no app_secret belongs to its token's app"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			graph, err := sandbox.New(sandbox.Options{
				PhoneNumberID: "1234567890", DisplayNumber: "5491100000099", Token: token, AppSecret: mine, RequireProof: tt.required, WebhookURL: func() string { return "" },
			})
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewServer(graph.Handler())
			t.Cleanup(server.Close)
			d := &doctor{
				Options: Options{Lang: "en", Timeout: 10 * time.Second, Config: &config.Config{
					GraphURL: server.URL + "/sandbox/graph/v26.0",
					Lines: map[string]*config.Line{"wsp4": {
						ID: "wsp4", Provider: "cloud", PhoneNumberID: "1234567890", Token: config.NewSecret(token), AppSecret: config.NewSecret(tt.secrets...),
					}},
				}},
				redact: redact.New(token, mine, old), findings: map[string][]Finding{},
			}
			d.lines(t.Context())
			got := d.findings[Lines]
			if len(got) != 1 || got[0].State != tt.state || !strings.Contains(got[0].Text, tt.says) {
				t.Errorf("got %+v, want %s: %s", got, tt.state, tt.says)
			}
		})
	}
}
