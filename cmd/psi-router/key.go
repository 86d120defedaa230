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

// Help implements kong's help.
func (keyNew) Help() string {
	return `Give the key to who calls the API, and put the hash into the configuration. The key is shown once.

Examples:
  psi-router key new`
}

// Run makes a key of 130 random bits.
func (keyNew) Run(e *env) error {
	key := "psi_" + strings.ToLower(rand.Text())
	sum := sha256.Sum256([]byte(key))
	hash := "sha256:" + hex.EncodeToString(sum[:])
	if e.JSON {
		return e.printJSON(map[string]string{"key": key, "hash": hash})
	}
	e.printf("key:   %s\nhash:  %s\n\nIn the configuration:\n  api_keys: [{name: crm, key: %q, role: agent}]\n", key, hash, hash)
	return nil
}
