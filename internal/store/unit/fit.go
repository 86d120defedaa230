package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// maxKeyBytes limits an indexed name. An index entry has room for about 2,700 bytes, which
// must hold two names in any writing. Known names have less than 130.
const maxKeyBytes = 250

// FitKey returns the name, or the beginning and the hash of one that is too long for an
// index. The same name always gives the same key.
func FitKey(name string) string {
	if len(name) <= maxKeyBytes {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:100], "") + "…" + hex.EncodeToString(sum[:])
}

// FitArrivals returns the arrivals with names that fit. Raw is unchanged.
func FitArrivals(batch []inbound.Arrival) []inbound.Arrival {
	copied := false
	for i := range batch {
		a := batch[i]
		if fits(&a) {
			continue
		}
		if !copied {
			batch, copied = slices.Clone(batch), true
		}
		batch[i] = fitted(a)
	}
	return batch
}

func fits(a *inbound.Arrival) bool {
	for _, s := range indexedKeys(a) {
		if s != nil && len(*s) > maxKeyBytes {
			return false
		}
	}
	return true
}

func fitted(a inbound.Arrival) inbound.Arrival {
	if a.Content != nil {
		c := *a.Content
		a.Content = &c
	}
	if a.Report != nil {
		r := *a.Report
		a.Report = &r
	}
	if a.Change != nil {
		c := *a.Change
		a.Change = &c
	}
	for _, s := range indexedKeys(&a) {
		if s != nil {
			*s = FitKey(*s)
		}
	}
	return a
}

// indexedKeys are the names by which an arrival's rows are found; nil for none.
func indexedKeys(a *inbound.Arrival) (all [18]*string) {
	n := 0
	add := func(list ...*string) {
		n += copy(all[n:], list)
	}
	person := func(p *inbound.Person) { add(&p.Phone, &p.UserID, &p.ParentUserID, &p.ExternalID) }
	add(&a.ID, &a.LineRef)
	person(&a.Person)
	if a.Content != nil {
		add(&a.Content.QuotedID, &a.Content.TargetID)
	}
	if a.Report != nil {
		add(&a.Report.Ref, &a.Report.Status)
	}
	if a.Change != nil {
		person(&a.Change.From)
		person(&a.Change.To)
	}
	return all
}

// FitResults returns the results with provider ids that fit, without invalid phones.
func FitResults(results []store.SendResult) []store.SendResult {
	copied := false
	for i, r := range results {
		invalid := r.WaID != "" && !isWaID(r.WaID)
		if len(r.ProviderID) <= maxKeyBytes && !invalid {
			continue
		}
		if !copied {
			results, copied = slices.Clone(results), true
		}
		results[i].ProviderID = FitKey(r.ProviderID)
		if invalid {
			results[i].WaID = ""
		}
	}
	return results
}

// isWaID reports whether a text is a phone in international form: 7 to 15 digits (E.164).
func isWaID(s string) bool {
	return len(s) >= 7 && len(s) <= 15 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}
