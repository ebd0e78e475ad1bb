package scenario

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/recorded"
)

// NewRevision is the revision that the walks end with.
const NewRevision = newRevision

const (
	oldRevision, oldVersion = "default-v1-29-6", "v1.29.6"
	newRevision, newVersion = "default-v1-30-3", "v1.30.3"

	istiosPath    = "/apis/sailoperator.io/v1/istios"
	revisionsPath = "/apis/sailoperator.io/v1/istiorevisions"
	tagsPath      = "/apis/sailoperator.io/v1/istiorevisiontags"
)

// RevisionBasedWithTag walks through "RevisionBased strategy and IstioRevisionTag" of the update guide (2.3.4 and
// 2.3.5) with Bookinfo, then through what goes wrong without the router: a misspelt revision label.
func RevisionBasedWithTag(ctx context.Context, env Env) error {
	r, err := newRun(env, recorded.RevisionBasedTag)
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{
		r.installWithTag, r.deployBookinfo, r.updateControlPlane, r.restartWorkloads, r.misspeltRevision, r.pruneOldRevision,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return r.summary()
}

func (r *run) installWithTag(ctx context.Context) error {
	r.title("Install Istio %s with the RevisionBased strategy and the tag default (guide 2.3.4)", oldVersion)
	if err := r.namespace(ctx, "istio-system", nil); err != nil {
		return err
	}
	r.command("kubectl apply -f istio.yaml -f istiorevisiontag.yaml")
	if err := r.play(ctx, "apply Istio default v1.29.6 RevisionBased"); err != nil {
		return err
	}
	if err := r.installRevision(ctx, oldRevision, oldVersion); err != nil {
		return err
	}
	if err := r.play(ctx, "apply IstioRevisionTag default -> Istio default"); err != nil {
		return err
	}
	if err := r.pointTag(ctx, routing.DefaultRevision, oldRevision, oldVersion); err != nil {
		return err
	}
	if err := r.play(ctx, "apply IstioCNI default"); err != nil {
		return err
	}
	r.command("kubectl get istio")
	if err := r.tables.get(ctx, istiosPath); err != nil {
		return err
	}
	r.command("kubectl get istiorevisiontag")
	return r.tables.get(ctx, tagsPath)
}

func (r *run) deployBookinfo(ctx context.Context) error {
	r.title("Deploy Bookinfo in a namespace with istio-injection=enabled")
	r.command("kubectl label namespace bookinfo istio-injection=enabled")
	labels := map[string]string{routing.LabelInjection: "enabled"}
	if err := r.namespace(ctx, "bookinfo", labels); err != nil {
		return err
	}
	if err := r.play(ctx, "label ns bookinfo istio-injection=enabled"); err != nil {
		return err
	}
	if err := r.waitRouted(ctx, "bookinfo", oldRevision); err != nil {
		return err
	}
	r.command("kubectl apply -n bookinfo -f bookinfo.yaml")
	if err := r.roll(ctx, "bookinfo", "7d775cb4f6"); err != nil {
		return err
	}
	if err := r.showPods(ctx); err != nil {
		return err
	}
	return r.checkPods(ctx, "bookinfo", oldRevision, oldVersion)
}

func (r *run) updateControlPlane(ctx context.Context) error {
	r.title("Update the control plane to %s (guide 2.3.5)", newVersion)
	r.command(`kubectl patch istio default --type=merge -p '{"spec":{"version":"%s"}}'`, newVersion)
	if err := r.play(ctx, "patch Istio default v1.30.3"); err != nil {
		return err
	}
	if err := r.installRevision(ctx, newRevision, newVersion); err != nil {
		return err
	}
	if err := r.pointTag(ctx, routing.DefaultRevision, newRevision, newVersion); err != nil {
		return err
	}
	r.command("kubectl get istiorevision")
	if err := r.tables.get(ctx, revisionsPath); err != nil {
		return err
	}
	r.command("kubectl get istiorevisiontag")
	if err := r.tables.get(ctx, tagsPath); err != nil {
		return err
	}
	if err := r.waitRouted(ctx, "bookinfo", newRevision); err != nil {
		return err
	}
	r.check(true, "the tag default leads new pods to %s; the pods that run keep their sidecars", newRevision)
	return r.checkPods(ctx, "bookinfo", oldRevision, oldVersion)
}

func (r *run) restartWorkloads(ctx context.Context) error {
	r.title("Restart the workloads")
	r.command("kubectl rollout restart deployment -n bookinfo")
	if err := r.roll(ctx, "bookinfo", "5b896f8544"); err != nil {
		return err
	}
	if err := r.play(ctx, "restart: old pod deleted"); err != nil {
		return err
	}
	if err := r.showPods(ctx); err != nil {
		return err
	}
	return r.checkPods(ctx, "bookinfo", newRevision, newVersion)
}

func (r *run) misspeltRevision(ctx context.Context) error {
	r.title("A namespace with a misspelt revision")
	if err := r.misspeltNamespace(ctx); err != nil {
		return err
	}
	pod := workload{"cart", "v1"}.pod("shop", "7c4b6b857")
	r.command("kubectl apply -n shop -f cart.yaml")
	_, err := r.kube.CoreV1().Pods("shop").Create(ctx, pod, metav1.CreateOptions{})
	if err != nil {
		r.denied(err)
	}
	r.check(apierrors.IsForbidden(err), "the pod is refused; without the router it would run without a sidecar")
	r.check(err != nil && strings.Contains(err.Error(), "istio.io/rev") && strings.Contains(err.Error(), "defualt") &&
		strings.Contains(err.Error(), "UnknownRevision"), "the message names the label, its value and the reason")

	r.command("kubectl label namespace shop istio.io/rev=default --overwrite")
	if err := r.relabel(ctx, "shop", routing.LabelRevision, "default"); err != nil {
		return err
	}
	if err := r.waitRouted(ctx, "shop", newRevision); err != nil {
		return err
	}
	created, err := r.kube.CoreV1().Pods("shop").Create(ctx, pod, metav1.CreateOptions{})
	r.check(err == nil && created.Labels[routing.LabelRoutedRevision] == newRevision,
		"with the label mended the same pod is admitted, with a sidecar of %s", newRevision)

	plain := workload{"batch", "v1"}.pod("shop", "x")
	plain.Labels[routing.LabelRevision] = newRevision
	created, err = r.kube.CoreV1().Pods("shop").Create(ctx, plain, metav1.CreateOptions{})
	r.check(err == nil && created.Labels[routing.LabelRevision] == newRevision,
		"istio.io/rev on a pod stays what the user wrote")
	return nil
}

// misspeltNamespace makes the namespace as it may stand in a cluster since before the router: the router itself
// refuses the label, unless somebody overrides it.
func (r *run) misspeltNamespace(ctx context.Context) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", Labels: map[string]string{routing.LabelRevision: "defualt"},
	}}
	r.command("kubectl apply -f shop.yaml # a Namespace with istio.io/rev=defualt")
	_, err := r.kube.CoreV1().Namespaces().Create(ctx, ns.DeepCopy(), metav1.CreateOptions{})
	if err != nil {
		r.denied(err)
	}
	r.check(apierrors.IsForbidden(err), "the namespace is refused already, where its label is written")

	r.command("kubectl annotate -f shop.yaml %s='as it stood before the router' # for the sake of the argument",
		skew.AnnotationOverride)
	ns.Annotations = map[string]string{skew.AnnotationOverride: "as it stood before the router"}
	if _, err := r.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace shop: %w", err)
	}
	return nil
}

