package observe

import (
	"fmt"
	"syscall"
)

// Disk is the room that a directory has.
type Disk struct {
	Dir        string
	Free, Size uint64
}

// DiskSpace asks for it.
func DiskSpace(dir string) (Disk, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Disk{}, fmt.Errorf("room of %s: %w", dir, err)
	}
	block := uint64(st.Bsize) //nolint:gosec // a size
	return Disk{Dir: dir, Free: st.Bavail * block, Size: st.Blocks * block}, nil
}

// Used is the part that is taken, from 0 to 1.
func (d Disk) Used() float64 {
	if d.Size == 0 {
		return 0
	}
	return 1 - float64(d.Free)/float64(d.Size)
}
