package manifest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/revision-router/revision-router/routing"
)

// Stdin is the path that stands for standard input.
const Stdin = "-"

// Options says what to read.
type Options struct {
	// Paths are files, directories, or [Stdin], in the order in which they are read. Of a directory, all files
	// whose names end in one of [Extensions] are read, in order of their path, and those of its subdirectories.
	// Names that begin with a dot are passed over there, and links are followed only within the directory. So are Helm
	// charts, whose templates are no objects yet, and the files that tell kustomize what to build.
	Paths []string
	// Input is read for [Stdin].
	Input io.Reader
	// Namespace is that of namespaced objects that name none; empty means "default".
	Namespace string
	// Purpose is what the objects are for.
	Purpose Purpose
	// Precedence is that of [CollectOptions].
	Precedence routing.Precedence
	// Fields: the lines of fields are kept, for [Object.FieldLine].
	Fields bool
	// Ignore are patterns of what is passed over in directories: see [Ignore].
	Ignore Ignore
}

// Extensions are the ends of the names of files that are read from directories. A file that is named itself may
// be called anything.
func Extensions() []string { return []string{".yaml", ".yml", ".json", ".jsonl"} }

// Read reads manifests. Of objects of the same kind, namespace and name the last one counts, as if all had been
// applied in this order.
//
// Objects may come from a cluster, with a status, or from a repository, without. Where the status of an
// IstioRevisionTag or Istio is missing, the mesh of the set is what the Sail Operator would make of them, that is
// declared, and not necessarily running: an Istio stands for the revision that the operator would create for it,
// and a tag leads where its spec.targetRef says.
//
// The error is that of ctx, or of type [Errors] with everything that is wrong.
func Read(ctx context.Context, o Options) (*Set, error) {
	c := NewCollector(CollectOptions{Namespace: o.Namespace, Purpose: o.Purpose, Precedence: o.Precedence, Fields: o.Fields})
	readAll(ctx, o, c)
	set, err := c.Finish()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading manifests: %w", ctx.Err())
	}
	return set, err
}

// ReadChanges reads objects that are about to be written, [ForSkew]. The set holds them in the order in which they
// were read, one for each time that one is written, and objects of every kind: those that no mesh is made of have
// no Value. The set has no mesh of its own.
func ReadChanges(ctx context.Context, o Options) (*Set, error) {
	c := newCollector(CollectOptions{Namespace: o.Namespace, Purpose: ForSkew, Fields: o.Fields}, true)
	readAll(ctx, o, c)
	set, err := c.finish()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("reading manifests: %w", ctx.Err())
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(set.Objects, func(a, b Object) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.index, b.index))
	})
	set.skewProblems()
	return set, nil
}

func readAll(ctx context.Context, o Options, c *Collector) {
	r := reader{ctx: ctx, to: c, input: o.Input, ignore: o.Ignore}
	for _, path := range o.Paths {
		r.path(path)
	}
}

// reader finds the files.
type reader struct {
	ctx   context.Context //nolint:containedctx // lives as long as one call of Read
	to    *Collector
	input io.Reader
	// inputRead: standard input can be read only once.
	inputRead bool
	ignore    Ignore
}

func (r *reader) path(path string) {
	if r.ctx.Err() != nil {
		return
	}
	if path == Stdin {
		if r.inputRead || r.input == nil {
			r.to.Fail(path, 0, "standard input can be read only once")
			return
		}
		r.inputRead = true
		r.stream(path, interruptible(r.ctx, r.input))
		return
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.fail(path, err)
	case info.IsDir():
		d := directory{reader: r, path: path}
		d.read()
	default:
		f, err := os.Open(path)
		if err != nil {
			r.fail(path, err)
			return
		}
		r.stream(path, f)
		_ = f.Close() // it was only read
	}
}

// stream leaves cancellation to Read, which asks ctx itself.
func (r *reader) stream(name string, in io.Reader) {
	if err := r.to.Add(r.ctx, name, in); err != nil && r.ctx.Err() == nil {
		r.fail(name, err)
	}
}

// interruptible ends reading with ctx, even while it waits for somebody to type. What waits is left behind: nothing
// can end a read from a terminal, and the process is about to end.
func interruptible(ctx context.Context, in io.Reader) io.Reader {
	out, to := io.Pipe()
	stop := context.AfterFunc(ctx, func() { _ = out.CloseWithError(ctx.Err()) })
	go func() {
		defer stop()
		_, err := io.Copy(to, in)
		_ = to.CloseWithError(err) // nil means the end of the input
	}()
	return out
}

// fail drops the operation and path that the errors of package os repeat.
func (r *reader) fail(path string, err error) {
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	r.to.Fail(path, 0, "cannot be read: "+err.Error())
}
