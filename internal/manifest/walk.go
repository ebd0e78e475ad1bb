package manifest

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// chartFile makes a directory a Helm chart.
	chartFile = "Chart.yaml"
	// render is the way to the objects of a chart.
	render = "render it first, and read that from standard input: helm template "
)

// directory reads one directory, through an os.Root, which refuses every link that leads out of it.
type directory struct {
	*reader
	path string
	root *os.Root
	// found: something was read, or passed over and said so.
	found bool
}

func (d *directory) read() {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		d.fail(d.path, err)
		return
	}
	d.root = root
	defer func() { _ = root.Close() }()
	if d.isChart(".") {
		d.to.Fail(d.path, 0, "this directory is a Helm chart, whose templates are no objects yet; "+render+d.path)
		return
	}
	if err := fs.WalkDir(root.FS(), ".", d.visit); err != nil {
		d.fail(d.path, err)
		return
	}
	if !d.found && d.ctx.Err() == nil {
		d.to.Fail(d.path, 0, "this directory holds no file that ends in "+strings.Join(Extensions(), ", "))
	}
}

func (d *directory) visit(name string, entry fs.DirEntry, err error) error {
	full := filepath.Join(d.path, name)
	switch {
	case d.ctx.Err() != nil:
		return fs.SkipAll
	case err != nil:
		d.fail(full, err)
		return nil
	case name == ".":
		return nil
	case strings.HasPrefix(entry.Name(), "."), d.ignore.match(full):
		return skip(entry)
	case entry.IsDir() && d.isChart(name):
		d.found = true
		d.to.Warn(full + ": passed over: this is a Helm chart; " + render + full)
		return fs.SkipDir
	case entry.IsDir() || !slices.Contains(Extensions(), filepath.Ext(name)):
		return nil
	case slices.Contains([]string{"kustomization.yaml", "kustomization.yml"}, entry.Name()):
		d.found = true
		d.to.Warn(full + ": passed over: it tells kustomize what to build; to read what that is: kubectl kustomize " + filepath.Dir(full))
		return nil
	}
	d.found = true
	d.file(full, entry, name)
	return nil
}

// skip passes over a name, with all that is in it.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

func (d *directory) isChart(name string) bool {
	info, err := d.root.Stat(filepath.Join(name, chartFile))
	return err == nil && info.Mode().IsRegular()
}

func (d *directory) file(full string, entry fs.DirEntry, name string) {
	info, err := d.root.Stat(name)
	if err != nil {
		if entry.Type()&fs.ModeSymlink != 0 && exists(full) {
			d.to.Warn(full + ": passed over: this link leads out of the directory")
			return
		}
		d.fail(full, err)
		return
	}
	if !info.Mode().IsRegular() {
		// A link to a directory, or a pipe that would never end.
		return
	}
	f, err := d.root.Open(name)
	if err != nil {
		d.fail(full, err)
		return
	}
	d.stream(full, f)
	_ = f.Close() // it was only read
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
