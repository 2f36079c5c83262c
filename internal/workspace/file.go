package workspace

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// maxTemplate is the size in bytes up to which a file can be a template.
const maxTemplate = 16 << 20

// job is one regular file to be rendered or copied.
type job struct {
	name string
	info fs.FileInfo
	raw  bool
}

// file makes one regular file of dst.
func (r *renderer) file(j job) error {
	in, err := r.src.Open(j.name)
	if err != nil {
		return fmt.Errorf("read %s: %w", shown(j.name), cause(err))
	}
	defer in.Close()
	if j.raw || r.o.Render == nil {
		return r.copy(j, in)
	}
	if j.info.Size() > maxTemplate {
		return r.large(j, in)
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", shown(j.name), cause(err))
	}
	mode := j.info.Mode().Perm()
	if !isText(text) || !hasTags(text) {
		if r.hardLink(j) {
			return nil
		}
		return r.write(j.name, mode, bytes.NewReader(text))
	}
	rendered, private, err := r.render(j.name, string(text))
	if err != nil {
		return err
	}
	if private {
		mode &= 0o700
	}
	return r.write(j.name, mode, strings.NewReader(rendered))
}

func isText(b []byte) bool { return bytes.IndexByte(b, 0) < 0 && utf8.Valid(b) }

// hasTags reports whether a template could differ from its rendered text.
func hasTags(b []byte) bool {
	return bytes.Contains(b, []byte("{{")) || bytes.Contains(b, []byte("{%")) || bytes.Contains(b, []byte("{#"))
}

// render renders a template with its line ends kept: Jinja makes LF of all of them.
func (r *renderer) render(name, text string) (out string, private bool, err error) {
	out, private, err = r.o.Render(shown(name), text)
	if err != nil {
		return "", false, r.templateError(name, err)
	}
	if n := strings.Count(text, "\n"); n > 0 && n == strings.Count(text, "\r\n") {
		out = strings.ReplaceAll(strings.ReplaceAll(out, "\r\n", "\n"), "\n", "\r\n")
	}
	return out, private, nil
}

func (r *renderer) templateError(name string, err error) error {
	where := ""
	if !strings.Contains(err.Error(), shown(name)) {
		where = shown(name) + ": "
	}
	return fmt.Errorf("%s%w\n  to copy it as it is, put this in project.yml: %s", where, err, wayOut(name))
}

// CopyAsItIs returns the setting of project.yml that makes a file, "files/...", no template.
func CopyAsItIs(name string) string { return wayOut(strings.TrimPrefix(name, filesName+"/")) }

// wayOut returns the setting that makes name a file to be copied: its whole top folder, since a file that is no
// template of ours seldom comes alone.
func wayOut(name string) string {
	top, _, nested := strings.Cut(name, "/")
	if nested {
		top += "/**"
	}
	return fmt.Sprintf("files: {raw: [%q]}", top)
}

// large copies a file that is too large for a template, unless it is one.
func (r *renderer) large(j job, in *os.File) error {
	template, err := largeTemplate(in)
	if err != nil {
		return fmt.Errorf("read %s: %w", shown(j.name), cause(err))
	}
	if template {
		return fmt.Errorf("%s: a template of %d MiB is too large (limit: %d MiB)\n  to copy it as it is, put this in project.yml: %s",
			shown(j.name), j.info.Size()>>20, maxTemplate>>20, wayOut(j.name))
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read %s: %w", shown(j.name), cause(err))
	}
	return r.copy(j, in)
}

// largeTemplate reports whether a file is text with tags, reading it piece by piece.
func largeTemplate(in io.Reader) (bool, error) {
	const size = 64 << 10
	buf := make([]byte, 0, size)
	tags := false
	for {
		n, err := io.ReadFull(in, buf[len(buf):size])
		buf = buf[:len(buf)+n]
		last := err == io.EOF || err == io.ErrUnexpectedEOF
		if err != nil && !last {
			return false, err
		}
		text := buf
		if !last {
			text = buf[:len(buf)-partial(buf)]
		}
		if !isText(text) {
			return false, nil
		}
		tags = tags || hasTags(buf)
		if last {
			return tags, nil
		}
		// A tag or a character may go on in the next piece.
		keep := len(buf) - len(text)
		if buf[len(buf)-1] == '{' {
			keep = 1
		}
		buf = append(buf[:0], buf[len(buf)-keep:]...)
	}
}

// partial returns how many bytes at the end of b are an unfinished character.
func partial(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if utf8.FullRune(b[len(b)-n:]) {
				return 0
			}
			return n
		}
	}
	return 0
}

// hardLink reports whether the file has become a link to that of the project.
func (r *renderer) hardLink(j job) bool {
	return r.o.Link && os.Link(filepath.Join(r.src.Name(), j.name), filepath.Join(r.dst.Name(), j.name)) == nil
}

func (r *renderer) copy(j job, in io.Reader) error {
	if r.hardLink(j) {
		return nil
	}
	return r.write(j.name, j.info.Mode().Perm(), in)
}

// write makes a file of dst. Nobody but the owner can read it before it is complete.
func (r *renderer) write(name string, mode fs.FileMode, content io.Reader) error {
	out, err := r.dst.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", shown(name), cause(err))
	}
	_, err = io.Copy(out, content)
	if err == nil {
		err = out.Chmod(mode)
	}
	if closeErr := out.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", shown(name), cause(err))
	}
	return nil
}
