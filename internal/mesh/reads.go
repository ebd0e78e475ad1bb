package mesh

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"

	"github.com/revision-router/revision-router/routing"
)

// reads are the live reads of namespaces. For each name at most one request is under way. A call that comes
// meanwhile must not share its answer, which may be older than the call, and the call is made because something
// newer is known to exist; all such calls share the next request.
type reads struct {
	get     func(ctx context.Context, name string) (routing.Namespace, error)
	timeout time.Duration
	// slots bounds how many requests are under way for all names.
	slots chan struct{}

	mu sync.Mutex
	// running is under way, waiting begins when it is done. There is none waiting without one running.
	running, waiting map[string]*read
}

// read is one request and its answer, which is there once done is closed.
type read struct {
	done      chan struct{}
	namespace routing.Namespace
	err       error
}

func newReads(
	o Options, namespaces metadata.Getter, convert func(*metav1.PartialObjectMetadata) counts[routing.Namespace],
) *reads {
	return &reads{
		timeout: o.ReadTimeout,
		slots:   make(chan struct{}, o.ReadLimit),
		running: map[string]*read{},
		waiting: map[string]*read{},
		get: func(ctx context.Context, name string) (routing.Namespace, error) {
			object, err := namespaces.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return routing.Namespace{}, err
			}
			return convert(object).value, nil
		},
	}
}

func (r *reads) namespace(ctx context.Context, name string) (routing.Namespace, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	joined := r.join(ctx, name)
	select {
	case <-joined.done:
	case <-ctx.Done():
		return routing.Namespace{}, fmt.Errorf("read namespace %q from the API server: %w", name, ctx.Err())
	}
	if joined.err != nil {
		return routing.Namespace{}, fmt.Errorf("read namespace %q from the API server: %w", name, joined.err)
	}
	return joined.namespace, nil
}

// join returns the next request for the name that has not begun.
func (r *reads) join(ctx context.Context, name string) *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	if next := r.waiting[name]; next != nil {
		return next
	}
	next := &read{done: make(chan struct{})}
	if r.running[name] != nil {
		r.waiting[name] = next
		return next
	}
	r.running[name] = next
	// The request outlives the call that began it, since others may share it.
	go r.run(context.WithoutCancel(ctx), name)
	return next
}

// run makes requests for the name until nobody waits for another one.
func (r *reads) run(ctx context.Context, name string) {
	r.mu.Lock()
	next := r.running[name]
	r.mu.Unlock()
	for next != nil {
		next.namespace, next.err = r.request(ctx, name)
		close(next.done)
		next = r.following(name)
	}
}

// following moves the waiting request up.
func (r *reads) following(name string) *read {
	r.mu.Lock()
	defer r.mu.Unlock()
	next := r.waiting[name]
	delete(r.waiting, name)
	if next == nil {
		delete(r.running, name)
		return nil
	}
	r.running[name] = next
	return next
}

func (r *reads) request(ctx context.Context, name string) (routing.Namespace, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		return routing.Namespace{}, fmt.Errorf("%d reads are under way: %w", cap(r.slots), ctx.Err())
	}
	defer func() { <-r.slots }()
	return r.get(ctx, name)
}
