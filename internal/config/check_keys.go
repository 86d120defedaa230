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
				d.bad(path+".key", "", "begins with sha256: and is not a SHA-256 hash", "copy the whole line that psi-router key new prints")
			case !hashed && len(v) < least && !c.Sandbox && !c.Insecure:
				d.bad(path+".key", "", "is so short that it can be guessed", "make one with psi-router key new")
			}
		}
		d.checkLineIDs(c, path+".lines", k.Lines)
	}
}

// reservedNames are the actors that the audit and the messages know besides keys: a key
// of such a name would pass for one of them.
var reservedNames = []string{"agent", "cli", "contact", "phone", "program", "router", DevAPIKey, "system", "timer"}

// checkKeyName checks the name of a key, also against the keys before it.
func (d *decoder) checkKeyName(before []APIKey, k APIKey, path string) {
	if k.Name == "" {
		return // reported as missing
	}
	if !keyNames.MatchString(k.Name) {
		d.bad(path, "", "is not a valid name", "use letters, digits, space, . _ and -, at most 64")
	}
	if slices.Contains(reservedNames, strings.ToLower(strings.TrimSpace(k.Name))) {
		d.bad(path, "", strconv.Quote(printable(k.Name))+" is reserved for the router in the audit", "name the holder of the key, such as crm")
	}
	for i, other := range before {
		if strings.TrimSpace(other.Name) != strings.TrimSpace(k.Name) {
			continue
		}
		if other.Role != k.Role || !sameSet(other.Lines, k.Lines) || !sameSet(other.Areas, k.Areas) {
			d.bad(path, "", "is also the name of api_keys."+strconv.Itoa(i)+", which has other rights", "give both the same role, lines and areas (for a rotation), or different names")
		}
		return
	}
}

func sameSet(a, b []string) bool {
	a, b = slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b))
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
