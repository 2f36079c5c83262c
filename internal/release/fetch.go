package release

import (
	"bufio"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/handoff-run/handoff/internal/cloud"
)

// Fetch writes a release as a project folder (project.yml, files/) to dir, and returns what it consists of; name is as in
// Resolve. dir is replaced as a whole, when all of the release has arrived and was found right; its parent must exist.
// The files are not flushed to disk.
func (s *Store) Fetch(ctx context.Context, name, dir string) (*Manifest, error) {
	m, err := s.fetch(ctx, name, dir)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	return m, nil
}

func (s *Store) fetch(ctx context.Context, name, dir string) (*Manifest, error) {
	data, m, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "fetch-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	fresh := filepath.Join(temp, "new")
	if err := s.extract(ctx, data, m, fresh); err != nil {
		return nil, err
	}
	return m, replace(fresh, dir, filepath.Join(temp, "old"))
}

// replace puts fresh in the place of dir, which becomes old. Of several at a time all succeed.
func replace(fresh, dir, old string) error {
	for try := 0; ; try++ {
		err := os.Rename(fresh, dir)
		full := errors.Is(err, unix.ENOTEMPTY) || errors.Is(err, unix.EEXIST)
		if !full || try == 50 {
			return err
		}
		if err := exchange(fresh, dir, old); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
}

// extract makes the folder.
func (s *Store) extract(ctx context.Context, data string, m *Manifest, dir string) error {
	if err := makeFolders(m.Entries, dir); err != nil {
		return err
	}
	if err := s.contents(ctx, data, m.Entries, dir); err != nil {
		return err
	}
	for i := range m.Entries { // last, so that nothing can be written through a link
		if e := &m.Entries[i]; e.Link != "" {
			if err := os.Symlink(e.Link, filepath.Join(dir, e.Path)); err != nil {
				return err
			}
		}
	}
	return nil
}

func makeFolders(entries []Entry, dir string) error {
	made := map[string]bool{}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	for i := range entries {
		folder := entries[i].Path
		if !entries[i].Dir {
			folder = filepath.Dir(folder)
		}
		if !made[folder] {
			made[folder] = true
			if err := os.MkdirAll(filepath.Join(dir, folder), 0o777); err != nil {
				return err
			}
		}
	}
	return nil
}

// writers is how many files are written at a time.
const writers = 4

// contents writes all files, blob by blob: every blob is read once, several at a time.
func (s *Store) contents(ctx context.Context, data string, entries []Entry, dir string) error {
	work, inner := errgroup.WithContext(ctx)
	work.SetLimit(writers)
	x := &extractor{dir: dir, work: work}
	err := cloud.Each(inner, min(uploads, s.cloud.Parallel), byBlob(entries), func(ctx context.Context, group []*Entry) error {
		return s.blob(ctx, data, group, x)
	})
	return cmp.Or(err, work.Wait(), context.Cause(ctx))
}

// byBlob returns the files that lie in one blob, in the order in which they lie there.
func byBlob(entries []Entry) [][]*Entry {
	var files []*Entry
	for i := range entries {
		if entries[i].isFile() {
			files = append(files, &entries[i])
		}
	}
	slices.SortStableFunc(files, func(a, b *Entry) int {
		return cmp.Or(cmp.Compare(a.Blob, b.Blob), cmp.Compare(a.Offset, b.Offset))
	})
	var out [][]*Entry
	for start, i := 0, 1; i <= len(files); i++ {
		if i == len(files) || files[i].Blob != files[start].Blob {
			out = append(out, files[start:i])
			start = i
		}
	}
	return out
}

// blob reads what is needed of one blob and gives its contents away to be written.
func (s *Store) blob(ctx context.Context, data string, files []*Entry, x *extractor) error {
	if files[0].Blob == "" { // empty files
		for _, e := range files {
			x.work.Go(func() error { return x.write(e, nil) })
		}
		return nil
	}
	first, last := files[0], files[len(files)-1]
	part := cloud.GetOptions{Offset: first.Offset, Length: last.Offset + last.Size - first.Offset}
	body, _, err := s.cloud.Files.Get(ctx, s.blobKey(data, first.Blob), part)
	if err != nil {
		return lost(err)
	}
	err = x.blob(bufio.NewReaderSize(body, 256<<10), files)
	return errors.Join(err, body.Close())
}

// lost says what to do where the bucket has not what it should have.
func lost(err error) error {
	if errors.Is(err, cloud.ErrNotFound) || errors.Is(err, cloud.ErrCorrupt) {
		return cloud.WithHint(err, "the bucket has lost a part of this release: handoff project push --force, from the same files, repairs it")
	}
	return err
}

// File returns the content of one file of a release; name is as in Resolve. ErrNotFound: the release has no such file.
func (s *Store) File(ctx context.Context, name, path string) ([]byte, error) {
	data, m, err := s.find(ctx, name)
	if err != nil {
		return nil, err
	}
	for i := range m.Entries {
		if e := &m.Entries[i]; e.Path == path && e.isFile() {
			return s.content(ctx, data, e)
		}
	}
	return nil, fmt.Errorf("%s in release %s: %w", path, Short(m.Release), cloud.ErrNotFound)
}

// content reads the content of one file.
func (s *Store) content(ctx context.Context, data string, e *Entry) ([]byte, error) {
	if e.Size == 0 {
		return nil, nil
	}
	if e.Size > maxList {
		return nil, fmt.Errorf("%s: %w: too large to be read as a whole", e.Path, cloud.ErrInvalid)
	}
	body, _, err := s.cloud.Files.Get(ctx, s.blobKey(data, e.Blob), cloud.GetOptions{Offset: e.Offset, Length: e.Size})
	if err != nil {
		return nil, lost(err)
	}
	defer body.Close() // read only
	text := make([]byte, e.Size)
	if _, err := io.ReadFull(body, text); err != nil {
		return nil, failed(e, err)
	}
	if !fits(text, e) {
		return nil, wrong(e)
	}
	return text, nil
}

func fits(text []byte, e *Entry) bool {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]) == e.SHA256
}

