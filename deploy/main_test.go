package deploy

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// workDir has the files of this run, and ca is the authority that its clients trust.
// TestMain creates both.
var (
	workDir string
	ca      *authority
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	var err error
	if workDir, err = os.MkdirTemp("", "psi-deploy-"); err == nil {
		err = os.Chmod(workDir, 0o755) // nginx is another user
	}
	if err == nil {
		ca, err = newAuthority(workDir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(workDir)
	// Child processes trust only our authority, too.
	os.Setenv("SSL_CERT_FILE", ca.file)
	return m.Run()
}

// version is the version of the tests' release.
const version = "v9.8.7"

// unpackedRelease unpacks the tarball for this machine, once.
var unpackedRelease = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(workDir, "dist")
	tarball, err := makeDist(dir)
	if err != nil {
		return "", err
	}
	if out, err := exec.Command("tar", "-C", dir, "-xzf", tarball).CombinedOutput(); err != nil {
		return "", fmt.Errorf("unpack: %w\n%s", err, out)
	}
	return strings.TrimSuffix(tarball, ".tar.gz"), nil
})

func makeDist(dir string) (tarball string, err error) {
	cmd := exec.CommandContext(context.Background(), "../scripts/dist.sh", dir, runtime.GOARCH)
	cmd.Env = append(os.Environ(), "VERSION="+version, "SOURCE_DATE_EPOCH=1790000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("dist.sh: %w\n%s", err, out)
	}
	return filepath.Join(dir, "psi-router_"+version+"_linux_"+runtime.GOARCH+".tar.gz"), nil
}

// program returns the path of the router as shipped.
func program(t testing.TB) string {
	t.Helper()
	dir, err := unpackedRelease()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "psi-router")
}

// command runs a program to its end and returns its output.
func command(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// readShipped reads a file of this directory.
func readShipped(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// replaceAll replaces fixed places in a file; each has to be there.
func replaceAll(t testing.TB, text string, places ...string) string {
	t.Helper()
	for i := 0; i < len(places); i += 2 {
		if !strings.Contains(text, places[i]) {
			t.Fatalf("no %q to replace", places[i])
		}
		text = strings.ReplaceAll(text, places[i], places[i+1])
	}
	return text
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // nginx is another user
		t.Fatal(err)
	}
	return path
}
