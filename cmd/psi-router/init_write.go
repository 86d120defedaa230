package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// yaml returns the configuration, and moves its secrets to s.secrets.
func (s *setup) yaml() string {
	var b strings.Builder
	row := func(indent, key, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%s: %s\n", indent, key, quoted(value))
		}
	}
	hide := func(indent, key, name, value string) {
		if value != "" {
			s.secrets[name] = value + "\n"
			row(indent, key+"_file", s.secret(name))
		}
	}
	b.WriteString("# PSI Router. docs/configuration.md explains every key.\n")
	row("", "listen", s.Listen)
	row("", "data_dir", s.DataDir)
	row("", "public_url", s.Public)
	row("", "flow", s.Flow)
	row("", "graph_url", s.Graph)
	row("", "log_level", s.logLevel)
	address := func(key, value string) {
		if u, err := url.Parse(value); err == nil && u.User == nil && u.RawQuery == "" { // nothing to hide
			row("", key, value)
		} else {
			hide("", key, key, value)
		}
	}
	address("database_url", s.Database)
	address("database_direct_url", s.Direct)
	address("redis_url", s.Redis)
	if s.Redis != "" && s.Durability != "fsync" {
		row("", "durability", s.Durability)
	}
	if s.APIKey != "none" {
		var hash string
		s.key, hash = newAPIKey()
		fmt.Fprintf(&b, "api_keys:\n  - {name: %s, key: %q, role: agent}\n", quoted(s.APIKey), hash)
	}
	b.WriteString("lines:\n")
	for _, l := range s.lines {
		fmt.Fprintf(&b, "  %s:\n", l.id)
		for _, key := range []string{"provider", "phone_number_id", "number", "url", "instance"} {
			row("    ", key, l.values[key])
		}
		for _, key := range []string{"token", "app_secret", "verify_token", "api_key", "secret"} {
			hide("    ", key, l.id+"."+key, l.values[key])
		}
	}
	return b.String()
}

// quoted returns a value as YAML, with ${ escaped.
func quoted(v string) string { return strconv.Quote(strings.ReplaceAll(v, "${", "$${")) }

// write writes the secrets before the configuration that names them. If it fails, it removes
// what it has written.
func (s *setup) write(text string) (err error) {
	var made []string
	defer func() {
		if err == nil {
			return
		}
		for _, path := range made {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	for _, d := range []struct {
		path string
		mode fs.FileMode
	}{{s.dir, 0o750}, {filepath.Join(s.dir, "secrets"), 0o700}, {s.DataDir, 0o700}} {
		if err := os.MkdirAll(d.path, d.mode); err != nil {
			return fmt.Errorf("make %s: %w", d.path, err)
		}
	}
	put := func(path, text string, mode fs.FileMode) error {
		fresh, err := s.writeFile(path, text, mode)
		if fresh {
			made = append(made, path)
		}
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(s.secrets)) {
		if err := put(s.secret(name), s.secrets[name], 0o600); err != nil {
			return err
		}
	}
	return put(s.file(), text, 0o640)
}

// writeFile writes a file whole or not at all. It replaces an existing file only with Force;
// then the file is not fresh.
func (s *setup) writeFile(path, text string, mode fs.FileMode) (fresh bool, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".psi-router-*")
	if err != nil {
		return false, fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // after success the file has another name
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
		fresh = err == nil
		if s.Force && errors.Is(err, fs.ErrExist) {
			err = os.Rename(f.Name(), path)
		}
	}
	if err != nil {
		return fresh, fmt.Errorf("write %s: %w", path, err)
	}
	return fresh, nil
}
