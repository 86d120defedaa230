package alert

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxGap is the longest pause between rounds over which a pending incident keeps its start
// time.
const maxGap = 2 * time.Minute

// Evaluate judges the samples and returns the new state and the notices to send. It does
// not change its arguments. A rule comes after the rules that inhibit it.
func Evaluate(rules []Rule, in Samples, before State, now time.Time) (State, []Notice) {
	s := before.clone()
	gap := !before.At.IsZero() && (now.Sub(before.At) > maxGap || now.Before(before.At))
	s.At = now
	var out []Notice
	known := map[string]bool{}
	for i := range rules {
		r := &rules[i]
		known[r.ID] = true
		if in.Unknown[r.Measure] {
			continue
		}
		bad := map[string]Sample{}
		for _, v := range in.Values {
			if v.Measure == r.Measure && v.Value > r.Above {
				bad[v.Subject] = v
			}
		}
		for _, subject := range slices.Sorted(maps.Keys(bad)) {
			v, key := bad[subject], r.ID+"/"+subject
			it := s.Incidents[key]
			switch {
			case it != nil && !it.FiredAt.IsZero():
				it.Value, it.Detail, it.ClearSince = v.Value, v.Detail, time.Time{}
				continue
			case s.inhibits(r, subject):
				delete(s.Incidents, key)
				continue
			case it == nil || gap:
				it = &Incident{Rule: r.ID, Subject: subject, Since: now}
				s.Incidents[key] = it
			}
			it.Value, it.Detail = v.Value, v.Detail
			if now.Sub(it.Since) >= r.For {
				it.FiredAt = now
				out = append(out, Notice{Incident: *it, At: now})
			}
		}
		for _, key := range slices.Sorted(maps.Keys(s.Incidents)) {
			it := s.Incidents[key]
			if it.Rule != r.ID {
				continue
			}
			if _, still := bad[it.Subject]; still {
				continue
			}
			if it.FiredAt.IsZero() {
				delete(s.Incidents, key)
				continue
			}
			if it.ClearSince.IsZero() || gap {
				it.ClearSince = now
			}
			if now.Sub(it.ClearSince) >= r.Clear {
				delete(s.Incidents, key)
				out = append(out, Notice{Incident: *it, Resolved: true, At: now})
			}
		}
	}
	// Incidents of rules that this version no longer has end silently.
	maps.DeleteFunc(s.Incidents, func(_ string, i *Incident) bool { return !known[i.Rule] })
	return s, out
}

// inhibits reports whether an incident of another rule explains this one.
func (s State) inhibits(r *Rule, subject string) bool {
	for _, i := range s.Incidents {
		if !i.FiredAt.IsZero() && slices.ContainsFunc(r.InhibitedBy, func(c Inhibitor) bool { return c.matches(i, subject) }) {
			return true
		}
	}
	return false
}

func (c Inhibitor) matches(i *Incident, subject string) bool {
	switch {
	case c.Rule != i.Rule:
		return false
	case c.SameSubject:
		return i.Subject == subject
	case len(c.SubjectPrefixes) > 0:
		return slices.ContainsFunc(c.SubjectPrefixes, func(p string) bool { return strings.HasPrefix(i.Subject, p) })
	}
	return true
}

func compare(x, y Incident) int {
	return cmp.Or(strings.Compare(x.Rule, y.Rule), strings.Compare(x.Subject, y.Subject))
}
