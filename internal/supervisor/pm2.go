package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// openPM2Channel returns the channel to PM2, or nil. Node gives its children a socket on
// which each line is a JSON value; with wait_ready, PM2 waits there for "ready".
func openPM2Channel() *os.File {
	if os.Getenv("pm_id") == "" {
		return nil
	}
	fd, err := strconv.Atoi(os.Getenv("NODE_CHANNEL_FD"))
	if err != nil || fd < 3 {
		return nil
	}
	syscall.CloseOnExec(fd)
	return os.NewFile(uintptr(fd), "pm2")
}

func (s *Supervisor) notifyPM2(word string) error {
	if s.channel == nil {
		return nil
	}
	line, err := json.Marshal(word)
	if err != nil {
		return err
	}
	if _, err := s.channel.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("tell PM2 %s: %w", word, err)
	}
	return nil
}
