package phone

import (
	"testing"

	"pgregory.net/rapid"
)

// TestBrazil: a mobile has one key with and without its 9, and a landline never shares it.
func TestBrazil(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		area := rapid.StringMatching(`[1-9][1-9]`).Draw(t, "area")
		mobile := rapid.StringMatching(`[6-9][0-9]{7}`).Draw(t, "mobile")
		want := "55" + area + "9" + mobile
		for _, raw := range []string{want, "55" + area + mobile, "+55 (" + area + ") " + mobile} {
			if got := Key(raw, ""); got != want {
				t.Errorf("Key(%q) = %q, want %q", raw, got, want)
			}
		}
		for _, raw := range []string{area + mobile, "0" + area + mobile, area + "9" + mobile} {
			if got := Key(raw, "BR"); got != want {
				t.Errorf("Key(%q, BR) = %q, want %q", raw, got, want)
			}
		}
		if got := Former(want); got != "55"+area+mobile {
			t.Errorf("Former(%q) = %q", want, got)
		}
		landline := "55" + area + rapid.StringMatching(`[2-5][0-9]{7}`).Draw(t, "landline")
		if got := Key(landline, ""); got != landline || Former(got) != "" {
			t.Errorf("Key(%q) = %q, once %q", landline, got, Former(got))
		}
	})
}

// TestOthersHaveOneForm: outside of Brazil no key has a former form.
func TestOthersHaveOneForm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.StringMatching(`[1-9][0-9]{6,14}`).Draw(t, "raw")
		key := Key(raw, "")
		if Key(key, "") != key {
			t.Errorf("Key(%q) = %q is not its own key", raw, key)
		}
		if old := Former(key); old != "" && key[:2] != "55" {
			t.Errorf("Former(%q) = %q", key, old)
		}
		if key != raw && key[:2] != "54" && key[:2] != "52" && key[:2] != "55" {
			t.Errorf("Key(%q) = %q", raw, key)
		}
	})
}
