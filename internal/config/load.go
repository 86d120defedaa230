package config

import (
	"os"
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

// Load reads and checks the configuration. The error is Problems, and lists all of
// them. The configuration is then as complete as possible, for commands that need
// only a part of it.
func Load(o Options) (*Config, error) {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	d := &decoder{readFile: o.ReadFile, env: make(map[string]string, len(o.Env))}
	for _, pair := range o.Env {
		name, value, _ := strings.Cut(pair, "=")
		d.env[name] = value
	}
	root := newMapping("environment")
	if o.File != "" {
		root = d.file(o.File)
	}
	d.overlay(root)
	c := &Config{File: o.File}
	c.Dev = o.File == "" && get(root, "lines") == nil && get(root, "sandbox") == nil
	d.decode(root, c)
	d.identity(c)
	if d.unread {
		return c, d.problems
	}
	d.check(c)
	c.Notes = append(c.Notes, d.notes...)
	if len(d.problems) > 0 {
		return c, d.problems
	}
	return c, nil
}

// identity adds the development identity where the sandbox is on.
func (d *decoder) identity(c *Config) {
	c.Sandbox = c.Sandbox || c.Dev
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
	if !c.Dev { // the key is public: it must not open real lines
		key.Role, key.Lines = "agent", []string{DevLine}
		c.Notes = append(c.Notes, "sandbox is on: anybody who reaches this router can read its line "+DevLine+" and write to it")
	}
	c.APIKeys = append(c.APIKeys, key)
	d.ours = 1
}
