// Package redact blanks, in sentences that somebody else said, what must not be
// repeated: the secrets of the configuration in whatever encoding, words so long
// that they may be a secret which nobody told us of, and phone numbers. Whoever
// shows, stores or logs such a sentence passes it through here first. It must
// never decide what is a secret, keep what it saw, or change what people write to
// each other: messages are no sentences about us.
package redact

import "strings"

// Marks stand where something was.
const (
	// Secret stands for a secret of the configuration.
	Secret = "<secret>"
	// Word stands for a word that may be one.
	Word = "<long word>"
)

// Redactor knows the secrets of one installation. A nil one knows none, and does
// all else. It is safe for concurrent use.
type Redactor struct{ secrets index }

// New returns a Redactor that knows the secrets.
func New(secrets ...string) *Redactor {
	return &Redactor{newIndex(secrets)}
}

// Secrets blanks the secrets that were configured and nothing else: for what
// people wrote themselves.
func (r *Redactor) Secrets(s string) string {
	if r == nil || len(s) < minSecret {
		return s
	}
	return replace(s, r.secrets.find(s), func(string) string { return Secret })
}

// Words blanks secrets, and words that are long enough to be one: for sentences
// in which the reader's own phone numbers are to be seen.
func (r *Redactor) Words(s string) string {
	s = r.Secrets(s)
	return replace(s, longWords(s), func(string) string { return Word })
}

// Text blanks secrets and long words, and masks phone numbers. What it returns it
// leaves as it is.
func (r *Redactor) Text(s string) string {
	s = r.Words(s)
	return replace(s, phones(s), mask)
}

// longestLine is how much of a sentence Line keeps, in letters.
const longestLine = 300

// Line is Text on one line, and short: what a provider said, for a log or an operator.
func (r *Redactor) Line(s string) string {
	line := []rune(r.Text(strings.Join(strings.Fields(s), " ")))
	if len(line) > longestLine {
		line = append(line[:longestLine-1], '…')
	}
	return string(line)
}
