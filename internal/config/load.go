package config

import (
	"fmt"
	"os"
	"reflect"
	"strings"
)

// Options of Load.
type Options struct {
	// File is the YAML file, "" for none.
	File string
	// Env is the environment, as os.Environ gives it.
	Env []string
	// ReadFile reads the file and the files of secrets; nil means os.ReadFile.
	ReadFile func(string) ([]byte, error)
}

// Load reads and checks the configuration. The error is Problems, with
// everything that is wrong; the configuration is then as complete as it could
// be read, for commands that need only a part of it.
func Load(o Options) (*Config, error) {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	env := make(map[string]string, len(o.Env))
	for _, pair := range o.Env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	d := &decoder{readFile: o.ReadFile}
	root := newMapping("environment")
	if o.File != "" {
		root = d.file(o.File, env)
	}
	c := &Config{File: o.File}
	d.overlay(root, env)
	c.Notes = d.oldNames(root, env)
	d.object(reflect.ValueOf(c).Elem(), root, "")
	d.identity(c, root)
	if d.unread {
		return c, d.problems
	}
	d.check(c)
	c.Notes = append(c.Notes, withoutEffect(root)...)
	if len(d.problems) > 0 {
		return c, d.problems
	}
	return c, nil
}

func (d *decoder) file(path string, env map[string]string) *node {
	src, err := d.readFile(path)
	if err != nil {
		d.bad("--config", printable(path), "cannot be read: "+reason(err), "correct the path, or leave --config out to start with the sandbox")
		d.unread = true
		return newMapping(path)
	}
	r := &reader{file: printable(path), lookup: func(name string) (string, bool) {
		value, set := env[name]
		return value, set
	}}
	root := r.read(src)
	d.problems = append(d.problems, r.problems...)
	d.unread = len(r.problems) > 0 && len(root.children) == 0
	return root
}

// identity completes what nobody configured: the development identity.
func (d *decoder) identity(c *Config, root *node) {
	if c.File == "" && len(c.Lines) == 0 && root.children["sandbox"] == nil {
		c.Dev, c.Sandbox = true, true
	}
	if !c.Sandbox {
		return
	}
	if c.Lines == nil {
		c.Lines = map[string]*Line{}
	}
	if c.Lines[DevLine] == nil {
		c.Lines[DevLine] = &Line{
			ID: DevLine, Provider: "cloud", PhoneNumberID: DevPhoneNumberID, BusinessAccountID: DevAccount, Number: DevNumber, Rate: 80,
			Token: NewSecret(DevToken), AppSecret: NewSecret(DevAppSecret), VerifyToken: NewSecret(DevVerifyToken),
		}
	}
	key := APIKey{Name: DevAPIKey, Key: NewSecret(DevAPIKey), Role: "admin"}
	if !c.Dev { // everybody knows it: it must not open what is real
		key.Role, key.Lines = "agent", []string{DevLine}
		c.Notes = append(c.Notes, "sandbox is on: everybody who reaches this router can write to its line "+DevLine+" and read it")
	}
	c.APIKeys = append(c.APIKeys, key)
	d.ours = 1
}

// withoutEffect notes the keys that were set and do nothing in this version.
func withoutEffect(root *node) []string {
	var notes []string
	for _, f := range fields(reflect.TypeFor[Config]()) {
		key, why := f.Tag.Get("key"), f.Tag.Get("later")
		if n := root.children[key]; why != "" && n != nil && !n.null {
			notes = append(notes, fmt.Sprintf("%s has no effect in this version: %s", key, why))
		}
	}
	return notes
}