// extractor writes the files of one folder.
type extractor struct {
	dir  string
	work *errgroup.Group // writes small files
}

// blob reads files from in, which begins where the first of them does; files that have the same content lie at the same place.
func (x *extractor) blob(in io.Reader, files []*Entry) error {
	at := files[0].Offset
	for i := 0; i < len(files); {
		e := files[i]
		same := files[i:]
		for j := range same {
			if same[j].Offset != e.Offset || same[j].SHA256 != e.SHA256 {
				same = same[:j]
				break
			}
		}
		i += len(same)
		if e.Offset < at {
			return lost(fmt.Errorf("%s: %w: contents overlap in their blob", e.Path, cloud.ErrCorrupt))
		}
		if _, err := io.CopyN(io.Discard, in, e.Offset-at); err != nil {
			return failed(e, err)
		}
		if err := x.content(in, same); err != nil {
			return failed(e, err)
		}
		at = e.Offset + e.Size
	}
	return nil
}

func failed(e *Entry, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = lost(fmt.Errorf("%w: the blob ends too early", cloud.ErrCorrupt))
	}
	return fmt.Errorf("%s: %w", e.Path, err)
}

// content takes the next content from in, for one or more files.
func (x *extractor) content(in io.Reader, files []*Entry) error {
	e := files[0]
	if e.Size > largest {
		return x.large(in, files)
	}
	text := make([]byte, e.Size)
	if _, err := io.ReadFull(in, text); err != nil {
		return err
	}
	for _, e := range files {
		x.work.Go(func() error { return x.write(e, text) })
	}
	return nil
}

// write makes a small file.
func (x *extractor) write(e *Entry, text []byte) error {
	if !fits(text, e) {
		return wrong(e)
	}
	f, err := x.create(e)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

func wrong(e *Entry) error {
	return lost(fmt.Errorf("%s: %w: the content does not fit its hash", e.Path, cloud.ErrCorrupt))
}

func (x *extractor) create(e *Entry) (*os.File, error) {
	return os.OpenFile(filepath.Join(x.dir, e.Path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, e.permissions())
}

// large makes the same large file in all its places, piece by piece.
func (x *extractor) large(in io.Reader, files []*Entry) error {
	h := sha256.New()
	outs := []io.Writer{h}
	for _, e := range files {
		f, err := x.create(e)
		if err != nil {
			return err
		}
		defer f.Close() // a failed write shows in io.CopyN
		outs = append(outs, f)
	}
	if _, err := io.CopyN(io.MultiWriter(outs...), in, files[0].Size); err != nil {
		return err
	}
	if hex.EncodeToString(h.Sum(nil)) != files[0].SHA256 {
		return wrong(files[0])
	}
	return nil
}
