package delivery

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/outbound"
)

func TestChangedPhone(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		to   outbound.Address
		waID string
		want string
	}{
		{"as it was written to", outbound.Address{Phone: "5491155550001"}, "5491155550001", ""},
		{"another form of the same", outbound.Address{Phone: "541155550001"}, "5491155550001", ""},
		{"not said", outbound.Address{Phone: "5491155550001"}, "", ""},
		{"another number", outbound.Address{Phone: "22955550001"}, "2290155550001", "2290155550001"},
		{"by user id", outbound.Address{UserID: "AR.1"}, "5491155550001", "5491155550001"},
	} {
		if got := changedPhone(tt.to, tt.waID); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}
