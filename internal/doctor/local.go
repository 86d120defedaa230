package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/psivisionhub/psi-router/internal/config"
)

func (d *doctor) configuration() {
	var problems config.Problems
	switch {
	case errors.As(d.Problem, &problems):
		for _, p := range problems {
			text := p.Key
			if p.From != "" {
				text += " (" + p.From + ")"
			}
			d.broken(Configuration, text+" "+p.Reason, p.Fix)
		}
	case d.Problem != nil:
		d.broken(Configuration, d.errorText(d.Problem), "")
	}
	for _, note := range d.Config.Notes {
		text, fix, _ := strings.Cut(note, ": ")
		d.warn(Configuration, text, fix)
	}
	if d.Problem != nil {
		return
	}
	file := d.Config.File
	switch {
	case d.Config.Dev:
		d.warn(Configuration, d.say(noConfiguration), d.say(runInit))
		return
	case file == "":
		file = d.say(psiVariables)
	}
	d.ok(Configuration, configurationOK, file, strings.Join(d.Config.LineIDs(), ", "))
	if d.Config.Insecure {
		d.warn(Configuration, d.say(insecure), d.say(removeInsecure))
	}
}

func (d *doctor) flow() {
	if d.Flow == nil {
		return
	}
	name := d.Config.Flow
	if name == "" {
		name = d.say(builtInFlow)
	}
	if err := d.Flow(); err != nil {
		d.broken(Flow, d.errorText(err), d.say(checkFlow))
		return
	}
	d.ok(Flow, flowOK, name)
}

// publicSecrets are secrets published in the documentation.
var publicSecrets = []string{config.DevAppSecret, config.DevVerifyToken, "changeme", "change-me", "secret", "password", "xxx", "todo"}

func (d *doctor) secrets() {
	bad := false
	weak := func(key string, s config.Secret, minLength int) {
		for _, v := range s.Values() {
			switch {
			case slices.Contains(publicSecrets, strings.ToLower(v)):
				bad = true
				d.broken(Secrets, d.say(publicSecret, key), d.say(chooseSecret))
			case len(v) < minLength:
				bad = true
				d.warn(Secrets, d.say(shortSecret, key, len(v)), d.say(copiedWhole))
			}
		}
	}
	for _, id := range d.Config.LineIDs() {
		if d.Config.Sandbox && id == config.DevLine {
			continue
		}
		l := d.Config.Lines[id]
		for _, s := range []struct {
			key   string
			value config.Secret
			least int
		}{
			{"app_secret", l.AppSecret, 32},
			{"token", l.Token, 32},
			{"verify_token", l.VerifyToken, 8},
			{"secret", l.Secret, 16},
			{"api_key", l.APIKey, 8},
		} {
			weak("lines."+id+"."+s.key, s.value, s.least)
		}
	}
	for _, file := range d.Files {
		info, err := os.Stat(file)
		if err != nil {
			continue // reported with the configuration
		}
		// A file of secrets is for its owner only; the configuration may be for a group.
		most, mode := fs.FileMode(0o077), "600"
		if file == d.Config.File {
			most, mode = 0o007, "640"
		}
		if info.Mode().Perm()&most != 0 {
			bad = true
			d.warn(Secrets, d.say(readableByOthers, file, info.Mode().Perm()), "chmod "+mode+" "+file)
		}
	}
	if !bad && d.Problem == nil {
		d.ok(Secrets, secretsOK)
	}
}

const (
	mega            = 1 << 20
	freeBrokenBelow = 200 * mega
	freeWarnBelow   = 2048 * mega
)

