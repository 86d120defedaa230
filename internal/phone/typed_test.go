package phone_test

import (
	"testing"

	"github.com/psivisionhub/psi-router/internal/phone"
)

func TestTyped(t *testing.T) {
	t.Parallel()
	const ba = "5491155550001"
	tests := []struct{ text, country, want string }{
		{"5491155550001", "AR", ba},
		{"+54 9 11 5555-0001", "AR", ba},
		{"541155550001", "AR", "541155550001"}, // a landline has no 9: as it was written
		{"011 15 5555-0001", "AR", ba},
		{"1155550001", "AR", ba},
		{"0054 9 11 5555 0001", "AR", ba},
		{"+54 (0)11 15 5555-0001", "AR", ba},
		{"+44 (0)20 7946 0958", "AR", "442079460958"},
		{"(099) 123 456", "UY", "59899123456"},
		{"044 55 1234 5678", "MX", "525512345678"},
		{"+1 (631) 555-1181", "AR", "16315551181"},
		{"+1 155 555 0001", "AR", "11555550001"}, // with a plus it is nobody's in Buenos Aires
		// Marks, dashes, spaces, links.
		{"\u202a+54 9 11 5555-0001\u202c", "AR", ba},
		{"\u200e+54\u200b9\u206011\ufeff55550001", "AR", ba},
		{"+54\u00a09\u200911\u202f5555\u30000001", "AR", ba},
		{"+54‐9‑11‒5555–0—0−01", "AR", ba},
		{"＋54.9.11.5555.0001", "AR", ba},
		{"tel:+5491155550001", "AR", ba},
		{"WhatsApp:+5491155550001", "AR", ba},
		{"whatsapp: 54 9 11 5555 0001", "AR", ba},
		{"5491155550001.0", "AR", ba},
		// Nobody.
		{"5.49116E+12", "AR", ""},
		{"5,49116E+12", "AR", ""},
		{"5.491e12", "AR", ""},
		{"ana", "AR", ""},
		{"11 5555 0001 (casa)", "AR", ""},
		{"tel:whatsapp:5491155550001", "AR", ""},
		{"+54 9 11 5555-0001 / +54 9 11 5555-0002", "AR", ""},
		{"+5491155550001+5491155550002", "AR", ""},
		{"11 5555 0001, 11 5555 0002", "AR", ""},
		{"5491155550001 5491155550002", "AR", ""},
		{"54911555500012", "AR", ""},
		{"+598 99 123 4567", "AR", ""},
		{"+1 631 555 11812", "AR", ""},
		{"0631 555 118", "AR", ""},
		{"0 11 5555", "AR", ""},
		{"099 123 456", "", ""},
		{"+0 11 5555 0001 99", "AR", ""},
		{"+491511234567890", "AR", "491511234567890"},
		{"+4915112345678901", "AR", ""},
		{"12345", "AR", ""},
		{"0", "AR", ""},
		{"", "AR", ""},
		{"+", "AR", ""},
		{"204836254128365@lid", "AR", ""},
	}
	for _, tt := range tests {
		got, err := phone.Typed(tt.text, tt.country)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("Typed(%q, %q) = %q, %v; want %q", tt.text, tt.country, got, err, tt.want)
		}
	}
}

// FuzzTyped: what is taken is a number as WhatsApp writes one, and stays what it is.
func FuzzTyped(f *testing.F) {
	for _, s := range []string{"+54 9 11 5555-0001", "011 15 5555-0001", "tel:+1 631 555 1181", "5.4E12", "0", "٣٤"} {
		f.Add(s, "AR")
	}
	f.Fuzz(func(t *testing.T, text, country string) {
		got, err := phone.Typed(text, country)
		if err != nil {
			if got != "" {
				t.Fatalf("%q and %v", got, err)
			}
			return
		}
		for _, r := range got {
			if r < '0' || r > '9' {
				t.Fatalf("Typed(%q, %q) = %q", text, country, got)
			}
		}
		if got[0] == '0' || phone.Key(got, "") == "" {
			t.Fatalf("Typed(%q, %q) = %q", text, country, got)
		}
		if again, err := phone.Typed("+"+got, country); err != nil || again != got {
			t.Fatalf("Typed(%q, %q) = %q, and of that %q, %v", text, country, got, again, err)
		}
	})
}
