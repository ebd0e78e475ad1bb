package mesh

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/revision-router/revision-router/internal/inventory"
)

// A large cluster's pods, of workloads with sidecars, and what they may take. The promise is 64 MiB; the limit is
// lower, so that a change that doubles what is kept of a pod shows.
const (
	manyPods, manyWorkloads = 150_000, 2_000

	podHeapLimit       = 16 << 20
	podHeapPromise     = 64 << 20
	namespaceHeapLimit = 12 << 20
)

// offlineSkew makes a source that no API server feeds, and that knows an empty cluster.
func offlineSkew(tb testing.TB) *Skew {
	tb.Helper()
	s, err := NewSkew(SkewOptions{Config: &rest.Config{Host: "https://127.0.0.1:1"}})
	if err != nil {
		tb.Fatal(err)
	}
	s.source.sync(tb)
	return s
}

// aPod makes a pod with strings of its own and the ballast of real ones, as a decoder does.
func aPod(n int) *inventory.Pod {
	workload := n % manyWorkloads
	name, hash := fmt.Sprintf("service-of-team-%04d", workload), fmt.Sprintf("%08x", workload)
	p := &inventory.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: fmt.Sprintf("namespace-of-team-%03d", workload/10),
		Name:      fmt.Sprintf("%s-%s-%05d", name, hash, n),
		Labels:    map[string]string{"app": name, "pod-template-hash": hash, "security.istio.io/tlsMode": "istio"},
		OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "apps/v1", Kind: strings.Clone("ReplicaSet"), Name: name + "-" + hash, Controller: new(true),
		}},
	}}
	managed(&p.ObjectMeta)
	p.Annotations["istio.io/rev"] = strings.Clone("default-v1-30-3")
	p.Spec.InitContainers = []inventory.Container{{Name: "istio-init", Image: strings.Clone("registry.example/istio/proxyv2:1.30.3")}}
	p.Spec.Containers = []inventory.Container{
		{Name: "app", Image: fmt.Sprintf("registry.example/app:%d", n)},
		{Name: "istio-proxy", Image: fmt.Sprintf("registry.example/istio/proxyv2:1.30.%d", workload%2)},
	}
	p.Status.Phase = "Running"
	return p
}

// manyPodsIn returns a source that holds the pods and a snapshot, and the bytes that they take.
func manyPodsIn(tb testing.TB) (*Skew, uint64) {
	tb.Helper()
	s := offlineSkew(tb)
	pods := s.source.storeOf(tb, "pods")
	before := heap()
	for n := range manyPods {
		if err := pods.Update(aPod(n)); err != nil {
			tb.Fatal(err)
		}
	}
	if !s.source.publish() {
		tb.Fatal("no snapshot was due")
	}
	after := heap()
	if got := s.Stats(); got.Pods != manyPods || got.Workloads != manyWorkloads {
		tb.Fatalf("the snapshot holds %d pods of %d workloads, want %d of %d", got.Pods, got.Workloads, manyPods, manyWorkloads)
	}
	return s, after - before
}

func TestHeapOfManyPods(t *testing.T) {
	s, bytes := manyPodsIn(t)
	t.Logf("%d pods of %d workloads take %.2f MiB, %.0f bytes each", manyPods, manyWorkloads, float64(bytes)/(1<<20), float64(bytes)/manyPods)
	if bytes > podHeapLimit {
		t.Errorf("they take %d bytes, want at most %d", bytes, podHeapLimit)
	}
	// After an outage they are listed anew: a reflector gathers the whole stream in a store of its own, while the
	// collection still holds what it knew.
	before, pods := heap(), s.source.storeOf(t, "pods")
	gathered := cache.NewStore(cache.DeletionHandlingMetaNamespaceKeyFunc, cache.WithTransformer(pods.Transformer()))
	for n := range manyPods {
		if err := gathered.Add(aPod(n)); err != nil {
			t.Fatal(err)
		}
	}
	list, published := gathered.List(), s.SkewMesh()
	more := heap() - before
	t.Logf("while they are listed anew it is %.2f MiB more", float64(more)/(1<<20))
	if bytes+more > podHeapPromise {
		t.Errorf("while they are listed anew they take %d bytes, want at most %d", bytes+more, podHeapPromise)
	}
	if err := pods.Replace(list, "2"); err != nil {
		t.Fatal(err)
	}
	if s.source.publish() || s.SkewMesh() != published {
		t.Error("a list of the same pods made a snapshot due")
	}
	runtime.KeepAlive(gathered)
	runtime.KeepAlive(s)
}

func TestHeapOfManyNamespacesWithTheirLabels(t *testing.T) {
	s := offlineSkew(t)
	before := heap()
	for n := range manyNamespaces {
		name := fmt.Sprintf("namespace-of-team-%05d", n)
		raw := fmt.Sprintf(`{"kubernetes.io/metadata.name":%q,"team":%q,"pod-security.kubernetes.io/enforce":"restricted",
			"pod-security.kubernetes.io/warn":"restricted","istio.io/rev":"prod","cost-center":"4711"}`, name, strconv.Itoa(n))
		labels := map[string]string{}
		if err := json.Unmarshal([]byte(raw), &labels); err != nil {
			t.Fatal(err)
		}
		ns := aNamespace(name, labels)
		managed(&ns.ObjectMeta)
		if err := s.source.storeOf(t, "namespaces").Update(ns); err != nil {
			t.Fatal(err)
		}
	}
	s.source.publish()
	bytes := heap() - before
	t.Logf("%d namespaces with 6 labels take %.2f MiB, %d bytes each", manyNamespaces, float64(bytes)/(1<<20), bytes/manyNamespaces)
	if got := s.Stats().Namespaces; got != manyNamespaces {
		t.Fatalf("the snapshot holds %d namespaces", got)
	}
	if bytes > namespaceHeapLimit {
		t.Errorf("they take %d bytes, want at most %d", bytes, namespaceHeapLimit)
	}
	runtime.KeepAlive(s)
}

// BenchmarkManyPods rebuilds the snapshot after a pod has come or gone. It also reports what each pod takes.
func BenchmarkManyPods(b *testing.B) {
	s, bytes := manyPodsIn(b)
	pods, extra := s.source.storeOf(b, "pods"), aPod(manyPods)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		change := pods.Update
		if n++; n%2 == 0 {
			change = pods.Delete
		}
		if err := change(extra); err != nil {
			b.Fatal(err)
		}
		if !s.source.publish() {
			b.Fatal("no snapshot was due")
		}
	}
	b.ReportMetric(float64(bytes)/manyPods, "heap-B/pod")
}
