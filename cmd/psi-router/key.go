package main

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

type keyCmd struct {
	New keyNew `cmd:"" help:"Make a key for the API."`
}

type keyNew struct{}

func (keyNew) Help() string {
	return `Give the key to who calls the API, and put the hash into the configuration. The key is shown once.

Examples:
  psi-router key new`
}

func (keyNew) Run(e *env) error {
	key, hash := newAPIKey()
	return e.report(map[string]string{"key": key, "hash": hash},
		"key:   %s\nhash:  %s\n\nIn the configuration:\n  api_keys: [{name: crm, key: %q, role: agent}]\n", key, hash, hash)
}

// newAPIKey returns a key of 130 random bits, and its hash for the configuration.
func newAPIKey() (key, hash string) {
	key = "psi_" + strings.ToLower(rand.Text())
	sum := sha256.Sum256([]byte(key))
	return key, "sha256:" + hex.EncodeToString(sum[:])
}
