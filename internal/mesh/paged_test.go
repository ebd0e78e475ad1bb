package mesh

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/test/cluster"
)

// asked notes the pages that were asked for.
type asked struct {
	next  http.RoundTripper
	pages []string
}

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.pages = append(a.pages, r.URL.Query().Get("limit"))
	return a.next.RoundTrip(r)
}

// A list of pods comes in pages, and what means nothing is dropped with its page.
func TestPodsAreListedInPages(t *testing.T) {
	config := cluster.Shared(t).Config()
	api, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	const inMesh, others = 17, 8
	for n := range inMesh + others {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("paged-%02d", n), Namespace: "default"}}
		pod.Spec.Containers = []corev1.Container{{Name: "istio-proxy", Image: "proxyv2:1.30.3"}}
		if n >= inMesh {
			pod.Spec.Containers[0].Name = "app"
		}
		if _, err := api.CoreV1().Pods("default").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			err := api.CoreV1().Pods("default").Delete(context.WithoutCancel(t.Context()), pod.Name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				t.Error(err)
			}
		})
	}
	wire := &asked{}
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		wire.next = next
		return wire
	})
	c, err := newClients(config)
	if err != nil {
		t.Fatal(err)
	}
	known := newPods()
	paged := pagedClient{wholeClient{c.pods, "pods"}, known.read, 10}
	// The options are those of a reflector's first list.
	list, err := paged.List(t.Context(), metav1.ListOptions{ResourceVersion: "0", FieldSelector: selectRunning})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"10", "10", "10"}; !slices.Equal(wire.pages, want) {
		t.Errorf("the pages were asked for with limits %q, want %q", wire.pages, want)
	}
	if got := meta.LenList(list); got != inMesh {
		t.Errorf("%d items, want %d", got, inMesh)
	}
	m, err := meta.ListAccessor(list)
	if err != nil || m.GetResourceVersion() == "" || m.GetContinue() != "" {
		t.Errorf("the list has resource version %q and continues at %q (%v)", m.GetResourceVersion(), m.GetContinue(), err)
	}
	// A reflector extracts the objects, and the collection takes them.
	objects, err := meta.ExtractListWithAlloc(list)
	if err != nil {
		t.Fatal(err)
	}
	var items []item
	for _, o := range objects {
		i, err := known.read(o)
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, i)
	}
	known.replace(items)
	if got := podsOf(known.workloads()); got != inMesh {
		t.Errorf("%d pods are counted, want %d", got, inMesh)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := paged.List(ended, metav1.ListOptions{}); err == nil {
		t.Error("a list with a context that has ended has no error")
	}
}

// Whatever kind is listed page by page, its store takes the objects that the list hands out.
func TestEveryKindTakesWhatWasRead(t *testing.T) {
	unreachable := &rest.Config{Host: "https://127.0.0.1:1"}
	s, err := NewSkew(SkewOptions{Config: unreachable})
	if err != nil {
		t.Fatal(err)
	}
	want := item{key: "default/a", kept: true}
	objects, err := meta.ExtractListWithAlloc(&itemList{Items: []item{want}})
	if err != nil || len(objects) != 1 {
		t.Fatalf("the list holds %d objects (%v), want 1", len(objects), err)
	}
	for _, k := range s.source.kinds {
		if got, err := k.objects.read(objects[0]); err != nil || got != want {
			t.Errorf("%s: read %+v (%v), want %+v", k.name(), got, err, want)
		}
	}
}
