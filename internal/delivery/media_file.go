package delivery

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

var (
	// errFinal means that another attempt is of no use.
	errFinal = errors.New("cannot be fetched")
	// errMismatch means that the download is not the file that was sent; the next one may
	// be.
	errMismatch = errors.New("not as it should be")
	// errDisk means that our own disk failed.
	errDisk = errors.New("disk")

	hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// tempPrefix begins the names of unfinished files.
const tempPrefix = ".part-"

// savedFile is a file that is durable.
type savedFile struct {
	path   string // below Dir, with slashes
	sha256 string
	mime   string
	size   int64
}

// removeStale removes the unfinished files of a killed process.
func (m *Media) removeStale(now time.Time) error {
	if err := os.MkdirAll(m.opts.Dir, 0o750); err != nil {
		return fmt.Errorf("make media directory: %w", err)
	}
	parts, err := filepath.Glob(filepath.Join(m.opts.Dir, tempPrefix+"*"))
	if err != nil {
		return fmt.Errorf("list media directory: %w", err)
	}
	for _, part := range parts {
		info, err := os.Stat(part)
		if err == nil && now.Sub(info.ModTime()) > 2*m.opts.Lease {
			os.Remove(part)
		}
	}
	return nil
}

// existing finds a file that is already on disk: forwarded files come again and again, and
// a job may come again after its file was written.
func (m *Media) existing(digest, mime string) (savedFile, bool) {
	if !hexDigest.MatchString(digest) {
		return savedFile{}, false
	}
	found, err := filepath.Glob(filepath.Join(m.opts.Dir, digest[:2], digest+".*"))
	if err != nil || len(found) == 0 {
		return savedFile{}, false
	}
	info, err := os.Stat(found[0])
	if err != nil || !info.Mode().IsRegular() {
		return savedFile{}, false
	}
	name := filepath.Base(found[0])
	return savedFile{
		path: digest[:2] + "/" + name, sha256: digest, size: info.Size(),
		mime: mediaType(mime, nil, strings.TrimPrefix(filepath.Ext(name), ".")),
	}, true
}

// writeFile stores a stream under the hash of its content. It writes a temporary file,
// syncs it and renames it, so a visible file is complete. inline means that the stream is
// ours, so its errors are final.
func (m *Media) writeFile(r io.Reader, mime, want string, inline bool) (f savedFile, err error) {
	part, err := os.CreateTemp(m.opts.Dir, tempPrefix)
	if err != nil {
		return savedFile{}, diskError("create", err)
	}
	defer os.Remove(part.Name()) // no-op after the rename
	defer part.Close()

	hash, head := sha256.New(), &headBuffer{}
	disk := &diskWriter{w: part}
	size, err := io.Copy(io.MultiWriter(disk, hash, head), io.LimitReader(r, m.opts.MaxBytes+1))
	switch {
	case disk.err != nil:
		return savedFile{}, diskError("write", disk.err)
	case err != nil && inline:
		return savedFile{}, fmt.Errorf("%w: its base64 is broken", errFinal)
	case err != nil:
		return savedFile{}, fmt.Errorf("read media: %w", err)
	case size > m.opts.MaxBytes:
		return savedFile{}, m.tooLarge()
	case size == 0:
		return savedFile{}, fmt.Errorf("%w: it is empty", errMismatch)
	}
	f = savedFile{sha256: hex.EncodeToString(hash.Sum(nil)), size: size}
	if hexDigest.MatchString(want) && f.sha256 != want {
		if inline {
			return savedFile{}, fmt.Errorf("%w: its hash differs", errFinal)
		}
		return savedFile{}, fmt.Errorf("%w: its hash differs", errMismatch)
	}
	f.mime = mediaType(mime, head.bytes, "")
	f.path = f.sha256[:2] + "/" + f.sha256 + "." + extension(f.mime)
	if err := m.publish(part, filepath.Join(m.opts.Dir, filepath.FromSlash(f.path))); err != nil {
		return savedFile{}, err
	}
	return f, nil
}

// publish makes the file visible and durable.
func (m *Media) publish(part *os.File, path string) error {
	if err := part.Chmod(0o640); err != nil {
		return diskError("chmod", err)
	}
	if err := part.Sync(); err != nil {
		return diskError("sync", err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return diskError("make directory", err)
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return diskError("rename", err)
	}
	for _, d := range []string{dir, m.opts.Dir} {
		if err := syncDir(d); err != nil {
			return diskError("sync directory", err)
		}
	}
	return nil
}

func syncDir(path string) error {
	d, err := os.Open(path) //nolint:gosec // a directory of ours
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (m *Media) tooLarge() error {
	return fmt.Errorf("%w: larger than %d MB", errFinal, m.opts.MaxBytes>>20)
}

// diskError marks an error as our disk's, and removes the path.
func diskError(what string, err error) error {
	if p, ok := errors.AsType[*os.PathError](err); ok {
		err = p.Err
	} else if l, ok := errors.AsType[*os.LinkError](err); ok {
		err = l.Err
	}
	return fmt.Errorf("%w: %s: %w", errDisk, what, err)
}

// diskWriter tells our disk's errors from the stream's.
type diskWriter struct {
	w   io.Writer
	err error
}

func (d *diskWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	if err != nil {
		d.err = err
	}
	return n, err
}

// headBuffer keeps the first bytes, for sniffing.
type headBuffer struct{ bytes []byte }

func (b *headBuffer) Write(p []byte) (int, error) {
	if room := 512 - len(b.bytes); room > 0 {
		b.bytes = append(b.bytes, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// mediaType returns a file's MIME type: the declared one if we know it, else that of the
// content, else the declared one.
func mediaType(declared string, head []byte, ext string) string {
	declared = strings.ToLower(strings.TrimSpace(declared))
	base, _, _ := strings.Cut(declared, ";")
	base = strings.TrimSpace(base)
	if _, known := extensions[base]; known {
		return base
	}
	if ext != "" {
		var first string
		for mime, e := range extensions {
			if e == ext && (first == "" || mime < first) {
				first = mime
			}
		}
		if first != "" {
			return first
		}
	}
	if head != nil {
		sniffed, _, _ := strings.Cut(http.DetectContentType(head), ";")
		if _, known := extensions[sniffed]; known {
			return sniffed
		}
		if sniffed == "application/ogg" {
			return "audio/ogg"
		}
	}
	if base == "" {
		return "application/octet-stream"
	}
	return base
}

func extension(mime string) string {
	if e, ok := extensions[mime]; ok {
		return e
	}
	return "bin"
}

// extensions of the types that people send. Others become .bin: a name must never make a
// browser run a file.
var extensions = map[string]string{
	"image/jpeg": "jpg", "image/png": "png", "image/gif": "gif", "image/webp": "webp",
	"image/heic": "heic", "image/heif": "heif", "image/bmp": "bmp", "image/tiff": "tif",
	"audio/aac": "aac", "audio/amr": "amr", "audio/mpeg": "mp3", "audio/mp4": "m4a", "audio/ogg": "ogg",
	"audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/webm": "weba", "audio/flac": "flac", "audio/opus": "opus",
	"video/mp4": "mp4", "video/3gpp": "3gp", "video/quicktime": "mov", "video/webm": "webm", "video/x-matroska": "mkv", "video/avi": "avi",
	"application/pdf": "pdf", "text/plain": "txt", "text/csv": "csv", "text/vcard": "vcf", "text/x-vcard": "vcf", "text/calendar": "ics",
	"application/rtf": "rtf", "application/json": "json", "application/zip": "zip", "application/x-zip-compressed": "zip",
	"application/vnd.rar": "rar", "application/x-rar-compressed": "rar", "application/x-7z-compressed": "7z", "application/gzip": "gz", "application/x-gzip": "gz",
	"application/msword": "doc", "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.ms-excel": "xls", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	"application/vnd.ms-powerpoint": "ppt", "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
	"application/vnd.oasis.opendocument.text": "odt", "application/vnd.oasis.opendocument.spreadsheet": "ods",
	"application/epub+zip": "epub",
}
