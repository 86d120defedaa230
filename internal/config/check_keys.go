package config

import (
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

func (d *decoder) checkKeys(c *Config) {
	const least = 16
	for i, k := range c.APIKeys {
		path := join("api_keys", strconv.Itoa(i))
		if i < len(c.APIKeys)-d.ours {
			d.checkKeyName(c.APIKeys[:i], k, path+".name")
		}
		for _, v := range k.Key.Values() {
			hash, hashed := strings.CutPrefix(v, "sha256:")
			raw, err := hex.DecodeString(hash)
			switch {
			case hashed && (err != nil || len(raw) != 32):
				d.bad(path+".key", "", "begins with sha256: and is no such hash", "copy the whole line that psi-router key new prints")
			case !hashed && len(v) < least && !c.Sandbox && !c.Insecure:
				d.bad(path+".key", "", "is short enough to be guessed", "make one with psi-router key new")
			}
		}
		d.checkLineIDs(c, path+".lines", k.Lines)
	}
}

// reservedNames are ours: the audit and the messages name them beside those of keys, so
// that a key of such a name would act as somebody else.
var reservedNames = []string{"agent", "cli", "contact", "phone", "program", "router", DevAPIKey, "system", "timer"}

// checkKeyName checks the name of a key against those of before it.
func (d *decoder) checkKeyName(before []APIKey, k APIKey, path string) {
	if k.Name == "" {
		return // said to be missing
	}
	if !keyNames.MatchString(k.Name) {
		d.bad(path, "", "is no possible name", "use letters, digits, space, . _ and -, at most 64")
	}
	if slices.Contains(reservedNames, strings.ToLower(strings.TrimSpace(k.Name))) {
		d.bad(path, "", strconv.Quote(printable(k.Name))+" is a name of the router's own in the audit", "write who has the key, such as crm")
	}
	for i, other := range before {
		if strings.TrimSpace(other.Name) != strings.TrimSpace(k.Name) {
			continue
		}
		if other.Role != k.Role || !sameSet(other.Lines, k.Lines) || !sameSet(other.Areas, k.Areas) {
			d.bad(path, "", "is that of api_keys."+strconv.Itoa(i)+" too, which may do something else", "give both the same role, lines and areas, as while a key is changed, or each a name of its own")
		}
		return
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
