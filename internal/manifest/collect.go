package manifest

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"runtime"
	"slices"
	"sync"

	"github.com/revision-router/revision-router/routing"
)

// CollectOptions says how objects are read.
type CollectOptions struct {
	// Namespace is that of namespaced objects that name none; empty means "default".
	Namespace string
	// Purpose is what the objects are for.
	Purpose Purpose
	// Precedence flags the namespaces in which a pod's label beats that of the namespace.
	Precedence routing.Precedence
	// Live: the objects come from a running cluster, so that only what its operator has done counts. Otherwise
	// they are declarations, and stand for what the operator would make of them: see [Read].
	Live bool
	// Fields: the lines of fields are kept, for [Object.FieldLine].
	Fields bool
}

// Collector parses objects from any number of streams with all processors, holding no more of the text than is
// being parsed at the moment, and a list that is in one piece. Its methods are for one goroutine.
type Collector struct {
	options CollectOptions
	kinds   map[groupKind]kind
	jobs    chan job
	workers sync.WaitGroup

	// others: objects of other kinds are kept as well, by their name.
	others bool
	// order numbers the units in the order of reading.
	order  int
	buffer *bufio.Reader

	mu  sync.Mutex
	all result
}

// NewCollector starts the workers. They end with [Collector.Finish], which has to be called.
func NewCollector(o CollectOptions) *Collector { return newCollector(o, false) }

func newCollector(o CollectOptions, others bool) *Collector {
	o.Namespace = cmp.Or(o.Namespace, "default")
	c := &Collector{options: o, others: others, kinds: map[groupKind]kind{}, jobs: make(chan job)}
	c.buffer = bufio.NewReaderSize(nil, readBuffer)
	for _, k := range kindsFor(o.Purpose) {
		c.kinds[groupKind{k.group, k.name}] = k.kind
	}
	for range runtime.GOMAXPROCS(0) {
		c.workers.Go(c.work)
	}
	return c
}

// Add reads a stream to its end. name stands for it in messages. What is wrong with the stream is kept for
// Finish; the error is that of ctx.
func (c *Collector) Add(ctx context.Context, name string, in io.Reader) error {
	err := split(in, c.buffer, sizeOf(in), func(u unit) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.dispatch(name, u)
		return nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var at *positioned
	switch {
	case errors.As(err, &at):
		c.Fail(name, at.line, at.text)
	case err != nil:
		c.Fail(name, 0, err.Error())
	}
	return nil
}

// sizeOf returns the size of a file, and 0 for what has none.
func sizeOf(in io.Reader) int64 {
	file, ok := in.(interface{ Stat() (fs.FileInfo, error) })
	if !ok {
		return 0
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0
	}
	return info.Size()
}

// Fail records a mistake, or a file that cannot be read at all: its line is then 0.
func (c *Collector) Fail(name string, line int, text string) {
	c.order++
	c.commit(result{errs: []*Error{{File: name, Line: line, Text: text, order: c.order}}})
}

// Warn records what is worth saying and no mistake.
func (c *Collector) Warn(text string) {
	c.order++
	c.commit(result{warnings: []note{{c.order, text}}})
}

// Finish waits until everything is parsed. The error is of type [Errors].
func (c *Collector) Finish() (*Set, error) {
	set, err := c.finish()
	if err != nil {
		return nil, err
	}
	set.Objects = arrange(set.Objects)
	set.purpose = c.options.Purpose
	if c.options.Purpose == ForSkew {
		set.assembleSkew()
	} else {
		set.assemble(c.options.Live)
	}
	return set, nil
}

// finish returns the objects in any order.
func (c *Collector) finish() (*Set, error) {
	close(c.jobs)
	c.workers.Wait()
	if len(c.all.errs) > 0 {
		errs := Errors(c.all.errs)
		errs.sort()
		return nil, errs
	}
	slices.SortStableFunc(c.all.warnings, func(a, b note) int { return cmp.Compare(a.order, b.order) })
	set := &Set{Objects: c.all.objects}
	for _, w := range c.all.warnings {
		set.Warnings = append(set.Warnings, w.text)
	}
	return set, nil
}

func (c *Collector) commit(r result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all.add(r)
}

func (r *result) add(other result) {
	r.objects = append(r.objects, other.objects...)
	r.errs = append(r.errs, other.errs...)
	r.warnings = append(r.warnings, other.warnings...)
}

// dispatch hands a unit to the workers: as a whole, or where it is a long list, in pieces.
func (c *Collector) dispatch(name string, u unit) {
	if len(u.data) >= longList {
		if parts, ok := cutList(u); ok && c.dispatchParts(name, u, parts) {
			return
		}
		if !u.json && len(u.data) > maxWholeYAML {
			c.Fail(name, u.line, tooLongYAML)
			return
		}
	}
	c.order++
	c.jobs <- job{file: name, order: c.order, unit: u, done: c.commit}
}

// dispatchParts returns false where the pieces turned out not to be what the whole is.
func (c *Collector) dispatchParts(name string, u unit, parts *listParts) bool {
	var (
		mu      sync.Mutex
		pending sync.WaitGroup
		all     result
		broken  bool
	)
	for _, part := range parts.units {
		c.order++
		pending.Add(1)
		c.jobs <- job{file: name, order: c.order, unit: part, list: parts, done: func(r result) {
			defer pending.Done()
			mu.Lock()
			defer mu.Unlock()
			all.add(r)
			broken = broken || r.badYAML
		}}
	}
	pending.Wait()
	if broken && len(u.data) <= maxWholeYAML {
		return false
	}
	c.commit(all)
	return true
}

// job is one unit, or a piece of one, for a worker.
type job struct {
	file  string
	order int
	unit  unit
	// list is set where the unit is a piece of a list.
	list *listParts
	done func(result)
}

func (c *Collector) work() {
	d := &decoder{kinds: c.kinds, others: c.others, namespace: c.options.Namespace, precedence: c.options.Precedence, interned: map[string]string{}}
	if c.options.Fields {
		d.fields = newFieldFinder()
	}
	for j := range c.jobs {
		d.out = result{}
		d.job(j)
		j.done(d.out)
	}
}
