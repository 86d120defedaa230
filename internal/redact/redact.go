// Package redact removes private data from other programs' texts (errors, answers): the
// configured secrets in any encoding, words so long that they may be an unknown secret, and
// phone numbers. Such a text passes through it before it is shown, stored or logged. It must
// never decide what is a secret, keep what it saw, or change the messages of people.
package redact

import "strings"

// Marks replace redacted text.
const (
	// Secret replaces a configured secret.
	Secret = "<secret>"
	// Word replaces a word that may be a secret.
	Word = "<long word>"
)

// Redactor knows the secrets of one installation. A nil Redactor knows none and still redacts
// everything else. It is safe for concurrent use.
type Redactor struct{ secrets index }

// New returns a Redactor that knows the secrets.
func New(secrets ...string) *Redactor {
	return &Redactor{newIndex(secrets)}
}

// Secrets redacts only the configured secrets: for text that people wrote.
func (r *Redactor) Secrets(s string) string {
	if r == nil || len(s) < minSecret {
		return s
	}
	return replace(s, r.secrets.find(s), func(string) string { return Secret })
}

// Words redacts secrets and words that are long enough to be one: for text in which the reader
// should see phone numbers.
func (r *Redactor) Words(s string) string {
	s = r.Secrets(s)
	return replace(s, longWords(s), func(string) string { return Word })
}

// Text redacts secrets and long words, and masks phone numbers. It is idempotent.
func (r *Redactor) Text(s string) string {
	s = r.Words(s)
	return replace(s, phones(s), mask)
}

// longestLine is the longest result of Line, in characters.
const longestLine = 300

// Line is Text on one line of at most 300 characters: a provider's words for a log or an
// operator.
func (r *Redactor) Line(s string) string {
	line := []rune(r.Text(strings.Join(strings.Fields(s), " ")))
	if len(line) > longestLine {
		line = append(line[:longestLine-1], '…')
	}
	return string(line)
}
