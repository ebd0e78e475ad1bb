package events

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/test/cluster"
)

// patience is how long a test waits for what has to come. It is no measurement: the machine may be busy.
const patience = time.Minute

// rig is a recorder that runs, beside a client that may do everything.
type rig struct {
	*Recorder

	client    kubernetes.Interface
	namespace string

	mu       sync.Mutex
	outcomes map[Outcome]int
	lines    []string
}

func newRig(t *testing.T, instance string) *rig {
	t.Helper()
	return newRigAs(t, instance, cluster.Shared(t).Config())
}

func newRigAs(t *testing.T, instance string, as *rest.Config) *rig {
	t.Helper()
	admin, err := kubernetes.NewForConfig(cluster.Shared(t).Config())
	if err != nil {
		t.Fatal(err)
	}
	ns, err := admin.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "events-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(as)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{client: admin, namespace: ns.Name, outcomes: map[Outcome]int{}}
	r.Recorder = New(Options{
		Client: client.CoreV1(), Instance: instance, Clock: clock.RealClock{}, Counted: r.count,
		Log: funcr.New(func(_, line string) { r.note(line) }, funcr.Options{}),
	})
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Start(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return r
}

func (r *rig) count(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.outcomes[o]++
}

func (r *rig) counted(o Outcome) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.outcomes[o]
}

func (r *rig) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// list is what kubectl get events shows of a namespace: type, reason, object, count and message.
func (r *rig) list(ctx context.Context, t *testing.T, namespace string) []string {
	t.Helper()
	found, err := r.client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range found.Items {
		lines = append(lines, fmt.Sprintf("%s %s %s/%s x%d: %s", e.Type, e.Reason, e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Count, e.Message))
	}
	return lines
}

// await waits until the namespace has exactly these Events.
func (r *rig) await(t *testing.T, namespace string, want ...string) {
	t.Helper()
	var got []string
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		got = r.list(ctx, t, namespace)
		return cmp.Equal(want, got), nil
	})
	if err != nil {
		t.Fatalf("Events (-want +got):\n%s%v", cmp.Diff(want, got), r.lines)
	}
}

func (r *rig) refusal(pod int) Event {
	return Event{
		Object:  Object{APIVersion: "v1", Kind: "Namespace", Name: r.namespace},
		Warning: true, Reason: "UnknownRevision", Action: "Refuse", Message: fmt.Sprintf("pod %d is refused", pod),
	}
}

func TestAThousandRefusalsAreOneEvent(t *testing.T) {
	r := newRig(t, "a")
	r.Tell(r.refusal(1))
	r.await(t, r.namespace, "Warning UnknownRevision Namespace/"+r.namespace+" x1: pod 1 is refused")
	for pod := 2; pod <= 1000; pod++ {
		r.Tell(r.refusal(pod))
	}
	r.await(t, r.namespace, "Warning UnknownRevision Namespace/"+r.namespace+" x1000: pod 1000 is refused")
	if n := r.counted(Written); n > 10 {
		t.Errorf("it took %d requests, want a few", n)
	}
	// kubectl events --for namespace/NAME asks by these fields.
	selected, err := r.client.CoreV1().Events(r.namespace).List(t.Context(),
		metav1.ListOptions{FieldSelector: "involvedObject.kind=Namespace,involvedObject.name=" + r.namespace})
	if err != nil || len(selected.Items) != 1 {
		t.Fatalf("selected %v, %v", selected, err)
	}
	e := selected.Items[0]
	if e.Source.Component != component || e.FirstTimestamp.IsZero() || e.LastTimestamp.Before(&e.FirstTimestamp) || e.Action != "Refuse" {
		t.Errorf("%+v", e)
	}
}

// One that has expired is not found any more, as one that somebody deleted is not.
func TestAnEventThatIsGoneIsWrittenAgain(t *testing.T) {
	r := newRig(t, "a")
	r.Tell(r.refusal(1))
	r.await(t, r.namespace, "Warning UnknownRevision Namespace/"+r.namespace+" x1: pod 1 is refused")
	err := r.client.CoreV1().Events(r.namespace).DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.Tell(r.refusal(2))
	r.await(t, r.namespace, "Warning UnknownRevision Namespace/"+r.namespace+" x2: pod 2 is refused")
}

func TestReplicasShareAnEventAboutAStateAndCountOthersForThemselves(t *testing.T) {
	one, other := newRig(t, "a"), newRig(t, "b")
	state := Event{
		Object: Object{APIVersion: "v1", Kind: "ConfigMap", Namespace: one.namespace, Name: "prod", UID: "u1"},
		State:  true, Warning: true, Reason: "TagHeldBack", Action: "Resolve", Message: "it is held back",
	}
	for _, r := range []*rig{one, other} {
		r.Tell(state)
		r.Tell(state)
	}
	for _, r := range []*rig{one, other} {
		err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
			return r.counted(Written) > 0, nil
		})
		if err != nil {
			t.Fatalf("not written: %v", r.lines)
		}
	}
	one.await(t, one.namespace, "Warning TagHeldBack ConfigMap/prod x1: it is held back")

	refused := one.refusal(1)
	refused.Message = "pod is refused"
	one.Tell(refused)
	other.Tell(refused)
	line := "Warning UnknownRevision Namespace/" + one.namespace + " x1: pod is refused"
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		n := 0
		for _, found := range one.list(ctx, t, one.namespace) {
			if found == line {
				n++
			}
		}
		return n == 2, nil
	})
	if err != nil {
		t.Errorf("want one Event of each replica: %v", one.list(t.Context(), t, one.namespace))
	}
}

func TestEventsAboutObjectsWithoutANamespaceAreInDefault(t *testing.T) {
	r := newRig(t, "a")
	name := "tag-of-" + r.namespace
	r.Tell(Event{
		Object:  Object{APIVersion: "sailoperator.io/v1", Kind: "IstioRevisionTag", Name: name, UID: "u1"},
		Warning: true, Reason: "DanglingTag", Action: "Resolve", Message: strings.Repeat("ö", maxMessage),
	})
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		found, err := r.client.CoreV1().Events(metav1.NamespaceDefault).List(ctx,
			metav1.ListOptions{FieldSelector: "involvedObject.name=" + name + ",involvedObject.uid=u1"})
		if err != nil || len(found.Items) != 1 {
			return false, err
		}
		if m := found.Items[0].Message; len(m) > maxMessage || !strings.HasSuffix(m, "ö...") {
			t.Errorf("%d bytes, ending in %q", len(m), m[len(m)-8:])
		}
		return true, nil
	})
	if err != nil {
		t.Errorf("%v: %v", err, r.lines)
	}
}

func TestWithoutTheRightThereAreNoEventsAndNothingElseHappens(t *testing.T) {
	nobody, err := cluster.Shared(t).ConfigFor("system:serviceaccount:default:nobody")
	if err != nil {
		t.Fatal(err)
	}
	r := newRigAs(t, "a", nobody)
	for pod := range 100 {
		r.Tell(r.refusal(pod))
	}
	err = wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return r.counted(Failed) >= 2, nil // it tries again, after a pause
	})
	if err != nil {
		t.Fatal("it did not try, or not again")
	}
	if got := r.list(t.Context(), t, r.namespace); len(got) > 0 || r.counted(Written) > 0 {
		t.Errorf("written all the same: %v", got)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.lines) != 1 || !strings.Contains(r.lines[0], "forbidden") {
		t.Errorf("the log should say so once: %q", r.lines)
	}
}
