package charts_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
)

// Where the router fails closed, entries have a second one for pods that no injector touches.
const (
	unasked           = "-unasked"
	namespaceDisabled = "namespace-disabled"
)

// pathOf is the last element of the path of an entry, which a second entry shares with the first.
func pathOf(entry string) string {
	if entry == namespaceDisabled {
		return namespaceInjection
	}
	return strings.TrimSuffix(entry, unasked)
}

// injects tells whether an entry is for pods that an injector of Istio's may touch.
func injects(w admissionregistrationv1.MutatingWebhook) bool {
	name := entries([]string{w.Name})[0]
	return name != namespaceDisabled && !strings.HasSuffix(name, unasked)
}

func TestTheModeIsThatOfTheValues(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			want := map[bool]string{true: "forward", false: "guard"}[strings.HasPrefix(name, "forward")]
			if got := flagOf(t, r, "mode"); got != want {
				t.Errorf("--mode=%s, want %s", got, want)
			}
			if want == "guard" {
				return
			}
			// A namespace that is in one list only would be injected twice, or keep the router from becoming ready.
			if got := flagOf(t, r, "exclude-namespace"); got != strings.Join(exemptOf(t, r), ",") {
				t.Errorf("--exclude-namespace=%s, and the entries leave out %v", got, exemptOf(t, r))
			}
		})
	}
}

func TestControlPlanesNeverWaitForTheRouterThatWaitsForThem(t *testing.T) {
	got := exemptOf(t, render(t, append(set("mode=forward", "forward.controlPlaneNamespaces={mesh-system}"), "--set-json", "exemptNamespaces=[]")...))
	want := []string{"kube-node-lease", "kube-public", "kube-system", "mesh-system", "revision-router"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("exempt namespaces (-want +got):\n%s", diff)
	}
}

// In forward mode the same pods reach the same paths as in guard mode, each through one entry, and those entries fail
// closed that an injector webhook of Istio's would have had a say in.
func TestEntriesFailClosedWhereIstioInjects(t *testing.T) {
	for _, byDefault := range []bool{false, true} {
		t.Run(fmt.Sprintf("enableNamespacesByDefault=%t", byDefault), func(t *testing.T) {
			configuration := one[*admissionregistrationv1.MutatingWebhookConfiguration](t,
				render(t, set("mode=forward", fmt.Sprintf("enableNamespacesByDefault=%t", byDefault))...))
			policies := map[string]admissionregistrationv1.FailurePolicyType{}
			for _, w := range configuration.Webhooks {
				policies[w.Name] = *w.FailurePolicy
			}
			closed := map[string]bool{}
			subjects([]string{"bookinfo", "local-path-storage"}, func(s subject) {
				names := matching(t, s, configuration)
				var paths []string
				for _, entry := range entries(append([]string(nil), names...)) {
					paths = append(paths, pathOf(entry))
				}
				if diff := cmp.Diff(entryFor(s, byDefault), paths); diff != "" {
					t.Fatalf("%+v reaches (-want +got):\n%s", s, diff)
				}
				if len(names) == 0 {
					return
				}
				fails := policies[names[0]] == admissionregistrationv1.Fail
				if selected := mayInject(t, s, byDefault); fails != selected {
					t.Fatalf("%+v reaches %s, which fails closed: %t; may be injected: %t", s, names[0], fails, selected)
				}
				closed[names[0]] = fails
			})
			// Without a label a pod can only be in the node's network, or a mirror, which these are not.
			delete(policies, namespacesByDefault+unasked+".pods.revision-router.io")
			if len(closed) != len(policies) {
				t.Errorf("entries met: %v, want all of %v", closed, policies)
			}
		})
	}
}

// mayInject tells whether a webhook of Istio's could choose the pod, whatever revisions and tags there are. A revision
// that does not exist, or an empty one, counts: it is refused where the router answers.
func mayInject(t *testing.T, s subject, byDefault bool) bool {
	t.Helper()
	known := subject{namespace: labels.Merge(s.namespace, nil), pod: labels.Merge(s.pod, nil)}
	for _, set := range []labels.Set{known.namespace, known.pod} {
		if set.Has(routing.LabelRevision) {
			set[routing.LabelRevision] = "canary"
		}
	}
	if inject := s.pod[routing.LabelInject]; inject == "" && s.pod.Has(routing.LabelInject) || inject == "True" || inject == "yes" {
		if !s.namespace.Has(routing.LabelInjection) && !s.namespace.Has(routing.LabelRevision) && !s.pod.Has(routing.LabelRevision) {
			return false
		}
	}
	return len(matching(t, known, istio(byDefault)...)) > 0
}

