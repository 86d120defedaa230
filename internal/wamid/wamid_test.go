package wamid

import "testing"

func TestSuffix(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNFQjBBQkNERUYwMTIzNDU2Nzg5AA==": "3EB0ABCDEF0123456789",
		"wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNFQjBBQkNERUYwMTIzNDU2Nzg5AA":   "3EB0ABCDEF0123456789",
		"wamid.HBgNNTQ5MTE=": "", // cut off
		"wamid.":             "",
		"wamid.!!!":          "",
		"3EB0ABCDEF":         "",
		"":                   "",
	} {
		if got := Suffix(id); got != want {
			t.Errorf("%s: got %q, want %q", id, got, want)
		}
	}
}

func FuzzSuffix(f *testing.F) {
	f.Add("wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNFQjBBQkNERUYwMTIzNDU2Nzg5AA==")
	f.Add("wamid.HBj/")
	f.Fuzz(func(t *testing.T, id string) {
		if got := Suffix(id); len(got) > len(id) {
			t.Errorf("%q has the suffix %q", id, got)
		}
	})
}

func TestMask(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]string{
		"":                       "",
		"3EB0155930944A8CEDDC66": "3EB0155930944A8CEDDC66",
		"wamid.first":            "wamid.first",
		"foreign:wamid.HBgNNTQ5MTEwMDAwMDAwMRUCABIYFDNBQ0ZDRjUyMUFENDkxQTI1MkM2AA==": "foreign:wamid.***RjUyMUFENDkxQTI1MkM2AA==",
	} {
		if got := Mask(id); got != want {
			t.Errorf("Mask(%q) = %q, want %q", id, got, want)
		}
	}
}
