package workspace

import (
	"io/fs"
	"path"
)

// Templates calls visit with every text of files/ of a project that is a template. raw are the globs of what is none. A
// file that cannot be read is left out: Render says what is wrong with it.
func Templates(project string, raw []string, visit func(name, text string)) error {
	src, err := openFiles(project)
	if src == nil {
		return err
	}
	defer src.Close()
	r := &renderer{src: src}
	if err := r.parseRaw(raw); err != nil {
		return err
	}
	files := src.FS()
	return fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case left(path.Base(name)) && d != nil && d.IsDir():
			return fs.SkipDir
		case err != nil || !d.Type().IsRegular() || left(d.Name()) || r.isRaw(name):
			return nil
		}
		if info, err := d.Info(); err != nil || info.Size() > maxTemplate {
			return nil // it is gone, or no template
		}
		text, err := fs.ReadFile(files, name)
		if err == nil && isText(text) && hasTags(text) {
			visit(shown(name), string(text))
		}
		return nil
	})
}
