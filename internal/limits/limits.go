// Package limits holds WhatsApp's limits on messages in one table. The flow's linter, the
// API and the Cloud client all use it, so none of them refuses a message that another
// passed. It knows Meta's words and nothing of ours, and only limits that Meta documents: it
// must never refuse a message that it does not know, as WhatsApp has the last word.
package limits

import "unicode/utf16"

// Limits of texts, in Units, and of counts. Where Meta's pages disagree, the stricter number
// is used: a list's body is 4096 on one page and 1024 on another.
const (
	Text           = 4096
	Caption        = 1024
	Body           = 1024 // of interactive messages
	Header         = 60
	Footer         = 60
	Buttons        = 3
	ButtonTitle    = 20
	ButtonID       = 256
	ListButton     = 20
	Sections       = 10
	SectionTitle   = 24
	Rows           = 10 // of all sections together
	RowID          = 200
	RowTitle       = 24
	RowDescription = 72
	Products       = 30 // of all sections together
	Cards          = 10 // of a carousel, which has at least two
	CardBody       = 160
	LinkButton     = 20
	CallButton     = 20
	FlowButton     = 30
	TemplateName   = 512
	LanguageCode   = 20
	HeaderValue    = 60
	BodyValue      = 1024  // beside other components
	OnlyBodyValue  = 32768 // without other components
	ButtonIndex    = 9     // the highest
	Contacts       = 257
)

// Units counts characters as UTF-16 units, so an emoji counts two. Meta does not define a
// character, and this is the strictest reading.
func Units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
