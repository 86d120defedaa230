package redistest

import (
	"strings"
	"testing"
)

func TestAOFSurvivesAKill(t *testing.T) {
	t.Parallel()
	s := Start(t, AOF...)
	if _, err := s.Do(t.Context(), "SET", "a", "kept"); err != nil {
		t.Fatal(err)
	}
	s.Kill()
	if _, err := s.Do(t.Context(), "PING"); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Do(t.Context(), "GET", "a"); got != "kept" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestSentinels(t *testing.T) {
	t.Parallel()
	s := StartSentinels(t)
	got, err := s.Watchers[2].Do(t.Context(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterSet)
	if err != nil || strings.ReplaceAll(got, "\n", ":") != s.Primary.Addr {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := StartCluster(t)
	if _, err := c.Nodes[0].Do(t.Context(), "SET", "x", "1"); err == nil || !strings.HasPrefix(err.Error(), "SET: MOVED") {
		t.Errorf("got %v, want a slot of another node", err)
	}
}

func TestBadConfigSaysWhy(t *testing.T) {
	t.Parallel()
	if _, err := New(t.Context(), "no-such-setting 1"); err == nil {
		t.Error("a server with a bad config started")
	}
}
