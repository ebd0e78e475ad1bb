package mesh

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A large cluster, and what a source may hold of it: its collections and one snapshot.
const (
	manyNamespaces, manyRevisions, manyTags = 10_000, 100, 1_000

	heapLimit = 10 << 20
)

// fill makes the objects of the large cluster one by one, as watches deliver them, so that nothing but the source
// can hold on to them.
func fill(tb testing.TB, s *Source) {
	tb.Helper()
	deliver := func(resource string, object any) {
		if err := s.storeOf(tb, resource).Update(object); err != nil {
			tb.Fatal(err)
		}
	}
	for n := range manyRevisions {
		r := aRevision(fmt.Sprintf("default-v1-30-%d", n), fmt.Sprintf("v1.30.%d", n))
		managed(&r.ObjectMeta)
		deliver("istiorevisions", r)
	}
	for n := range manyTags {
		tag := aTag(fmt.Sprintf("tag-of-team-%d", n), fmt.Sprintf("default-v1-30-%d", n%manyRevisions))
		managed(&tag.ObjectMeta)
		deliver("istiorevisiontags", tag)
	}
	for n := range manyNamespaces {
		name := fmt.Sprintf("namespace-of-team-%05d", n)
		labels := map[string]string{"kubernetes.io/metadata.name": name, "team": strconv.Itoa(n), "pod-security.kubernetes.io/enforce": "restricted"}
		switch n % 3 {
		case 0:
			labels["istio-injection"] = string([]byte("enabled")) // a string of its own, as a decoder makes it
		case 1:
			labels["istio.io/rev"] = fmt.Sprintf("tag-of-team-%d", n%manyTags)
		}
		ns := aNamespace(name, labels)
		managed(&ns.ObjectMeta)
		deliver("namespaces", ns)
	}
}

// managed adds the ballast that real objects carry.
func managed(m *metav1.ObjectMeta) {
	m.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": fmt.Sprintf("%01000d", len(m.Name))}
	m.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubectl", FieldsV1: metav1.NewFieldsV1(strings.Repeat("f", 500))}}
}

func heap() uint64 {
	var stats runtime.MemStats
	// What finalizers and pools let go of is collected by a second run.
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// largeSource returns a source that holds the large cluster and its snapshot, and the bytes that they take.
func largeSource(tb testing.TB) (*Source, uint64) {
	tb.Helper()
	s := offline(tb, Options{})
	s.sync(tb)
	before := heap()
	fill(tb, s)
	if !s.publish() {
		tb.Fatal("no snapshot was due")
	}
	after := heap()
	if got := s.Stats(); got.Namespaces != manyNamespaces || got.Revisions != manyRevisions || got.Tags != manyTags {
		tb.Fatalf("the snapshot is not of the large cluster: %+v", got)
	}
	return s, after - before
}

func TestHeapOfALargeCluster(t *testing.T) {
	s, bytes := largeSource(t)
	t.Logf("%d namespaces, %d revisions and %d tags take %.2f MiB", manyNamespaces, manyRevisions, manyTags, float64(bytes)/(1<<20))
	if bytes > heapLimit {
		t.Errorf("they take %d bytes, want at most %d", bytes, heapLimit)
	}
	runtime.KeepAlive(s)
}

// BenchmarkSnapshot rebuilds the snapshot of a large cluster after a change of one namespace. It also reports the
// bytes that the source and its snapshot hold.
func BenchmarkSnapshot(b *testing.B) {
	s, bytes := largeSource(b)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		changed := aNamespace("namespace-of-team-00000", map[string]string{"istio.io/rev": fmt.Sprintf("tag-of-team-%d", n%2)})
		if err := s.storeOf(b, "namespaces").Update(changed); err != nil {
			b.Fatal(err)
		}
		if !s.publish() {
			b.Fatal("no snapshot was due")
		}
	}
	b.ReportMetric(float64(bytes), "heap-B")
}
