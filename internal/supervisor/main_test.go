package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// actEnv names the action of this test binary when it is started as the supervised program.
const actEnv = "PSI_TEST_SUPERVISE"

func TestMain(m *testing.M) {
	if act, child := os.LookupEnv(actEnv); child {
		if err := acts[act](); err != nil {
			fmt.Fprint(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

var acts = map[string]func() error{
	"serve one":    serveOne,
	"ready":        ready,
	"fd 3 is kept": fdIsKept,
}

// supervised starts this binary with the files from 3 on, as systemd and Node do.
// LISTEN_PID has to be the process's own id, which a shell knows before its exec.
func supervised(t *testing.T, act string, files []*os.File, env ...string) (out string, err error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/sh", "-c", `LISTEN_PID=$$; export LISTEN_PID; exec "$0"`, self)
	cmd.Env = append(os.Environ(), append(env, actEnv+"="+act)...)
	cmd.ExtraFiles = files
	var said, wrong strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &wrong
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, wrong.String())
	}
	return said.String(), nil
}

// serveOne greets one client of the socket that was opened for this process.
func serveOne() error {
	s, err := FromEnvironment()
	if err != nil {
		return err
	}
	l, err := s.Listener()
	if err != nil {
		return err
	}
	if l == nil {
		fmt.Print("no socket")
		return nil
	}
	fmt.Print(l.Addr())
	c, err := l.Accept()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprint(c, "hola"); err != nil {
		return err
	}
	return c.Close()
}

func ready() error {
	s, err := FromEnvironment()
	if err != nil {
		return err
	}
	return s.Ready()
}

// fdIsKept reports whether child processes inherit PM2's channel.
func fdIsKept() error {
	s, err := FromEnvironment()
	if err != nil {
		return err
	}
	kept := exec.Command("/bin/sh", "-c", `true 2>/dev/null >&3`).Run() == nil //nolint:noctx // it does nothing
	if err := json.NewEncoder(os.Stdout).Encode(kept); err != nil {
		return err
	}
	return s.Ready() // the channel has to live until here
}
