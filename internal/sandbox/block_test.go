package sandbox

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/psivisionhub/psi-router/internal/outbound"
	"github.com/psivisionhub/psi-router/internal/whatsapp"
)

func graphClient(t *testing.T, s *harness) *whatsapp.Client {
	t.Helper()
	c, err := whatsapp.NewClient(whatsapp.ClientOptions{
		BaseURL: s.url + "/sandbox/graph/v26.0", PhoneNumberID: testPhoneNumberID, Tokens: []string{testToken}, AppSecrets: []string{testAppSecret},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAccountListsItsTemplates(t *testing.T) {
	t.Parallel()
	list, err := graphClient(t, newHarness(t, Options{})).Templates(t.Context(), "200000000000001")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(list, whatsapp.Template{Name: "promo", Language: "es_AR", Category: "MARKETING", Status: "APPROVED"}) {
		t.Errorf("got %+v", list)
	}
}

func TestGraphBlocksRecentWriters(t *testing.T) {
	t.Parallel()
	var later atomic.Int64
	s := newHarness(t, Options{NoStatuses: true, Now: func() time.Time { return time.Now().Add(time.Duration(later.Load())) }})
	c := graphClient(t, s)
	ana := s.order[0]
	if _, err := s.Write(ana.ID, Input{Type: "text", Text: "hola"}); err != nil {
		t.Fatal(err)
	}
	ref := outbound.Address{Phone: ana.Phone, UserID: ana.UserID}
	if err := errors.Join(c.Block(t.Context(), ref, true), c.Block(t.Context(), ref, false)); err != nil {
		t.Error(err)
	}
	later.Store(int64(25 * time.Hour))
	err := c.Block(t.Context(), ref, true)
	if err == nil || !strings.Contains(err.Error(), "has not messaged in the last 24 hours") {
		t.Errorf("got %v", err)
	}
	if err := c.Block(t.Context(), ref, false); err != nil {
		t.Errorf("its end is always taken: %v", err)
	}
	if got := s.Counts().Blocked; got != 1 {
		t.Errorf("blocked %d times", got)
	}
}
