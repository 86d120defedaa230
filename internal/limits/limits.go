// Package limits is what WhatsApp takes of a message, in one table: the flow's
// linter, the API and the Cloud client ask it, so that what one of them passes
// none of the others refuses. It knows Meta's words and nothing of ours, and
// holds only what Meta documents: what it does not know it passes, and WhatsApp
// itself has the last word.
package limits

import "unicode/utf16"

// Limits of texts, in Units, and of counts. Where Meta's pages disagree, this
// has the stricter number: a list's body is 4096 on one page and 1024 on another.
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
	Cards          = 10 // of a carousel, which has two at least
	CardBody       = 160
	LinkButton     = 20
	CallButton     = 20
	FlowButton     = 30
	TemplateName   = 512
	LanguageCode   = 20
	HeaderValue    = 60
	BodyValue      = 1024  // beside other components
	OnlyBodyValue  = 32768 // where the body is the only one
	ButtonIndex    = 9     // the last one
	Contacts       = 257
)

// Units counts characters. Meta does not say what one is, and UTF-16 is the
// strictest reading: an emoji counts two.
func Units(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
