package unit

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/store"
)

// maxKeyBytes is how many bytes a name may have that rows are found by: an index
// has room for about 2,700, in which two of them must find place however they are
// written. Those that exist have less than 130.
const maxKeyBytes = 250

// FitKey returns the name itself, or for one that is too long to be found by its
// beginning and its hash. The same name always gives the same.
func FitKey(name string) string {
	if len(name) <= maxKeyBytes {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return strings.ToValidUTF8(name[:100], "") + "…" + hex.EncodeToString(sum[:])
}

// FitArrivals returns the arrivals with names that fit. Raw keeps what came.
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

// indexedKeys are what rows of an arrival are found by; nil for none.
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

// FitResults returns the results with provider ids that fit, and without phones that
// are none.
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

// isWaID says that a text is a phone in international form: 7 to 15 digits (E.164).
func isWaID(s string) bool {
	return len(s) >= 7 && len(s) <= 15 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}
