package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Role is what a key may do; each role includes those before it.
type Role string

// Roles.
const (
	Viewer Role = "viewer" // reads
	Agent  Role = "agent"  // writes and commands conversations
	Admin  Role = "admin"  // queues, dead letters and the audit
)

func (r Role) rank() int { return slices.Index([]Role{Viewer, Agent, Admin}, r) }

// Key is an API key.
type Key struct {
	Name string
	// Secrets are the key's values, plain or "sha256:<hex>"; each is accepted (rotation).
	Secrets []string
	Role    Role
	// Lines and Areas are the key's scope; empty means all.
	Lines []string
	Areas []string
	// Rate is the key's limit in requests per second, with bursts of twice that; 0 means
	// 100, negative no limit.
	Rate float64
}

// caller is the key behind a request.
type caller struct {
	name         string
	role         Role
	lines, areas []string
}

type callerKey struct{}

// unscoped reports whether the caller sees everything.
func (c caller) unscoped() bool { return len(c.lines) == 0 && len(c.areas) == 0 }

// sees reports whether a conversation on the line and in the area is in the caller's scope.
// A conversation without an area belongs to no team yet, so a key that is bound to areas
// does not see it.
func (c caller) sees(line, area string) bool {
	return c.seesLine(line) && c.seesArea(area)
}

func (c caller) seesArea(area string) bool {
	return len(c.areas) == 0 || slices.Contains(c.areas, area)
}

func (c caller) seesLine(line string) bool {
	return len(c.lines) == 0 || slices.Contains(c.lines, line)
}

// seesLane is sees for queues and dead letters, which have a line and never an area.
func (c caller) seesLane(line string) bool {
	return c.unscoped() || (len(c.areas) == 0 && line != "" && slices.Contains(c.lines, line))
}

type entry struct {
	hash [sha256.Size]byte
	caller
}

type keyring []entry

func newKeyring(keys []Key, known areas) (keyring, error) {
	var ring keyring
	for _, k := range keys {
		if k.Name == "" {
			return nil, fmt.Errorf("an API key has no name: give it one, the audit shows it")
		}
		if k.Role.rank() < 0 {
			return nil, fmt.Errorf("API key %q: role %q is unknown: use viewer, agent or admin", k.Name, k.Role)
		}
		if len(k.Secrets) == 0 {
			return nil, fmt.Errorf("API key %q has no value: make one with `psi-router key new`", k.Name)
		}
		scope := make([]string, len(k.Areas))
		for i, name := range k.Areas {
			id, ok := known.find(name)
			if !ok {
				return nil, fmt.Errorf("API key %q: area %q is unknown: use one of %s", k.Name, name, known.list())
			}
			scope[i] = id
		}
		for _, secret := range k.Secrets {
			hash, err := hashOf(secret)
			if err != nil {
				return nil, fmt.Errorf("API key %q: %w", k.Name, err)
			}
			ring = append(ring, entry{hash, caller{k.Name, k.Role, slices.Clone(k.Lines), scope}})
		}
	}
	return ring, nil
}

func hashOf(secret string) (hash [sha256.Size]byte, err error) {
	digits, hashed := strings.CutPrefix(secret, "sha256:")
	switch {
	case secret == "":
		return hash, fmt.Errorf("an empty value would let everybody in")
	case !hashed:
		return sha256.Sum256([]byte(secret)), nil
	}
	raw, err := hex.DecodeString(digits)
	if err != nil || len(raw) != len(hash) {
		return hash, fmt.Errorf("a value that begins with sha256: needs 64 hex digits after it, as `psi-router key new` prints")
	}
	return [sha256.Size]byte(raw), nil
}

// find compares with every key, so that the time it takes tells nothing.
func (r keyring) find(token string) (actor caller, ok bool) {
	hash := sha256.Sum256([]byte(token))
	for _, e := range r {
		if subtle.ConstantTimeCompare(hash[:], e.hash[:]) == 1 {
			actor, ok = e.caller, true
		}
	}
	return actor, ok
}

func (s *server) authenticate(header string, need Role) (caller, *Problem) {
	if s.trusted != nil {
		return *s.trusted, nil
	}
	scheme, token, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return caller{}, unauthorized("Send the header `Authorization: Bearer <key>`. `psi-router key new` makes a key.")
	}
	actor, ok := s.keys.find(strings.TrimSpace(token))
	if !ok {
		return caller{}, unauthorized("This key is not known here. Compare it with api_keys in the configuration, or make one with `psi-router key new`.")
	}
	if actor.role.rank() < need.rank() {
		return caller{}, problem(http.StatusForbidden, codeForbidden,
			fmt.Sprintf("The key %q is a %s; this needs a key with the role %s.", actor.name, actor.role, need))
	}
	return actor, nil
}
