package webhook

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/revision-router/revision-router/routing"
)

var table = flag.Bool("table", false, "measure and print the table of docs/benchmarks.md")

// sink is a ResponseWriter that costs nothing and remembers the status and the size.
type sink struct {
	header http.Header
	status int
	bytes  int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.bytes += len(b); return len(b), nil }

// rewound is a body that can be read again and again.
type rewound struct{ *bytes.Reader }

func (rewound) Close() error { return nil }

// call sends one body to a handler as often as wanted, without an allocation of its own.
type call struct {
	h    http.Handler
	req  *http.Request
	body []byte
	read rewound
	w    sink
}

func newCall(t testing.TB, h http.Handler, body []byte) *call {
	t.Helper()
	c := &call{h: h, body: body, read: rewound{bytes.NewReader(body)}, w: sink{header: http.Header{}}}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/", c.read)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.ContentLength = int64(len(body))
	c.req = req
	if c.send(); c.w.status != 0 && c.w.status != http.StatusOK || c.w.bytes == 0 {
		t.Fatalf("status %d, %d bytes", c.w.status, c.w.bytes)
	}
	return c
}

func (c *call) send() {
	c.read.Reset(c.body)
	c.req.Body = c.read
	c.h.ServeHTTP(&c.w, c.req)
}

func (c *call) bench(b *testing.B) {
	b.Helper()
	b.ReportAllocs()
	b.SetBytes(int64(len(c.body)))
	for b.Loop() {
		c.send()
	}
}

func benchMesh() *routing.Mesh {
	return meshOf(plainMesh, namespaceOf("bookinfo", "istio.io/rev=prod"))
}

func benchRouter(t testing.TB) http.Handler {
	t.Helper()
	return NewPodRouter(quiet(benchMesh())).Handler(entryNamed(t, "namespace-revision"))
}

// scaffold is what the usual way of writing a webhook comes to: controller-runtime decodes the pod, the handler
// sets the same labels and annotations after the same decision, and the patch is the difference of two pods.
type scaffold struct{ mesh *routing.Mesh }

func (s scaffold) Default(_ context.Context, pod *corev1.Pod) error {
	ns, _ := s.mesh.Namespace("bookinfo")
	d := routing.Decide(routing.Input{Mesh: s.mesh, Namespace: ns, Pod: routing.Pod{
		Inject:           routing.LabelOf(pod.Labels, routing.LabelInject),
		Revision:         routing.LabelOf(pod.Labels, routing.LabelRevision),
		InjectAnnotation: routing.LabelOf(pod.Annotations, routing.LabelInject),
		HostNetwork:      pod.Spec.HostNetwork,
		ImageAuto:        slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool { return c.Image == imageAuto }),
	}})
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Labels[routing.LabelRoutedRevision], pod.Labels[routing.LabelRoutedVersion] = d.Revision, d.Version
	pod.Annotations[routing.AnnotationReason], pod.Annotations[routing.AnnotationTag] = string(d.Reason), d.Tag
	return nil
}

func benchScaffold(t testing.TB) http.Handler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return admission.WithDefaulter[*corev1.Pod](scheme, scaffold{benchMesh()})
}

// benchNoop is the floor: it reads the body and says yes.
func benchNoop() http.Handler {
	reply := []byte(`{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","response":{"uid":"u1","allowed":true}}`)
	buf := make([]byte, 32<<10)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		for {
			if _, err := req.Body.Read(buf); err == io.EOF {
				break
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(reply) // the sink takes everything
	})
}

func BenchmarkPodRouter(b *testing.B) {
	for _, size := range []int{6 << 10, 100 << 10, 1 << 20} {
		b.Run(sizeName(size), func(b *testing.B) { newCall(b, benchRouter(b), podOfSize(b, size)).bench(b) })
	}
}

