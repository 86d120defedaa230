package config

import (
	"fmt"
	"io"
	"log/slog"

	"go.yaml.in/yaml/v3"
)

const hidden = "<secret>"

// Secret is one value, or several during a rotation. It prints and marshals as
// <secret>, whatever the verb.
type Secret struct {
	// A pointer, because fmt prints a struct's fields without calling its methods when
	// a verb does not fit; of a pointer it prints the address.
	values *[]string
}

// NewSecret returns a secret with these values.
func NewSecret(values ...string) Secret {
	if len(values) == 0 {
		return Secret{}
	}
	return Secret{&values}
}

// Values returns all values; each of them is accepted.
func (s Secret) Values() []string {
	if s.values == nil {
		return nil
	}
	return *s.values
}

// First is the value to send where only one is possible.
func (s Secret) First() string {
	if s.values == nil {
		return ""
	}
	return (*s.values)[0]
}

// Empty reports whether there is no value.
func (s Secret) Empty() bool { return s.values == nil }

func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, so that no verb prints a value.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// UnmarshalYAML implements yaml.Unmarshaler, from a list of values.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	var values []string
	err := n.Decode(&values)
	*s = NewSecret(values...)
	return err
}

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
