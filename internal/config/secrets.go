package config

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// Secrets returns the texts that must never appear in a log or a page: every value of
// a Secret, the secret parts of addresses, and the proofs that Graph gets beside a
// token. Those of the development identity are left out: they are public, and its words
// have other uses.
func (c *Config) Secrets() []string {
	var all []string
	for _, e := range c.Endpoints {
		all = append(all, pathSecrets(e.URL)...)
	}
	walkSecrets(reflect.ValueOf(c).Elem(), "", func(key, value string) {
		switch key {
		case "redis_url", "database_url", "database_direct_url":
			all = append(all, passwords(value)...)
		case "alerts.url":
			all = append(all, pathSecrets(value)...)
		default:
			all = append(all, value)
			if raw, found := strings.CutPrefix(value, "whsec_"); found {
				all = append(all, raw)
			}
		}
	})
	for _, l := range c.Lines {
		all = append(all, proofs(l)...)
	}
	public := []string{DevToken, DevAppSecret, DevVerifyToken, DevAPIKey, proof(DevToken, DevAppSecret)}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" || c.Sandbox && slices.Contains(public, s) })
}

// proofs returns the appsecret_proof of each of a line's tokens with each of its app secrets.
func proofs(l *Line) (all []string) {
	if l == nil {
		return nil
	}
	for _, token := range l.Token.Values() {
		for _, secret := range l.AppSecret.Values() {
			all = append(all, proof(token, secret))
		}
	}
	return all
}

// proof is the HMAC-SHA256 of the token with the app secret as key, in hexadecimal.
func proof(token, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token))
	return hex.EncodeToString(mac.Sum(nil))
}

// walkSecrets visits every value of every Secret below v, with its key.
func walkSecrets(v reflect.Value, path string, visit func(key, value string)) {
	switch {
	case v.Type() == secretType:
		for _, value := range v.Interface().(Secret).Values() {
			visit(path, value)
		}
	case v.Kind() == reflect.Pointer && !v.IsNil():
		walkSecrets(v.Elem(), path, visit)
	case v.Kind() == reflect.Struct:
		for _, f := range fields(v.Type()) {
			walkSecrets(v.FieldByIndex(f.Index), strings.TrimPrefix(path+"."+keyOf(f), "."), visit)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			walkSecrets(v.Index(i), path, visit)
		}
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			walkSecrets(v.MapIndex(key), path, visit)
		}
	}
}

// passwords returns the passwords in a server's address, and the whole address if it
// cannot be parsed.
func passwords(address string) (all []string) {
	_, rest, _ := strings.Cut(address, "://")
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // also if the address is malformed
		_, word, _ := strings.Cut(rest[:at], ":")
		all = append(all, word)
	}
	u, err := url.Parse(address)
	if err != nil {
		return append(all, address)
	}
	if word, set := u.User.Password(); set {
		all = append(all, word)
	}
	for key, values := range u.Query() {
		if strings.Contains(strings.ToLower(key), "pass") {
			all = append(all, values...)
		}
	}
	return all
}

// minPathSecret is the length from which a part of a path may be a secret.
const minPathSecret = 16

// pathSecrets returns the parts of an address that are long enough to be secrets: the
// webhooks of Slack, Discord and n8n have no other secret.
func pathSecrets(address string) (all []string) {
	u, err := url.Parse(address)
	if err != nil {
		return []string{address}
	}
	parts := strings.Split(u.Path, "/")
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	for _, p := range parts {
		if len(p) >= minPathSecret {
			all = append(all, p)
		}
	}
	if word, set := u.User.Password(); set {
		all = append(all, word)
	}
	return all
}