func (r *run) relabel(ctx context.Context, namespace, key, value string) error {
	client := r.kube.CoreV1().Namespaces()
	ns, err := client.Get(ctx, namespace, metav1.GetOptions{})
	if err != nil {
		return err
	}
	ns.Labels[key] = value
	_, err = client.Update(ctx, ns, metav1.UpdateOptions{})
	return err
}

func (r *run) pruneOldRevision(ctx context.Context) error {
	r.title("The old revision is gone after its grace period, and nothing needs it")
	// The recording holds the pruning within the step that restarted the workloads.
	if err := r.removeRevision(ctx, oldRevision); err != nil {
		return err
	}
	r.command("kubectl get istiorevision")
	if err := r.tables.get(ctx, revisionsPath); err != nil {
		return err
	}
	pinned := workload{"pinned", "v1"}.pod("default", "x")
	pinned.Labels[routing.LabelRevision] = oldRevision
	err := r.eventually(ctx, func() error {
		_, err := r.kube.CoreV1().Pods("default").
			Create(ctx, pinned.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
	r.check(apierrors.IsForbidden(err), "a pod that still names %s is refused", oldRevision)
	if err != nil {
		r.denied(err)
	}
	return nil
}

// eventually repeats try until it fails, and returns that error; nil if it went on succeeding.
func (r *run) eventually(ctx context.Context, try func() error) error {
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := try(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-deadline.C:
			return nil
		case <-tick.C:
		}
	}
}

func (r *run) showPods(ctx context.Context) error {
	r.command("kubectl get pods -A -L %s,%s", routing.LabelRoutedRevision, routing.LabelRoutedVersion)
	return r.tables.get(ctx, "/api/v1/pods", routing.LabelRoutedRevision, routing.LabelRoutedVersion)
}
