package observe

import (
	"fmt"
	"syscall"
)

// Disk is the disk of a directory, in bytes.
type Disk struct {
	Dir        string
	Free, Size uint64
}

// DiskSpace returns the disk of dir.
func DiskSpace(dir string) (Disk, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return Disk{}, fmt.Errorf("disk space of %s: %w", dir, err)
	}
	block := uint64(st.Bsize) //nolint:gosec // a size
	return Disk{Dir: dir, Free: st.Bavail * block, Size: st.Blocks * block}, nil
}

// Used is the used part, from 0 to 1.
func (d Disk) Used() float64 {
	if d.Size == 0 {
		return 0
	}
	return 1 - float64(d.Free)/float64(d.Size)
}
