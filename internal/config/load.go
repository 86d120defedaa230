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

// Load reads and checks the configuration. The error is Problems, with
// everything that is wrong; the configuration is then as complete as it could
// be read, for commands that need only a part of it.
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

// identity completes what nobody configured: the development identity.
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
	if !c.Dev { // everybody knows it: it must not open what is real
		key.Role, key.Lines = "agent", []string{DevLine}
		c.Notes = append(c.Notes, "sandbox is on: everybody who reaches this router can write to its line "+DevLine+" and read it")
	}
	c.APIKeys = append(c.APIKeys, key)
	d.ours = 1
}
