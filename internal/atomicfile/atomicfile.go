// Package atomicfile replaces small files as a whole: whoever reads one sees its old content or its new one, whenever the writer
// is killed; and reads them where a program may have put something else in their place. It knows nothing of what is in them. Of
// two writers of a file at a time, one would write into the file of the other: callers see to it that there is one.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Open opens a file for reading. Anything else at path, such as a named pipe, is an error and no wait for its writer.
func Open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no file", path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Read returns the content of the file at path, as Open finds it.
func Read(path string) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // read only
	return io.ReadAll(f)
}

// Write replaces the file at path. After a crash of the machine it may have its old content, or, on some file systems, none: this
// is for what can be made again. mode is that of a new file. Errors name the file, not what was being done.
func Write(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, false)
}

// WriteDurable is Write for what has to outlive a crash of the machine: it returns when file and folder are on the disk.
func WriteDurable(path string, content []byte, mode fs.FileMode) error {
	return write(path, content, mode, true)
}

func write(path string, content []byte, mode fs.FileMode, durable bool) error {
	temp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	err := fill(temp, content, mode, durable)
	if errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.ELOOP) { // a program has put a named pipe or a link there
		_ = os.Remove(temp)
		err = fill(temp, content, mode, durable)
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		_ = os.Remove(temp) // a part of a file would only take room
		return err
	}
	if durable {
		return syncDir(filepath.Dir(path))
	}
	return nil
}

func fill(path string, content []byte, mode fs.FileMode, durable bool) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|syscall.O_NONBLOCK|syscall.O_NOFOLLOW, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil && durable {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed meanwhile, with the file
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
