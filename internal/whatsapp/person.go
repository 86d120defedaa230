package whatsapp

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/psivisionhub/psi-router/internal/inbound"
	"github.com/psivisionhub/psi-router/internal/rawjson"
)

// userID matches a business-scoped user id, or a parent one. By the documentation they
// have fields of their own, but one in a phone's field must not be taken for a phone.
var userID = regexp.MustCompile(`^[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}$`)

// IsUserID reports whether the text is a business-scoped user id.
func IsUserID(text string) bool { return len(text) > 3 && text[2] == '.' && userID.MatchString(text) }

// rounded matches a phone that a spreadsheet turned into scientific notation. Its last
// digits are lost, so it would name many people.
var rounded = regexp.MustCompile(`^\+?\d([.,]\d+)?[eE]\+?\d+$`)

// links are the prefixes of links to a number; Twilio writes them.
var links = []string{"whatsapp:", "tel:"}

// Identify adds one alias to a person: digits are a phone, AR.123 is a user id, anything
// else is kept as an opaque id. A number in scientific notation is ignored.
func Identify(p *inbound.Person, name string) {
	name = strings.TrimSpace(name)
	for _, link := range links {
		if len(name) > len(link) && strings.EqualFold(name[:len(link)], link) {
			name = strings.TrimSpace(name[len(link):])
			break
		}
	}
	switch phone := digits(name); {
	case name == "" || len(name) > inbound.MaxID || rounded.MatchString(name):
	case IsUserID(name) && strings.HasPrefix(name[3:], "ENT."):
		p.ParentUserID = cmp.Or(p.ParentUserID, name)
	case IsUserID(name):
		p.UserID = cmp.Or(p.UserID, name)
	case phone != "" && strings.Trim(name, "+0123456789 -().\u00a0") == "":
		p.Phone = cmp.Or(p.Phone, phone)
	default:
		p.ExternalID = cmp.Or(p.ExternalID, name)
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

// people finds the elements of value.contacts by any of their ids. It is indexed, as a
// batch may have a thousand messages and a thousand contacts.
type people struct {
	list rawjson.Value
	read bool
	all  []inbound.Person
	byID map[personID]int // index into all; nil up to linearMax people
}

// linearMax is the number of people up to which a scan beats an index.
const linearMax = 8

type personID struct {
	kind byte
	id   string
}

const personIDKinds = 4

// personIDOf returns one of the person's ids, the strongest kind first.
func personIDOf(p *inbound.Person, kind byte) personID {
	return personID{kind, [personIDKinds]string{p.UserID, p.Phone, p.ParentUserID, p.ExternalID}[kind]}
}

// find returns the person with the id, nil if there is none.
func (p *people) find(n personID) *inbound.Person {
	if n.id == "" {
		return nil
	}
	if p.byID != nil {
		if i, ok := p.byID[n]; ok {
			return &p.all[i]
		}
		return nil
	}
	for i := range p.all {
		if personIDOf(&p.all[i], n.kind) == n {
			return &p.all[i]
		}
	}
	return nil
}

// add adds a contact. An id belongs to the first contact that has it; later contacts of
// the same person fill in missing names.
func (p *people) add(c inbound.Person) {
	if len(p.all) == linearMax {
		p.byID = map[personID]int{}
		for i := range p.all {
			p.index(i)
		}
	}
	for kind := range byte(personIDKinds) {
		if first := p.find(personIDOf(&c, kind)); first != nil && same(*first, c) {
			first.Name = cmp.Or(first.Name, c.Name)
			first.Username = cmp.Or(first.Username, c.Username)
		}
	}
	p.all = append(p.all, c)
	if p.byID != nil {
		p.index(len(p.all) - 1)
	}
}

func (p *people) index(i int) {
	for kind := range byte(personIDKinds) {
		n := personIDOf(&p.all[i], kind)
		if _, taken := p.byID[n]; !taken {
			p.byID[n] = i
		}
	}
}

// person completes a person from value.contacts. Contacts are matched by id, never by
// position: a batch mixes people.
func (d *decoder) person(p inbound.Person) inbound.Person {
	if !d.people.read {
		d.people.read = true
		for contact := range d.items(d.people.list) {
			d.batch.Count()
			d.people.add(readContact(contact))
		}
	}
	// A contact may add the id by which the next one is found.
	for kind := range byte(personIDKinds) {
		c := d.people.find(personIDOf(&p, kind))
		if c == nil || !same(p, *c) {
			continue
		}
		p.Phone = cmp.Or(p.Phone, c.Phone)
		p.UserID = cmp.Or(p.UserID, c.UserID)
		p.ParentUserID = cmp.Or(p.ParentUserID, c.ParentUserID)
		p.Name = cmp.Or(p.Name, c.Name)
		p.Username = cmp.Or(p.Username, c.Username)
	}
	return p
}

func readContact(contact rawjson.Value) (c inbound.Person) {
	for key, member := range contact.Members() {
		switch key {
		case "wa_id":
			Identify(&c, member.Text())
		case "user_id":
			setID(&c.UserID, member.Text())
		case "parent_user_id":
			setID(&c.ParentUserID, member.Text())
		case "profile":
			c.Name = inbound.TruncateName(member.Get("name").Text())
			c.Username = inbound.TruncateName(member.Get("username").Text())
		}
	}
	return c
}

// same reports whether both are the same person, by the strongest kind of id that both have.
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
	if usable(id) && !rounded.MatchString(id) {
		*dst = id
	}
}

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
