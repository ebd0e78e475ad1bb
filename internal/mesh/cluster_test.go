package mesh_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/go-logr/logr/funcr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
)

// patience is how long a test waits for what takes milliseconds on an idle machine.
const patience = 60 * time.Second

// eventually waits until check returns an empty string, which otherwise tells what is still wrong.
func eventually(t *testing.T, check func() string) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == "", nil
	})
	if err != nil {
		t.Fatalf("%s (%v)", last, err)
	}
}

// lines is a log that can be read.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) write(_, args string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, args)
}

func (l *lines) with(part string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range l.all {
		if strings.Contains(line, part) {
			found = append(found, line)
		}
	}
	return found
}

// run starts a source and stops it with the test.
func run(t *testing.T, o mesh.Options) (*mesh.Source, *lines) {
	t.Helper()
	log := &lines{}
	o.Log = funcr.New(log.write, funcr.Options{})
	s, err := mesh.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", strings.Join(log.with(""), "\n"))
		}
	})
	return s, log
}

func awaitReady(t *testing.T, s *mesh.Source) {
	t.Helper()
	eventually(t, func() string {
		if err := s.Ready(); err != nil {
			return err.Error()
		}
		return ""
	})
}

// awaitMesh waits until the mesh reads as wanted; see describe.
func awaitMesh(t *testing.T, s *mesh.Source, want string) {
	t.Helper()
	eventually(t, func() string {
		if got := describe(s.Mesh()); got != want {
			return fmt.Sprintf("the mesh is %q, want %q", got, want)
		}
		return ""
	})
}

// describe writes a mesh on one line: name@version of each revision, then name->revision of each tag.
func describe(m *routing.Mesh) string {
	if m == nil {
		return "none"
	}
	var words []string
	for _, r := range m.Revisions() {
		word := r.Name + "@" + r.Version
		if r.Deleting {
			word += "(deleting)"
		}
		words = append(words, word)
	}
	for _, tag := range m.Tags() {
		words = append(words, tag.Name+"->"+tag.Revision)
	}
	return strings.Join(words, " ")
}

// api writes objects of any kind to a cluster.
type api struct {
	t      *testing.T
	client dynamic.Interface
}

func newAPI(t *testing.T, config *rest.Config) *api {
	t.Helper()
	config = rest.CopyConfig(config)
	config.QPS = -1
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &api{t, client}
}

func (a *api) of(o *unstructured.Unstructured) dynamic.ResourceInterface {
	resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	if o.GetKind() == "Gateway" {
		resource.Resource = "gateways" // not gatewaies
	}
	if o.GetNamespace() != "" {
		return a.client.Resource(resource).Namespace(o.GetNamespace())
	}
	return a.client.Resource(resource)
}

// create makes an object of JSON and removes it with the test.
func (a *api) create(text string) *unstructured.Unstructured {
	a.t.Helper()
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal([]byte(text), &o.Object); err != nil {
		a.t.Fatal(err)
	}
	made, err := a.of(o).Create(a.t.Context(), o, metav1.CreateOptions{})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { a.purge(o) })
	if o.Object["status"] != nil {
		return a.status(o)
	}
	return made
}

// status writes the status alone.
func (a *api) status(o *unstructured.Unstructured) *unstructured.Unstructured {
	a.t.Helper()
	patch, err := json.Marshal(map[string]any{"status": o.Object["status"]})
	if err != nil {
		a.t.Fatal(err)
	}
	made, err := a.of(o).Patch(a.t.Context(), o.GetName(), "application/merge-patch+json", patch, metav1.PatchOptions{}, "status")
	if err != nil {
		a.t.Fatal(err)
	}
	return made
}

func (a *api) patch(o *unstructured.Unstructured, patch string) {
	a.t.Helper()
	if _, err := a.of(o).Patch(a.t.Context(), o.GetName(), "application/merge-patch+json", []byte(patch), metav1.PatchOptions{}); err != nil {
		a.t.Fatal(err)
	}
}

func (a *api) delete(o *unstructured.Unstructured) {
	a.t.Helper()
	if err := a.of(o).Delete(a.t.Context(), o.GetName(), metav1.DeleteOptions{}); err != nil {
		a.t.Fatal(err)
	}
}

// purge removes an object whatever holds it, also after the test's own context has ended.
func (a *api) purge(o *unstructured.Unstructured) {
	ctx := context.WithoutCancel(a.t.Context())
	if o.GetKind() == "Namespace" {
		return // nothing would finish it here
	}
	_, err := a.of(o).Patch(ctx, o.GetName(), "application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	if err == nil {
		err = a.of(o).Delete(ctx, o.GetName(), metav1.DeleteOptions{})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		a.t.Errorf("remove %s %s: %v", o.GetKind(), o.GetName(), err)
	}
}

// installCRDs installs the kinds that a source follows. Others would take the API server long to remove again.
func installCRDs(t *testing.T, config *rest.Config) {
	t.Helper()
	some := fstest.MapFS{}
	for _, name := range []string{"crds/istios.yaml", "crds/istiorevisions.yaml", "crds/istiorevisiontags.yaml"} {
		data, err := fs.ReadFile(sail.CRDs(), name)
		if err != nil {
			t.Fatal(err)
		}
		some[name] = &fstest.MapFile{Data: data}
	}
	if err := cluster.InstallCRDs(t.Context(), config, some); err != nil {
		t.Fatal(err)
	}
}

// removeCRDs removes what installCRDs made, and waits until it is gone.
func removeCRDs(t *testing.T, a *api) {
	t.Helper()
	crds := a.client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	ctx := context.WithoutCancel(t.Context())
	all, err := crds.List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, crd := range all.Items { // deleting them as a collection would leave their objects behind in etcd
		if err := crds.Delete(ctx, crd.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	err = wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, 3*patience, true, func(ctx context.Context) (bool, error) {
		left, err := crds.List(ctx, metav1.ListOptions{})
		return err == nil && len(left.Items) == 0, err
	})
	if err != nil {
		t.Fatalf("the CustomResourceDefinitions do not go away: %v", err)
	}
}

func revision(name, version string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevision","metadata":{"name":%q},
		"spec":{"version":%q,"namespace":"istio-system"}}`, name, version)
}

func tag(name, target string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevisionTag","metadata":{"name":%q},
		"spec":{"targetRef":{"kind":"IstioRevision","name":%q}},"status":{"istioRevision":%q}}`, name, target, target)
}

func namespace(name, labels string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":%q,"labels":%s}}`, name, labels)
}
