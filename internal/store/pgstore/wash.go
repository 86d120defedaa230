package pgstore

import (
	"strings"
	"unicode/utf8"

	"github.com/psivisionhub/psi-router/internal/inbound"
)

// wash returns the text as PostgreSQL can keep it: valid UTF-8 and no zero bytes.
// What was written exactly is in the raw JSON.
func wash(s string) string {
	if clean(s) {
		return s
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func clean(s string) bool { return strings.IndexByte(s, 0) < 0 && utf8.ValidString(s) }

// washAll returns the arrivals, those that are not clean as washed copies: names
// and ids too, so that they are always the same ones.
func washAll(batch []inbound.Arrival) []inbound.Arrival {
	var out []inbound.Arrival
	for i := range batch {
		a := batch[i]
		if washArrival(&a) {
			if out == nil {
				out = append([]inbound.Arrival(nil), batch...)
			}
			out[i] = a
		}
	}
	if out == nil {
		return batch
	}
	return out
}

// washArrival washes a copy and says whether there was anything to do. What it
// points to is copied before it is changed.
func washArrival(a *inbound.Arrival) (dirty bool) {
	do := func(fields ...*string) (hit bool) {
		for _, f := range fields {
			if !clean(*f) {
				*f = wash(*f)
				hit = true
			}
		}
		return hit
	}
	person := func(p *inbound.Person) bool {
		return do(&p.Phone, &p.UserID, &p.ParentUserID, &p.ExternalID, &p.Username, &p.Name)
	}
	kind := string(a.Kind)
	dirty = do(&a.ID, &a.Line, &a.LineRef, &a.Quarantine, &kind) || dirty
	a.Kind = inbound.Kind(kind)
	dirty = person(&a.Person) || dirty
	if a.Content != nil {
		c := *a.Content
		hit := do(&c.Type, &c.Text, &c.ReplyID, &c.QuotedID, &c.TargetID, &c.Emoji, &c.Group)
		if c.Media != nil {
			m := *c.Media
			if do(&m.ID, &m.URL, &m.MIME, &m.SHA256, &m.Name) {
				c.Media, hit = &m, true
			}
		}
		if hit {
			a.Content, dirty = &c, true
		}
	}
	if a.Report != nil {
		r := *a.Report
		if do(&r.Status, &r.Ref, &r.Detail) {
			a.Report, dirty = &r, true
		}
	}
	if a.Change != nil {
		c := *a.Change
		from, to := person(&c.From), person(&c.To)
		if from || to {
			a.Change, dirty = &c, true
		}
	}
	return dirty
}
