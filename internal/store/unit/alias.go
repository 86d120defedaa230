package unit

import (
	"cmp"
	"slices"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/phone"
	"github.com/psivisionhub/psi-router/internal/store"
)

// aliasSet are the aliases of a person: the keys that lead to a contact, whatever the
// provider calls the person today. "" is unknown. former is the phone's alias of an earlier
// version: it leads to a contact that nobody wrote by since, and no contact gets it any
// more.
type aliasSet struct{ user, parent, phone, external, former string }

// Prefixes of aliases. They are stored: a change needs a migration.
const (
	aliasUser     = "user:"
	aliasParent   = "parent:"
	aliasPhone    = "phone:"
	aliasExternal = "external:"
)

func (s *Settings) aliasSetOf(p inbound.Person) aliasSet {
	var n aliasSet
	if p.UserID != "" {
		n.user = aliasUser + p.UserID
	}
	if p.ParentUserID != "" {
		n.parent = aliasParent + p.ParentUserID
	}
	if p.Phone != "" {
		country := "" // a provider's id is already international
		if p.National {
			country = s.Country
		}
		n.phone = phoneAlias(p.Phone, country)
		n.former = formerAlias(n.phone)
	}
	if p.ExternalID != "" {
		n.external = aliasExternal + p.ExternalID
	}
	return n
}

// phoneAlias tells all phones apart: a text without digits is its own key.
func phoneAlias(raw, country string) string {
	if key := phone.Key(raw, country); key != "" {
		return aliasPhone + key
	}
	return aliasPhone + raw
}

// formerAlias returns the alias that earlier versions made of a phone, "" if it is the
// same.
func formerAlias(alias string) string {
	if old := phone.Former(strings.TrimPrefix(alias, aliasPhone)); old != "" {
		return aliasPhone + old
	}
	return ""
}

// dialablePhone returns the phone as it can be written to: unchanged, unless somebody typed
// it without its country code. Unchanged it would be another person's, abroad.
func (s *Settings) dialablePhone(p inbound.Person) string {
	if !p.National {
		return p.Phone
	}
	x := phone.Explain(p.Phone, s.Country)
	if slices.Contains(x.Rules, phone.RuleCountry) {
		return x.Key
	}
	return p.Phone
}

// strongest returns the alias that identifies the person best; see lookupContact.
func (n aliasSet) strongest() string { return cmp.Or(n.user, n.parent, n.phone, n.external) }

func (n aliasSet) list() []string {
	out := make([]string, 0, 4)
	for _, a := range [...]string{n.user, n.parent, n.phone, n.external} {
		if a != "" {
			out = append(out, a)
		}
	}
	return out
}

// Aliases returns every key under which a person may be known.
func (s *Settings) Aliases(p inbound.Person) []string { return s.aliasSetOf(p).list() }

// phoneAliases returns the aliases of a phone, written with its country code or without.
func (s *Settings) phoneAliases(raw string) []string {
	out := []string{phoneAlias(raw, ""), phoneAlias(raw, s.Country)}
	return slices.Compact(out)
}

// PhoneAliases returns the aliases that lead to a phone, in any writing, those of earlier
// versions too.
func (s *Settings) PhoneAliases(raw string) []string {
	out := s.phoneAliases(raw)
	for _, alias := range out {
		if old := formerAlias(alias); old != "" {
			out = append(out, old)
		}
	}
	return out
}

// UserAliases returns the aliases that a user id may stand for.
func (s *Settings) UserAliases(id string) []string { return []string{aliasUser + id, aliasParent + id} }

// SearchAliases returns the aliases that a typed key may stand for: a user id, a phone in
// any writing, an external id.
func (s *Settings) SearchAliases(key string) []string {
	out := []string{aliasUser + key, aliasParent + key, aliasExternal + key}
	if strings.ContainsAny(key, "0123456789") {
		out = append(out, s.PhoneAliases(key)...)
	}
	return out
}

// RecipientAliases returns the aliases of a recipient. A phone may be written with its
// country code or without.
func (s *Settings) RecipientAliases(to store.Recipient) []string {
	out := s.Aliases(to.Person)
	if to.Person.Phone == "" {
		return out
	}
	for _, alias := range s.phoneAliases(to.Person.Phone) {
		if !slices.Contains(out, alias) {
			out = append(out, alias)
		}
	}
	return out
}
