package webhook

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/routing"
)

// meshOf builds a snapshot from a line such as
//
//	default-v1-29-6@v1.29.6 default-v1-30-3@v1.30.3 prod->default-v1-30-3
//
// A revision may carry its values: canary@v1.31.0;autoInject=disabled;byDefault;never=LABEL;always=LABEL.
func meshOf(line string, namespaces ...routing.Namespace) *routing.Mesh {
	o := routing.Objects{Namespaces: namespaces}
	for field := range strings.FieldsSeq(line) {
		if tag, target, ok := strings.Cut(field, "->"); ok {
			o.Tags = append(o.Tags, routing.Tag{Name: tag, Revision: target, Origin: routing.Sail})
			continue
		}
		parts := strings.Split(field, ";")
		name, version, _ := strings.Cut(parts[0], "@")
		r := routing.Revision{Name: name, Version: version, Origin: routing.Sail}
		for _, value := range parts[1:] {
			setValue(&r.Injection, value)
		}
		o.Revisions = append(o.Revisions, r)
	}
	return routing.NewMesh(o)
}

func setValue(i *routing.Injection, setting string) {
	key, value, _ := strings.Cut(setting, "=")
	exists := routing.Selector{{Key: value, Operator: routing.OpExists}}
	switch key {
	case "autoInject":
		i.AutoInject = value
	case "byDefault":
		i.EnableNamespacesByDefault = true
	case "never":
		i.NeverInject = append(i.NeverInject, exists)
	case "always":
		i.AlwaysInject = append(i.AlwaysInject, exists)
	default:
		panic("unknown value " + setting)
	}
}

// namespaceOf builds a namespace from lines such as istio.io/rev=prod.
func namespaceOf(name, lines string) routing.Namespace {
	labels := map[string]string{}
	for line := range strings.FieldsSeq(lines) {
		key, value, _ := strings.Cut(line, "=")
		labels[key] = value
	}
	return routing.NamespaceOf(name, labels)
}

// fixedMesh is a MeshSource that never changes.
type fixedMesh struct{ mesh *routing.Mesh }

func (f fixedMesh) Mesh() *routing.Mesh { return f.mesh }

// liveNamespace stands for the API server: it answers with ns, or with err where that is set.
type liveNamespace struct {
	ns    routing.Namespace
	err   error
	asked []string
}

func (l *liveNamespace) Namespace(_ context.Context, name string) (routing.Namespace, error) {
	l.asked = append(l.asked, name)
	return l.ns, l.err
}

func notFound(name string) error {
	return fmt.Errorf("get namespace: %w", apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name))
}

var errUnreachable = errors.New("connection refused")

// recorded keeps every event.
type recorded struct {
	mu         sync.Mutex
	outcomes   []Outcome
	exemptions []Exemption
	causes     []Cause
	reads      []NamespaceRead
	panics     int
	served     []string
	bytes      []int
	took       []time.Duration
}

var _ Recorder = (*recorded)(nil)

func (r *recorded) Decided(o Outcome)               { r.outcomes = append(r.outcomes, o) }
func (r *recorded) Exempted(e Exemption)            { r.exemptions = append(r.exemptions, e) }
func (r *recorded) Rejected(c Cause)                { r.causes = append(r.causes, c) }
func (r *recorded) ReadNamespace(res NamespaceRead) { r.reads = append(r.reads, res) }
func (r *recorded) Panicked()                       { r.panics++ }

// Served is the last event of a request, and the only one that may come after the client has the answer.
func (r *recorded) Served(e Entry, took time.Duration, bytes int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.served, r.bytes, r.took = append(r.served, e.Name), append(r.bytes, bytes), append(r.took, took)
}

// discard is a Recorder that does nothing, for measurements.
type discard struct{}

func (discard) Decided(Outcome)                  {}
func (discard) Exempted(Exemption)               {}
func (discard) Rejected(Cause)                   {}
func (discard) ReadNamespace(NamespaceRead)      {}
func (discard) Panicked()                        {}
func (discard) Served(Entry, time.Duration, int) {}

// rig is a router with all that it was given, to be looked at afterwards.
type rig struct {
	live     *liveNamespace
	recorder *recorded
	lines    []string // of the log
	router   *PodRouter
}

func newRig(mesh *routing.Mesh, policy routing.Policy) *rig {
	r := &rig{live: &liveNamespace{err: errUnreachable}, recorder: &recorded{}}
	var ticks atomic.Int64 // a clock on which every look takes a millisecond
	r.router = NewPodRouter(PodRouterOptions{
		Meshes:     fixedMesh{mesh},
		Namespaces: r.live,
		Policy:     func() routing.Policy { return policy },
		Recorder:   r.recorder,
		Log: funcr.New(func(_, line string) { r.lines = append(r.lines, line) },
			funcr.Options{Verbosity: 1}),
		Now: func() time.Time { return time.UnixMilli(ticks.Add(1)) },
	})
	return r
}

// entryNamed returns the entry with this first word of its name.
func entryNamed(t testing.TB, id string) Entry {
	t.Helper()
	for _, e := range Entries() {
		if strings.HasPrefix(e.Name, id+".") {
			return e
		}
	}
	t.Fatalf("no entry is named %q", id)
	return Entry{}
}

// post sends a body as the API server does.
func post(h http.Handler, body string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(http.MethodPost, "/?timeout=2s", strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w
}

// quiet are options for a router of which only the answers matter.
func quiet(mesh *routing.Mesh) PodRouterOptions {
	return PodRouterOptions{
		Meshes:     fixedMesh{mesh},
		Namespaces: &liveNamespace{err: errUnreachable},
		Policy:     routing.DefaultPolicy,
		Recorder:   discard{},
		Log:        logr.Discard(),
		Now:        func() time.Time { return time.Time{} },
	}
}
