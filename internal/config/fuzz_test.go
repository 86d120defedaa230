package config

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// FuzzLoad: whatever the file and the environment hold, Load returns a complete
// configuration, or problems that each have a key, a reason and a cure.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(good), "PSI_LISTEN", "x")
	f.Add([]byte("lines: {a: &a {provider: evolution}, b: *a}"), "PSI_LINES_A_SECRET_FILE", "/x")
	f.Add([]byte("endpoints: [{}, {}]\napi_keys: 3\nworker: [1]"), "PSI_ENDPOINTS_0_EVENTS", "[a, {b: c}]")
	f.Add([]byte("a: ${B"), "PSI_LINES_Ñ_URL", "Ñandú")
	f.Add([]byte("lines: 1"), "PSI_LINES_X_TOKEN", "[")
	f.Add([]byte("{<<: 1, ? [a]: b}"), "PSI_LISTEN", "-1")
	f.Fuzz(func(t *testing.T, yaml []byte, name, value string) {
		c, err := Load(Options{File: "f", Env: []string{name + "=" + value, "PSI_LINES_A_TOKEN=qJ7secretvalue"}, ReadFile: func(path string) ([]byte, error) {
			if path == "f" {
				return yaml, nil
			}
			return nil, os.ErrNotExist
		}})
		if c == nil {
			t.Fatal("no configuration")
		}
		var ps Problems
		if err != nil && (!errors.As(err, &ps) || len(ps) == 0) {
			t.Fatalf("%T: %v", err, err)
		}
		for _, p := range ps {
			if p.Key == "" || p.Reason == "" || p.Fix == "" {
				t.Fatalf("an incomplete problem: %+v", p)
			}
			if strings.Contains(p.String(), "\n") {
				t.Fatalf("a problem of several lines: %q", p.String())
			}
		}
		if err != nil && strings.Contains(err.Error(), "qJ7secretvalue") {
			t.Fatalf("a secret was printed: %v", err)
		}
		if err == nil && len(c.Lines) == 0 {
			t.Fatal("accepted without lines")
		}
	})
}