func (d *doctor) disk() {
	dir := d.Config.DataDir
	info, err := os.Stat(dir)
	place := dir
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if place, err = nearestDir(dir); err != nil {
			d.broken(Disk, d.errorText(err), "")
			return
		}
		if !writable(place) {
			d.broken(Disk, d.say(cannotCreateDir, dir, place), d.say(createDir)+"install -d -m 0700 -o psi-router "+dir)
			return
		}
		d.ok(Disk, dirAtStart, dir)
	case err != nil:
		d.broken(Disk, d.errorText(err), d.say(runAsUser))
		return
	case !info.IsDir():
		d.broken(Disk, d.say(notDirectory, dir), d.say(chooseAnother))
		return
	case !writable(dir):
		d.broken(Disk, d.say(notWritable, dir), d.say(giveDir)+"chown psi-router "+dir)
		return
	case info.Mode().Perm()&0o007 != 0:
		d.warn(Disk, d.say(openDir, dir, info.Mode().Perm()), "chmod 700 "+dir)
	default:
		d.ok(Disk, dataDir, dir)
	}
	d.freeSpace(place)
	d.store()
}

// freeSpace checks the free space.
func (d *doctor) freeSpace(place string) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(place, &s); err != nil {
		d.warn(Disk, d.errorText(err), "")
		return
	}
	free := s.Bavail * uint64(s.Bsize) //nolint:gosec // a block is not negative
	text := d.say(spaceLeft, formatSize(free))
	fix := d.say(makeRoom)
	switch {
	case free < freeBrokenBelow:
		d.broken(Disk, text, fix)
	case free < freeWarnBelow || s.Files > 0 && s.Ffree*20 < s.Files:
		d.warn(Disk, text, fix)
	default:
		d.add(Disk, OK, text, "")
	}
}

// store checks the embedded file without opening it: it belongs to the router.
func (d *doctor) store() {
	if !d.Config.DatabaseURL.Empty() {
		return
	}
	info, err := os.Stat(filepath.Join(d.Config.DataDir, "store.db"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.ok(Store, sqliteEmpty)
	case err != nil:
		d.broken(Store, d.errorText(err), d.say(runAsUser))
	default:
		d.ok(Store, sqliteSize, formatSize(uint64(info.Size()))) //nolint:gosec // not negative
	}
}

// nearestDir returns the nearest existing directory above dir.
func nearestDir(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	for err == nil {
		dir = filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil || dir == "/" {
			return dir, nil
		}
	}
	return "", err
}

// Writable returns why a directory, which may not exist yet, cannot be used.
func Writable(dir string) error {
	place := dir
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if place, err = nearestDir(dir); err == nil {
			info, err = os.Stat(place)
		}
	}
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s: %w", place, syscall.ENOTDIR)
	case !writable(place):
		return fmt.Errorf("%s: %w", place, fs.ErrPermission)
	}
	return nil
}

// writable asks the system, which changes nothing.
func writable(dir string) bool {
	const write, enter = 2, 1
	return syscall.Access(dir, write|enter) == nil
}

func formatSize(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= mega:
		return fmt.Sprintf("%.0f MiB", float64(n)/mega)
	default:
		return fmt.Sprintf("%d KiB", n>>10)
	}
}

// Differences between clocks: small ones are normal, large ones make messages stale.
const (
	clockWarnAt   = 2 * time.Second
	clockBrokenAt = time.Minute
)

func (d *doctor) clock() {
	for _, c := range d.clocks {
		off := c.ahead.Round(time.Millisecond)
		text := d.say(clockDiffers, c.server, off)
		fix := d.say(syncClocks)
		switch {
		case off.Abs() > clockBrokenAt:
			d.broken(Clock, text, fix)
		case off.Abs() > clockWarnAt:
			d.warn(Clock, text, fix)
		default:
			d.ok(Clock, clockAgrees, c.server)
		}
	}
	if len(d.clocks) == 0 {
		now := time.Now()
		if built := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); now.Before(built) {
			d.broken(Clock, d.say(clockSays, now.Format(time.RFC3339)), "timedatectl set-ntp true")
			return
		}
		d.ok(Clock, clockAlone, now.In(d.Config.Location()).Format("2006-01-02 15:04:05 -0700"))
	}
}
