package workspace

import "errors"

// ErrEditable says that what was installed goes on reading the folder from which it was.
var ErrEditable = errors.New("an editable install goes on reading the folder from which it was made, which an image does not have")

// LayerKey names what the installs of a virtual environment would make with one given Python: it knows their commands and the content of
// all that they name. It is "" where nobody can tell whether that has changed. files/ is rendered.
func (w *Workspace) LayerKey(o InstallOptions, venv string) (string, error) {
	i := w.installer(o)
	parts := []string{"1", venv}
	for _, in := range o.Installs {
		if in.Venv != venv {
			continue
		}
		n := i.named(in.Command)
		if n.editable {
			return "", ErrEditable
		}
		if !n.sure {
			return "", nil
		}
		parts = append(parts, in.Command, n.sum())
	}
	return hashOf(parts...)[:32], nil
}
