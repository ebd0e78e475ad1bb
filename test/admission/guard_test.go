package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

func TestPodsOnARealAPIServer(t *testing.T) {
	h := newHarness(t, "--set", "enableNamespacesByDefault=true")
	h.mesh(true)
	h.namespace("plain", nil)
	h.namespace("by-injection", labels(routing.LabelInjection, "enabled"))
	h.namespace("by-revision", labels(routing.LabelRevision, "prod"))
	h.namespace("disabled", labels(routing.LabelInjection, "disabled"))

	pod := func(namespace string, edit func(*corev1.Pod)) *corev1.Pod {
		p := newPod(namespace, nil)
		p.Labels = map[string]string{"app": "x"}
		if edit != nil {
			edit(p)
		}
		return p
	}
	label := func(key, value string) func(*corev1.Pod) {
		return func(p *corev1.Pod) { p.Labels[key] = value }
	}
	cases := map[string]struct {
		pod          *corev1.Pod
		wantRevision string
		wantTag      string
		wantRefused  string
	}{
		"entry namespace-injection": {pod: pod("by-injection", nil), wantRevision: "b", wantTag: "default"},
		"entry namespace-revision":  {pod: pod("by-revision", nil), wantRevision: "a", wantTag: "prod"},
		"entry pod-revision":        {pod: pod("plain", label(routing.LabelRevision, "a")), wantRevision: "a"},
		"entry pod-injection":       {pod: pod("plain", label(routing.LabelInject, "true")), wantRevision: "b", wantTag: "default"},
		"entry namespaces-by-default, which the mesh has switched off": {pod: pod("plain", nil)},
		"a pod on the host's network in a mesh namespace": {
			pod: pod("by-revision", func(p *corev1.Pod) { p.Spec.HostNetwork = true }),
		},
		"an annotation opts out": {
			pod: pod("by-revision", func(p *corev1.Pod) { p.Annotations = map[string]string{routing.LabelInject: "false"} }),
		},
		"annotations of the user's own are kept": {
			pod:          pod("by-revision", func(p *corev1.Pod) { p.Annotations = map[string]string{"team": "a/b~c"} }),
			wantRevision: "a", wantTag: "prod",
		},
		"a pod without any label": {
			pod: pod("by-revision", func(p *corev1.Pod) { p.Labels = nil }), wantRevision: "a", wantTag: "prod",
		},
		"a gateway image that nothing would replace": {
			pod:         pod("disabled", func(p *corev1.Pod) { p.Spec.Containers[0].Image = "auto" }),
			wantRefused: "auto",
		},
		"a misspelt revision": {
			pod: pod("plain", label(routing.LabelRevision, "pord")), wantRefused: "prod",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := h.create(tc.pod)
			if tc.wantRefused != "" {
				if !refused(err) || !strings.Contains(err.Error(), tc.wantRefused) {
					t.Fatalf("error %v, want a refusal that mentions %q", err, tc.wantRefused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			o := outcomeOf(got, nil)
			if o.routed != tc.wantRevision || o.injected != tc.wantRevision {
				t.Errorf("routed to %q, injected by %q, want %q", o.routed, o.injected, tc.wantRevision)
			}
			if tag := got.Annotations[routing.AnnotationTag]; tag != tc.wantTag {
				t.Errorf("tag %q, want %q", tag, tc.wantTag)
			}
			for key, value := range tc.pod.Labels {
				if got.Labels[key] != value {
					t.Errorf("label %s became %q, it was %q", key, got.Labels[key], value)
				}
			}
			for key, value := range tc.pod.Annotations {
				if got.Annotations[key] != value {
					t.Errorf("annotation %s became %q, it was %q", key, got.Annotations[key], value)
				}
			}
		})
	}
	t.Run("a dry run and the real thing answer the same, and only the real thing is stored", func(t *testing.T) {
		dry, err := h.create(pod("by-revision", nil))
		h.must(err)
		pods := h.kube.CoreV1().Pods("by-revision")
		list, err := pods.List(t.Context(), metav1.ListOptions{})
		h.must(err)
		if len(list.Items) != 0 {
			t.Fatalf("%d pods are stored after dry runs", len(list.Items))
		}
		stored, err := pods.Create(t.Context(), pod("by-revision", nil), metav1.CreateOptions{})
		h.must(err)
		if outcomeOf(dry, nil) != outcomeOf(stored, nil) {
			t.Errorf("dry run %+v, stored %+v", outcomeOf(dry, nil), outcomeOf(stored, nil))
		}
	})
	t.Run("the configuration sorts before every injector's", func(t *testing.T) {
		list, err := h.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().
			List(t.Context(), metav1.ListOptions{})
		h.must(err)
		names := make([]string, 0, len(list.Items))
		for i := range list.Items {
			names = append(names, list.Items[i].Name)
		}
		if len(names) < 5 || slices.Min(names) != "0-istio-revision-router" {
			t.Errorf("configurations: %v", names)
		}
	})
}

// The injector changes the pod after the router has seen it, so that the API server calls the router once more within
// the same request (reinvocation). That, and submitting a pod that was routed and injected before, changes nothing.
func TestAPodThatWasRoutedBeforeIsNotChangedAgain(t *testing.T) {
	h := newHarness(t)
	h.mesh(true)
	h.namespace("again", labels(routing.LabelRevision, "prod"))
	pod, err := h.create(newPod("again", nil))
	h.must(err)
	again := pod.DeepCopy()
	again.ResourceVersion, again.UID, again.CreationTimestamp = "", "", metav1.Time{}
	second, err := h.create(again)
	h.must(err)
	if first, second := outcomeOf(pod, nil), outcomeOf(second, nil); first != second {
		t.Errorf("submitted again: %+v, first %+v", second, first)
	}
}

// A namespace that was created a moment ago is not in the router's snapshot yet. No pod may be judged by that.
func TestANamespaceCreatedAMillisecondEarlier(t *testing.T) {
	h := newHarness(t)
	h.mesh(true)
	release := make(chan struct{})
	h.mu.Lock()
	h.hold = func(kind string) {
		if strings.HasPrefix(kind, "namespaces") {
			<-release
		}
	}
	h.mu.Unlock()
	defer close(release)

	const pairs, workers = 1000, 8
	kinds := []struct {
		labels map[string]string
		want   outcome
	}{
		{labels(routing.LabelRevision, "prod"), outcome{injected: "a", routed: "a", sidecars: 1}},
		{labels(routing.LabelInjection, "enabled"), outcome{injected: "b", routed: "b", sidecars: 1}},
		{labels(routing.LabelRevision, "typo"), outcome{refused: true}},
		{labels(routing.LabelInjection, "disabled"), outcome{}},
	}
	var wrong sync.Map
	var work sync.WaitGroup
	for w := range workers {
		work.Go(func() {
			for i := w; i < pairs; i += workers {
				kind := kinds[i%len(kinds)]
				name := fmt.Sprintf("new-%d", i)
				if got := h.pair(name, kind.labels); got != kind.want {
					wrong.Store(name, fmt.Sprintf("%v: got %+v, want %+v", kind.labels, got, kind.want))
				}
			}
		})
	}
	work.Wait()
	n := 0
	wrong.Range(func(name, what any) bool {
		n++
		if n <= 10 {
			t.Errorf("%s %s", name, what)
		}
		return true
	})
	if known := h.source.Mesh().NamespaceCount(); known > 50 {
		t.Errorf("the snapshot holds %d namespaces: the watch was not held up, and nothing was shown", known)
	}
	t.Logf("%d namespaces with a pod each while the namespace watch stood still: %d wrong answers", pairs, n)
}

// pair creates a namespace and at once a pod in it.
func (h *harness) pair(name string, nsLabels map[string]string) outcome {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: nsLabels}}
	if _, err := h.kube.CoreV1().Namespaces().Create(h.t.Context(), ns, metav1.CreateOptions{}); err != nil {
		return outcome{message: "namespace: " + err.Error()}
	}
	pod, err := h.create(newPod(name, nil))
	o := outcomeOf(pod, err)
	if refused(err) {
		o.message = ""
	}
	return o
}

