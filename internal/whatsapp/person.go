package whatsapp

import (
	"regexp"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// userID is a business-scoped user id, or a parent one. They are documented to
// come in fields of their own; where one stands in a phone's place it is still
// no phone.
var userID = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)

// IsUserID reports whether the text is a business-scoped user id.
func IsUserID(text string) bool { return len(text) > 3 && text[2] == '.' && userID.MatchString(text) }

// Identify puts one name of a person where it belongs: digits are a phone,
// AR.123 a user id, anything else an id that we cannot read but keep.
func Identify(p *inbound.Person, name string) {
	name = strings.TrimSpace(name)
	switch phone := digits(name); {
	case name == "" || len(name) > maxID:
	case IsUserID(name) && strings.HasPrefix(name[3:], "ENT."):
		p.ParentUserID = orElse(p.ParentUserID, name)
	case IsUserID(name):
		p.UserID = orElse(p.UserID, name)
	case phone != "" && strings.Trim(name, "+0123456789 -().\u00a0") == "":
		p.Phone = orElse(p.Phone, phone)
	default:
		p.ExternalID = orElse(p.ExternalID, name)
	}
}

func readSender(m rawjson.Value) inbound.Person {
	return readPerson(m, "from", "from_user_id", "from_parent_user_id")
}

func readAddressee(m rawjson.Value) inbound.Person {
	p := readPerson(m, "to", "to_user_id", "to_parent_user_id")
	Identify(&p, m.Get("recipient").Text())
	return p
}

func readRecipient(s rawjson.Value) inbound.Person {
	return readPerson(s, "recipient_id", "recipient_user_id", "recipient_parent_user_id")
}

func readPerson(v rawjson.Value, phone, user, parent string) inbound.Person {
	var p inbound.Person
	for key, member := range v.Members() {
		switch key {
		case user:
			setID(&p.UserID, member.Text())
		case parent:
			setID(&p.ParentUserID, member.Text())
		}
	}
	Identify(&p, v.Get(phone).Text())
	return p
}

// person adds what value.contacts says about somebody. Contacts are matched by
// id, never by position: batches mix people.
func (d *decoder) person(p inbound.Person) inbound.Person {
	for contact := range d.contacts.Items() {
		var c inbound.Person
		for key, member := range contact.Members() {
			switch key {
			case "wa_id":
				Identify(&c, member.Text())
			case "user_id":
				setID(&c.UserID, member.Text())
			case "parent_user_id":
				setID(&c.ParentUserID, member.Text())
			case "profile":
				c.Name = member.Get("name").Text()
				c.Username = member.Get("username").Text()
			}
		}
		if !same(p, c) {
			continue
		}
		p.Phone = orElse(p.Phone, c.Phone)
		p.UserID = orElse(p.UserID, c.UserID)
		p.ParentUserID = orElse(p.ParentUserID, c.ParentUserID)
		p.Name = orElse(p.Name, c.Name)
		p.Username = orElse(p.Username, c.Username)
	}
	return p
}

// same reports whether two views are of one person: the strongest id that both
// have decides.
func same(p, c inbound.Person) bool {
	switch {
	case p.UserID != "" && c.UserID != "":
		return p.UserID == c.UserID
	case p.Phone != "" && c.Phone != "":
		return p.Phone == c.Phone
	case p.ParentUserID != "" && c.ParentUserID != "":
		return p.ParentUserID == c.ParentUserID
	case p.ExternalID != "" && c.ExternalID != "":
		return p.ExternalID == c.ExternalID
	}
	return false
}

func setID(dst *string, id string) {
	if usable(id) {
		*dst = id
	}
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// digits keeps the digits of a number.
func digits(s string) string {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return strings.Map(func(r rune) rune {
				if r >= '0' && r <= '9' {
					return r
				}
				return -1
			}, s)
		}
	}
	return s
}