func BenchmarkControllerRuntimeScaffold(b *testing.B) {
	for _, size := range []int{6 << 10, 100 << 10, 1 << 20} {
		b.Run(sizeName(size), func(b *testing.B) { newCall(b, benchScaffold(b), podOfSize(b, size)).bench(b) })
	}
}

func BenchmarkDecide(b *testing.B) {
	mesh := benchMesh()
	ns, _ := mesh.Namespace("bookinfo")
	in := routing.Input{Mesh: mesh, Namespace: ns}
	b.ReportAllocs()
	for b.Loop() {
		if d := routing.Decide(in); d.Action != routing.Inject {
			b.Fatal(d)
		}
	}
}

func sizeName(size int) string {
	if size >= 1<<20 {
		return fmt.Sprintf("%dMB", size>>20)
	}
	return fmt.Sprintf("%dKB", size>>10)
}

// The scaffold has to do the router's work, or the comparison would mean nothing.
func TestScaffoldAndRouterPatchAlike(t *testing.T) {
	body := podOfSize(t, 6<<10)
	var patched []map[string]any
	for _, h := range []http.Handler{benchRouter(t), benchScaffold(t)} {
		review := strictReview(t, post(h, string(body)).Body.Bytes())
		if !review.Response.Allowed || len(review.Response.Patch) == 0 {
			t.Fatalf("answer %+v", review.Response)
		}
		object := looseObject(t, applyPatch(t, objectOf(t, body), review.Response.Patch))
		patched = append(patched, map[string]any{"labels": mapIn(object, "labels"), "annotations": mapIn(object, "annotations")})
	}
	if got, want := fmt.Sprint(patched[0]), fmt.Sprint(patched[1]); got != want || !strings.Contains(got, "default-v1-30-3") {
		t.Errorf("the router leaves %s, the scaffold %s", got, want)
	}
}

// A pod of a megabyte costs no more allocations than one of six kilobytes: memory for the body is the only thing that grows.
func TestAllocationsDoNotDependOnTheSizeOfThePod(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	const most = 4
	allocs := func(mesh *routing.Mesh, size int) float64 {
		h := NewPodRouter(quiet(mesh)).Handler(entryNamed(t, "namespace-revision"))
		return testing.AllocsPerRun(200, newCall(t, h, podOfSize(t, size)).send)
	}
	for name, line := range map[string]string{"plain": plainMesh, "with selectors": plainMesh + " other;never=job"} {
		mesh := meshOf(line, namespaceOf("bookinfo", "istio.io/rev=prod"))
		small, large := allocs(mesh, 6<<10), allocs(mesh, 1<<20)
		if small != large || small > most {
			t.Errorf("%s: %v allocations for 6 KB, %v for 1 MB, want the same and at most %d", name, small, large, most)
		}
	}
}

func TestDecideAllocatesNothing(t *testing.T) {
	mesh := benchMesh()
	ns, _ := mesh.Namespace("bookinfo")
	if n := testing.AllocsPerRun(100, func() { routing.Decide(routing.Input{Mesh: mesh, Namespace: ns}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// The reason for a handler of our own, held with a wide margin: both are measured in turn in one run, and the ratio is about
// ten times what is asked for.
func TestRouterCostsAtMostAFifthOfTheScaffold(t *testing.T) {
	if testing.Short() || raceDetector {
		t.Skip("measures")
	}
	body := podOfSize(t, 6<<10)
	router, usual := newCall(t, benchRouter(t), body), newCall(t, benchScaffold(t), body)
	var routerTimes, usualTimes []int64
	for range 3 {
		routerTimes = append(routerTimes, testing.Benchmark(router.bench).NsPerOp())
		usualTimes = append(usualTimes, testing.Benchmark(usual.bench).NsPerOp())
	}
	// The best of each is the one that was disturbed least.
	if ours, theirs := slices.Min(routerTimes), slices.Min(usualTimes); theirs < 5*ours {
		t.Errorf("%d ns a pod, the scaffold takes %d: less than five times as long", ours, theirs)
	}
}