func TestClientsAreAskedForACertificate(t *testing.T) {
	for name, tc := range map[string]struct {
		value string
		want  corev1.VolumeSource
	}{
		"from a ConfigMap": {"server.clientCA.configMap=clients", corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "clients"}, Items: []corev1.KeyToPath{{Key: "bundle", Path: "ca.crt"}},
		}}},
		"from a Secret": {"server.clientCA.secret=clients", corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: "clients", Items: []corev1.KeyToPath{{Key: "bundle", Path: "ca.crt"}},
		}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := render(t, set(tc.value, "server.clientCA.key=bundle", "server.clientCA.names={kube-apiserver,system:apiserver}")...)
			if got := flagOf(t, r, "client-name"); got != "kube-apiserver,system:apiserver" {
				t.Errorf("--client-name=%s", got)
			}
			var mounted string
			for _, mount := range container(t, r).VolumeMounts {
				if mount.Name == "clients" && mount.SubPath == "" && mount.ReadOnly {
					mounted = mount.MountPath + "/ca.crt"
				}
			}
			if got := flagOf(t, r, "client-ca"); got != mounted {
				t.Errorf("--client-ca=%s, mounted is %q", got, mounted)
			}
			volumes := one[*appsv1.Deployment](t, r).Spec.Template.Spec.Volumes
			if diff := cmp.Diff(tc.want, volumes[len(volumes)-1].VolumeSource); diff != "" {
				t.Errorf("volume (-want +got):\n%s", diff)
			}
		})
	}
	if args := strings.Join(container(t, render(t)).Args, " "); strings.Contains(args, "client") {
		t.Errorf("clients are asked for a certificate without having been told: %s", args)
	}
}

// The API server is asked to create every kind of pod while the Service of the router is not there.
func TestWithoutARouterOnlyPodsThatIstioInjectsWait(t *testing.T) {
	server := connect(t, cluster.Shared(t).Config())
	r := render(t, set("mode=forward")...)
	for _, object := range r.objects {
		if object.GetKind() != "MutatingWebhookConfiguration" {
			continue
		}
		if _, err := server.resource(t, object).Create(t.Context(), object, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			ctx := context.WithoutCancel(t.Context()) // which is done by now
			if err := server.resource(t, object).Delete(ctx, object.GetName(), metav1.DeleteOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
	namespaces := map[string]map[string]string{
		"fails-enabled": {routing.LabelInjection: "enabled"}, "fails-disabled": {routing.LabelInjection: "disabled"},
		"fails-revision": {routing.LabelRevision: "canary"}, "fails-neither": nil,
	}
	for name, set := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: set}}
		if _, err := server.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	awaitRefusal(t, server, "fails-enabled")
	refused, total := 0, 0
	for name, namespaceLabels := range namespaces {
		for _, podLabels := range []labels.Set{
			{},
			{routing.LabelInject: "false"},
			{routing.LabelInject: "true"},
			{routing.LabelInject: "other"},
			{routing.LabelRevision: "canary"},
			{routing.LabelRevision: "canary", routing.LabelInject: "false"},
		} {
			for what, change := range map[string]func(*corev1.Pod){
				"ordinary":                  func(*corev1.Pod) {},
				"in the node's network":     func(p *corev1.Pod) { p.Spec.HostNetwork = true },
				"a mirror of a static pod":  func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} },
				"with another annotation":   func(p *corev1.Pod) { p.Annotations = map[string]string{"a": "b"} },
				"said not to be a host's":   func(p *corev1.Pod) { p.Spec.HostNetwork = false },
				"with a label of no matter": func(p *corev1.Pod) { p.Labels = labels.Merge(p.Labels, labels.Set{"app": "x"}) },
			} {
				pod := minimalPod(podLabels)
				change(pod)
				err := create(t, server, name, pod)
				s := subject{namespace: labels.Merge(labels.Set{metadataName: name}, namespaceLabels), pod: pod.Labels}
				want := mayInject(t, s, false) && !pod.Spec.HostNetwork && pod.Annotations[corev1.MirrorPodAnnotationKey] == ""
				if apierrors.IsInternalError(err) != want || (err == nil) == want {
					t.Errorf("a pod with labels %v in a namespace with %v, %s: %v, want refused: %t", pod.Labels, namespaceLabels, what, err, want)
				}
				total++
				if err != nil {
					refused++
				}
			}
		}
	}
	if refused == 0 || refused == total {
		t.Errorf("%d of %d refused", refused, total)
	}
}

func minimalPod(set labels.Set) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-", Labels: labels.Merge(set, nil)},
		Spec: corev1.PodSpec{
			NodeName: "node", AutomountServiceAccountToken: new(false),
			Containers: []corev1.Container{{Name: "app", Image: "example.com/app"}},
		},
	}
}

func create(t *testing.T, server api, namespace string, pod *corev1.Pod) error {
	t.Helper()
	_, err := server.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// awaitRefusal waits until the API server knows of the configuration.
func awaitRefusal(t *testing.T, server api, namespace string) {
	t.Helper()
	for create(t, server, namespace, minimalPod(nil)) == nil {
		if t.Context().Err() != nil {
			t.Fatal("the configuration has no effect")
		}
	}
}
