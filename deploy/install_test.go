package deploy

import (
	"context"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDist: the same sources give the same bytes, and the tarball is complete.
func TestDist(t *testing.T) {
	t.Parallel()
	dir, err := unpackedRelease()
	if err != nil {
		t.Fatal(err)
	}
	again := filepath.Join(t.TempDir(), "again")
	if _, err := makeDist(again); err != nil {
		t.Fatal(err)
	}
	sums := func(dir string) string { return readShipped(t, filepath.Join(dir, "SHA256SUMS")) }
	if got, want := sums(again), sums(filepath.Dir(dir)); got != want {
		t.Errorf("two builds differ:\n%s%s", got, want)
	}
	for _, name := range []string{
		"psi-router", "install.sh", "VERSION", "LICENSE", "README.md", "README.es.md", "flows/psi.yaml", "docs/configuration.md", "docs/operations.md", "examples/consumer/server.js",
		"deploy/psi-router.yaml", "deploy/nginx/psi-router.conf", "deploy/caddy/Caddyfile", "deploy/pm2/ecosystem.config.js",
		"deploy/systemd/psi-router.service", "deploy/docker/compose.yml",
	} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	for _, name := range []string{"deploy/testdata", "deploy/doc.go"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is for tests, but is in the tarball", name)
		}
	}
	if out := command(t, filepath.Join(dir, "psi-router"), "version"); !strings.Contains(out, version) {
		t.Errorf("version: got %q, want %s in it", out, version)
	}
	binary, err := elf.Open(filepath.Join(dir, "psi-router"))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, part := range binary.Progs {
		if part.Type == elf.PT_INTERP {
			t.Error("the program is not static")
		}
	}
}

// TestInstall installs below a directory, upgrades, and rolls back.
func TestInstall(t *testing.T) {
	t.Parallel()
	dir, err := unpackedRelease()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	install := func(from string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(from, "install.sh"), args...)
		cmd.Env = append(os.Environ(), "DESTDIR="+root)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(from string, args ...string) {
		t.Helper()
		if out, err := install(from, args...); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	current := func() string {
		t.Helper()
		target, err := os.Readlink(filepath.Join(root, "opt/psi-router/current"))
		if err != nil {
			t.Fatal(err)
		}
		return filepath.Base(target)
	}
	if out, err := install(dir, "--rollback"); err == nil {
		t.Errorf("rollback before any installation:\n%s", out)
	}
	must(dir, "--domain", "router.school.example")
	config := filepath.Join(root, "etc/psi-router/psi-router.yaml")
	for path, mode := range map[string]os.FileMode{
		"etc/psi-router": 0o750, "etc/psi-router/psi-router.yaml": 0o640, "var/lib/psi-router": 0o700,
		"etc/systemd/system/psi-router.service": 0o644, "etc/systemd/system/psi-router-web@.socket": 0o644,
	} {
		info, err := os.Stat(filepath.Join(root, path))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s: got mode %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
	if out := command(t, filepath.Join(root, "usr/local/bin/psi-router"), "version"); !strings.Contains(out, version) {
		t.Errorf("the installed program prints %q", out)
	}
	site := readShipped(t, filepath.Join(root, "etc/nginx/sites-available/psi-router"))
	if strings.Contains(site, "example.com") || !strings.Contains(site, "server_name router.school.example;") {
		t.Error("the domain is not in the files for nginx")
	}
	skeleton(t, config)

	// Another release, over an edited configuration.
	write(t, config, "mine: true\n")
	next := filepath.Join(t.TempDir(), "next")
	command(t, "cp", "-R", dir, next)
	write(t, filepath.Join(next, "VERSION"), "v9.9.0\n")
	must(next)
	must(next) // a repeat does no harm
	if got := current(); got != "v9.9.0" {
		t.Errorf("after the upgrade %s is current", got)
	}
	if got := readShipped(t, config); got != "mine: true\n" {
		t.Errorf("the configuration was overwritten: %s", got)
	}
	must(next, "--rollback")
	if got := current(); got != version {
		t.Errorf("after the rollback %s is current, want %s", got, version)
	}

	// A release that does not start here changes nothing.
	broken := filepath.Join(t.TempDir(), "broken")
	command(t, "cp", "-R", dir, broken)
	write(t, filepath.Join(broken, "VERSION"), "v10.0.0\n")
	write(t, filepath.Join(broken, "psi-router"), "#!/bin/sh\nexit 1\n")
	if out, err := install(broken); err == nil || !strings.Contains(out, "does not start here") {
		t.Errorf("a broken release: got %v\n%s", err, out)
	}
	if got := current(); got != version {
		t.Errorf("after a broken release %s is current", got)
	}
}

// skeleton checks that the configuration of a new installation lacks only lines.
func skeleton(t *testing.T, config string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), program(t), "serve", "--config", config)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "has a problem") && !strings.Contains(string(out), "1 problem") && strings.Count(string(out), "\n  ") != 1 {
		t.Errorf("the skeleton: got %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "lines: has no line") {
		t.Errorf("the skeleton does not ask for lines:\n%s", out)
	}
}

// TestDockerFiles checks the files without Docker.
func TestDockerFiles(t *testing.T) {
	t.Parallel()
	dockerfile := readShipped(t, "docker/Dockerfile")
	for _, want := range []string{"distroless/static-debian12:nonroot", "\nUSER 65532:65532", "CGO_ENABLED=0", "-trimpath"} {
		if !strings.Contains(dockerfile, want) {
			t.Errorf("the Dockerfile has no %q", want)
		}
	}
	var compose struct {
		Services map[string]struct {
			Command  []string
			ReadOnly bool `yaml:"read_only"`
			Ports    []string
			Deploy   struct{ Replicas int }
		}
		Secrets map[string]any
	}
	if err := yaml.Unmarshal([]byte(readShipped(t, "docker/compose.yml")), &compose); err != nil {
		t.Fatal(err)
	}
	redis := strings.Join(compose.Services["redis"].Command, " ")
	if !strings.Contains(redis, "--appendonly yes --appendfsync always") || !strings.Contains(redis, "noeviction") {
		t.Errorf("redis: %s", redis)
	}
	for name, s := range compose.Services {
		for _, port := range s.Ports {
			if !strings.HasPrefix(port, "127.0.0.1:") {
				t.Errorf("%s publishes %s on every address", name, port)
			}
		}
	}
	if got := compose.Services["worker"]; !got.ReadOnly || got.Deploy.Replicas != 5 {
		t.Errorf("worker: %+v", got)
	}
	if len(compose.Secrets) != 2 || strings.Contains(readShipped(t, "docker/compose.yml"), "POSTGRES_PASSWORD:") {
		t.Error("a password is not a secret")
	}
}
