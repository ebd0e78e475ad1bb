//go:build chaos

package chaos

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/test/load"
)

// noReplica deletes every replica while pods are created, with both failure policies, and looks at what the user
// sees. Then replicas start, which nobody may have to help. Rows 1 to 4 of the catalogue.
func noReplica(w *world) result {
	t := w.t
	w.scale(t, 2)
	g, stop := w.load(t)
	w.sleep(2 * time.Second)
	if before := g.Report(); before.Failed() > 0 {
		t.Errorf("failed before anything was done:\n%s", before.Failures())
	}
	w.scale(t, 0)
	if err := w.routers().Stopped(); err != nil {
		t.Error(err)
	}
	text := w.seenWithFail(t)
	w.exemptPodsStart(t)

	w.failurePolicy(t, "Ignore")
	w.eventually(t, 10*time.Second, "Ignore is in force", func(ctx context.Context) error {
		_, err := w.pod(ctx, shop, true)
		return err
	})
	if got, err := w.pod(w.ctx, desk, false); err != nil || got != "" {
		t.Errorf("with Ignore a pod leads to %q: %v", got, err)
	}
	w.sleep(2 * time.Second)
	w.failurePolicy(t, "Fail")

	began := time.Now()
	w.scale(t, 2)
	w.routed(t, revision)
	healed := time.Since(began)
	during := stop()
	for answer := range during.Counts {
		switch answer {
		case load.Admitted, load.NotCalled, load.Unmarked:
		default:
			t.Errorf("answers of another kind:\n%s", during.Failures())
		}
	}
	_, stop = w.load(t)
	w.sleep(3 * time.Second)
	noneFailed(t, stop())
	say("what a user sees with failurePolicy Fail:\n    %s", text)
	res := of(during)
	res.done = "all replicas deleted under load, Fail and Ignore; restarted"
	res.figure = fmt.Sprintf("Fail %d refused, Ignore %d admitted unmarked; healed %.1f s after the start of a replica",
		during.Counts[load.NotCalled], during.Counts[load.Unmarked], healed.Seconds())
	return res
}

// seenWithFail waits until a pod of the mesh is refused because nobody listens, and returns what the user is told.
func (w *world) seenWithFail(t *testing.T) string {
	t.Helper()
	const prefix = `Internal error occurred: failed calling webhook "namespace-injection.pods.revision-router.io"`
	var text string
	w.eventually(t, 10*time.Second, "pods of the mesh are refused", func(ctx context.Context) error {
		_, err := w.pod(ctx, shop, true)
		if err == nil {
			return errors.New("a pod was admitted")
		}
		text = err.Error()
		if !strings.Contains(text, "connection refused") {
			return err
		}
		return nil
	})
	if !strings.HasPrefix(text, prefix) {
		t.Errorf("the user is told %q, want it to begin with %q", text, prefix)
	}
	return text
}

// exemptPodsStart creates, for good, the pods that a cluster must be able to start without the router: its own as
// the Deployment's ReplicaSet would, and those of the system, the control planes and cert-manager.
func (w *world) exemptPodsStart(t *testing.T) {
	t.Helper()
	for _, namespace := range []string{"revision-router", "kube-system", "istio-system", "cert-manager"} {
		if _, err := w.pod(w.ctx, namespace, false); err != nil {
			t.Errorf("without a replica, a pod of namespace %s: %v", namespace, err)
		}
	}
	// Even if somebody has put the router's namespace into the mesh, or taken it to another one.
	own := somePod(shop)
	own.Labels = map[string]string{"app.kubernetes.io/name": "revision-router"}
	if _, err := w.kube.CoreV1().Pods(shop).Create(w.ctx, own, metav1.CreateOptions{}); err != nil {
		t.Errorf("without a replica, a pod of the router's in a namespace of the mesh: %v", err)
	}
	if _, err := w.pod(w.ctx, corev1.NamespaceDefault, false); err != nil {
		t.Errorf("without a replica, a pod that has nothing to do with a mesh: %v", err)
	}
}

// failurePolicy sets it in every webhook for pods that the chart rendered with Fail. Others always have Ignore.
func (w *world) failurePolicy(t *testing.T, policy string) {
	t.Helper()
	client := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	current, err := client.Get(w.ctx, mutatingConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var patch []string
	for i := range current.Webhooks {
		if !w.closed[current.Webhooks[i].Name] {
			continue
		}
		patch = append(patch, fmt.Sprintf(`{"op":"replace","path":"/webhooks/%d/failurePolicy","value":%q}`, i, policy))
	}
	body := []byte("[" + strings.Join(patch, ",") + "]")
	if _, err := client.Patch(w.ctx, mutatingConfiguration, types.JSONPatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

// webhookTimeout is that of the first webhook for pods; all have the same.
func (w *world) webhookTimeout(t *testing.T) time.Duration {
	t.Helper()
	current, err := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(w.ctx, mutatingConfiguration, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(*current.Webhooks[0].TimeoutSeconds) * time.Second
}

// takenOutOfTheWay carries out the emergency command under load. Afterwards pods are admitted without the router's
// marks, and none of them is refused at any moment. Row 36.
func takenOutOfTheWay(w *world) result {
	t := w.t
	w.scale(t, 2)
	g, stop := w.load(t)
	w.sleep(2 * time.Second)
	configurations := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := configurations.Delete(w.ctx, mutatingConfiguration, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w.eventually(t, 20*time.Second, "pods go past the router", func(ctx context.Context) error {
		got, err := w.pod(ctx, shop, true)
		if err == nil && got != "" {
			err = errors.New("a pod was marked")
		}
		return err
	})
	took := time.Since(began)
	// The replicas must not mind: a configuration that does not exist needs nothing.
	w.sleep(2 * time.Second)
	if ready := w.routers().Service.Ready(); ready != 2 {
		t.Errorf("%d of 2 replicas are ready without the configuration", ready)
	}
	if _, err := configurations.Get(w.ctx, mutatingConfiguration, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the configuration came back: %v", err)
	}
	if n := g.Report().Counts[load.Unmarked]; n == 0 {
		t.Error("no pod of the load went past the router")
	}
	report := stop()
	if refused := report.Failed() - report.Counts[load.Unmarked]; refused > 0 {
		t.Errorf("%d pods were refused:\n%s", refused, report.Failures())
	}
	res := of(report)
	res.failures -= report.Counts[load.Unmarked] // that is what the command is for
	res.done = "kubectl delete mutatingwebhookconfiguration, under load"
	res.figure = fmt.Sprintf("in force after %.2f s; 0 refused, %d admitted past the router", took.Seconds(), report.Counts[load.Unmarked])
	return res
}
