package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/routing"
)

// MeshSource holds the current snapshot of the mesh, nil before the first.
type MeshSource interface {
	Mesh() *routing.Mesh
}

// NamespaceGetter reads one namespace from the API server, past every cache. It is asked only where the snapshot
// cannot be right, has to bound the time it takes, and returns apimachinery's NotFound for a namespace that the
// API server does not have.
type NamespaceGetter interface {
	Namespace(ctx context.Context, name string) (routing.Namespace, error)
}

// PodRouterOptions are what a [PodRouter] needs. All but Log, Notify and Forwarding are required.
type PodRouterOptions struct {
	Meshes     MeshSource
	Namespaces NamespaceGetter
	// Policy is asked once a request, so that it can change while the router runs.
	Policy   func() routing.Policy
	Recorder Recorder
	Log      logr.Logger
	// Now is the clock that requests are timed with.
	Now func() time.Time
	// Notify is told what people should notice. It is called on the hot path and must not block; nil tells nobody.
	Notify func(PodNotice)
	// Forwarding is for forward mode. Where it is the zero value, no pod is admitted that would have to be forwarded.
	Forwarding Forwarding
}

// Validate names what is missing.
func (o PodRouterOptions) Validate() error {
	var errs []error
	missing := func(is bool, what string) {
		if is {
			errs = append(errs, fmt.Errorf("pod router: option %s is missing", what))
		}
	}
	missing(o.Meshes == nil, "Meshes")
	missing(o.Namespaces == nil, "Namespaces")
	missing(o.Policy == nil, "Policy")
	missing(o.Recorder == nil, "Recorder")
	missing(o.Now == nil, "Now")
	if f := o.Forwarding; f != (Forwarding{}) {
		missing(f.Client == nil, "Forwarding.Client")
		missing(f.Injectors == nil, "Forwarding.Injectors")
		missing(f.Recorder == nil, "Forwarding.Recorder")
	}
	return errors.Join(errs...)
}

// PodRouter decides about pods that are being created. In guard mode istiod's own webhooks inject them afterwards:
// the router refuses those that would silently get no sidecar, and records on the others where they belong.
type PodRouter struct {
	options   PodRouterOptions
	exchanges sync.Pool // of *exchange
	// jsonHeader is shared by all replies, and changed by none.
	jsonHeader []string
	waiting    *waiting
}

// NewPodRouter returns a router with options that [PodRouterOptions.Validate] accepts.
func NewPodRouter(o PodRouterOptions) *PodRouter {
	if o.Forwarding == (Forwarding{}) {
		o.Forwarding = Forwarding{Client: nowhere{}, Injectors: nowhere{}, Recorder: nowhere{}}
	}
	return &PodRouter{options: o, jsonHeader: []string{contentType}, waiting: newWaiting()}
}

// Registrar is the part of controller-runtime's webhook.Server that handlers are registered with.
type Registrar interface {
	Register(path string, hook http.Handler)
}

// Register serves all [Entries]. One that the cluster has no configuration for is never called.
func (r *PodRouter) Register(server Registrar) {
	for _, e := range Entries() {
		server.Register(e.Path, r.Handler(e))
	}
}

// Handler returns the handler of one entry.
func (r *PodRouter) Handler(e Entry) http.Handler {
	return &podHandler{PodRouterOptions: r.options, router: r, entry: e}
}

// exchange is the memory of one request. It is used again by later requests, so that nothing in it, and nothing
// that points into it, may outlive the call.
type exchange struct {
	began  time.Time
	body   []byte
	review podReview
	answer []byte // of the injector, in forward mode
	patch  []byte
	reply  []byte
}

// exchange returns memory for one request.
func (r *PodRouter) exchange() *exchange {
	if x, ok := r.exchanges.Get().(*exchange); ok {
		return x
	}
	return new(exchange)
}

// release takes the memory back.
func (r *PodRouter) release(x *exchange) {
	x.reset()
	r.exchanges.Put(x)
}

// reset forgets the request and keeps the memory, where it is not excessive.
func (x *exchange) reset() {
	for _, b := range [...]*[]byte{&x.body, &x.answer, &x.patch, &x.reply} {
		if cap(*b) > keepBody {
			*b = nil
		}
	}
	clear(x.review.labels)
	x.review = podReview{labels: x.review.labels[:0]}
	x.answer, x.patch, x.reply = x.answer[:0], x.patch[:0], x.reply[:0]
}