// Guard mode fails open: with the router gone, a mesh works as before it was installed.
func TestWithTheRouterDownPodsAreInjectedAsBefore(t *testing.T) {
	h := newHarness(t)
	h.mesh(true)
	h.namespace("shop", labels(routing.LabelRevision, "prod"))
	pod, err := h.create(newPod("shop", nil))
	h.must(err)
	if o := outcomeOf(pod, nil); o.routed != "a" {
		t.Fatalf("with the router: %+v", o)
	}
	h.must(h.server.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	pod, err = h.kube.CoreV1().Pods("shop").Create(ctx, newPod("shop", nil), metav1.CreateOptions{})
	h.must(err)
	if o := outcomeOf(pod, nil); o.routed != "" || o.injected != "a" || o.sidecars != 1 {
		t.Errorf("without the router: %+v, want it injected by a and not routed", o)
	}
	policies := []admissionregistrationv1.FailurePolicyType{}
	configuration, err := h.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Get(t.Context(), "0-istio-revision-router", metav1.GetOptions{})
	h.must(err)
	for i := range configuration.Webhooks {
		policies = append(policies, *configuration.Webhooks[i].FailurePolicy)
	}
	if slices.Contains(policies, admissionregistrationv1.Fail) {
		t.Errorf("failure policies %v: guard mode has to fail open", policies)
	}
}

// Istio installed by its own charts or istioctl, without the Sail Operator, and a cluster without any Istio.
func TestPlainIstioAndNoIstio(t *testing.T) {
	h := newHarness(t)
	h.namespace("shop", labels(routing.LabelRevision, "prod"))
	pod, err := h.create(newPod("shop", nil))
	h.must(err) // no revision of any kind: a warning, and nobody is blocked
	if o := outcomeOf(pod, nil); o != (outcome{}) {
		t.Errorf("in a cluster without Istio: %+v", o)
	}
	h.configure(revisionConfiguration(h.injectors, "plain", "v1.28.3"))
	h.configure(tagConfiguration(h.injectors, "prod", "plain", "v1.28.3"))
	h.eventually("plain Istio's tag is followed", func() error {
		pod, err := h.create(newPod("shop", nil))
		if err != nil {
			return err
		}
		if o := outcomeOf(pod, nil); o.injected != "plain" || o.routed != "plain" {
			return fmt.Errorf("%+v", o)
		}
		return nil
	})
	h.namespace("typo", labels(routing.LabelRevision, "palin"))
	h.eventually("a misspelt revision is refused", func() error {
		if _, err := h.create(newPod("typo", nil)); !refused(err) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}
