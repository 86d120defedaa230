package supervisor

import (
	"io"
	"os"
	"syscall"
	"testing"
)

// TestNotifiesPM2 gives the program a channel as Node does.
func TestNotifiesPM2(t *testing.T) {
	t.Parallel()
	for what, tc := range map[string]struct {
		act       string
		env       []string
		says, out string
	}{
		"ready":          {"ready", []string{"pm_id=0", "NODE_CHANNEL_FD=3"}, "\"ready\"\n", ""},
		"not PM2":        {"ready", []string{"pm_id=", "NODE_CHANNEL_FD=3"}, "", ""},
		"no channel":     {"ready", []string{"pm_id=0", "NODE_CHANNEL_FD="}, "", ""},
		"standard error": {"ready", []string{"pm_id=0", "NODE_CHANNEL_FD=2"}, "", ""},
		"not inherited":  {"fd 3 is kept", []string{"pm_id=0", "NODE_CHANNEL_FD=3"}, "\"ready\"\n", "false\n"},
	} {
		ours, theirs := channel(t)
		out, err := supervised(t, tc.act, []*os.File{theirs}, append(tc.env, "NOTIFY_SOCKET=")...)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		theirs.Close()
		said, err := io.ReadAll(ours)
		if err != nil || string(said) != tc.says || out != tc.out {
			t.Errorf("%s: PM2 heard %q (%v), want %q; printed %q, want %q", what, said, err, tc.says, out, tc.out)
		}
	}
}

// TestLostPM2Channel: a lost channel is an error and has no other effect.
func TestLostPM2Channel(t *testing.T) {
	t.Parallel()
	ours, theirs := channel(t)
	// Close would not do: a process that another test starts has a copy of it until its
	// exec.
	if err := syscall.Shutdown(int(ours.Fd()), syscall.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	s := &Supervisor{channel: theirs}
	if err := s.notifyPM2("ready"); err == nil {
		t.Error("got no error")
	}
}

func channel(t *testing.T) (ours, theirs *os.File) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = os.NewFile(uintptr(fds[0]), "pm2"), os.NewFile(uintptr(fds[1]), "program")
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
	})
	return ours, theirs
}
