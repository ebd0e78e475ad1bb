package sail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/test/cluster"
)

// A revision whose istiod hangs is active, its tag leads to it, and its injector refuses pods: what the recordings
// cannot show, because nothing ran pods there.
func TestTagsLeadToRevisionsThatAreNotReady(t *testing.T) {
	w := newWorld(t, Races{})
	w.must(w.create(istios, "Istio", "default", map[string]any{
		"namespace": "istio-system", "version": "v1.29.6", "updateStrategy": map[string]any{"type": revisionBased},
	}))
	w.must(w.create(tags, "IstioRevisionTag", "default", map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "default"}}))
	w.must(w.label("istio-injection", "enabled"))
	w.must(w.deploy("default-v1-29-6"))
	w.eventually("Istio's own resources are valid", w.serviceEntry)
	w.must(w.gateway("waypoint", nil))
	w.awaitImage("waypoint", "proxyv2:1.29.6")
	w.eventually("the Gateway is programmed", func(ctx context.Context) error {
		found, err := w.client.Resource(gateways).Namespace("bookinfo").Get(ctx, "waypoint", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if conditionOf(found, "Programmed").Status != isTrue {
			return fmt.Errorf("status is %v", found.Object["status"])
		}
		return nil
	})

	w.must(w.patch(istios, "default", `{"spec":{"version":"v1.30.3","values":{"pilot":{"podAnnotations":{"`+cluster.AnnotationReady+`":"false"}}}}}`))
	w.await(tags, "default", "the tag leads to the new revision", func(tag *object) bool {
		return text(tag, "status", "istioRevision") == "default-v1-30-3"
	})
	w.await(istios, "default", "the new revision is active and not ready", func(istio *object) bool {
		return text(istio, "status", "activeRevisionName") == "default-v1-30-3" && conditionOf(istio, ready).Reason == istiodNotReady
	})
	w.eventually("pods are refused", func(ctx context.Context) error {
		_, err := w.kube.CoreV1().Pods("bookinfo").Create(ctx, workload(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil || !strings.Contains(err.Error(), "sidecar-injector.istio.io") {
			return fmt.Errorf("the API server says %w", err)
		}
		return nil
	})
	w.eventually("so are Istio's own resources", func(ctx context.Context) error {
		if err := w.serviceEntry(ctx); err == nil || !strings.Contains(err.Error(), "validation.istio.io") {
			return fmt.Errorf("the API server says %w", err)
		}
		return nil
	})
	if w.operator.Serving("default-v1-30-3") || !w.operator.Serving("default-v1-29-6") {
		t.Error("not the old istiod alone serves")
	}
	w.awaitImage("waypoint", "proxyv2:1.29.6") // Its istiod lost the tag, and the new one does nothing yet.

	w.must(w.patch(istios, "default", `{"spec":{"values":{"pilot":{"podAnnotations":null}}}}`))
	w.awaitInjection("default-v1-30-3")
	w.awaitImage("waypoint", "proxyv2:1.30.3")

	w.must(w.client.Resource(istios).Delete(t.Context(), "default", metav1.DeleteOptions{}))
	w.eventually("everything of the Istio is gone", func(ctx context.Context) error {
		for kind, selector := range map[resource]string{revisions: "", deployments: "app=istiod"} {
			left, err := w.client.Resource(kind).List(ctx, metav1.ListOptions{LabelSelector: selector})
			if err != nil {
				return err
			}
			if len(left.Items) > 0 {
				return fmt.Errorf("%d %s are left", len(left.Items), kind.Resource)
			}
		}
		return nil
	})
	w.await(tags, "default", "the tag has lost its target, and keeps the last one", func(tag *object) bool {
		return conditionOf(tag, reconciled).Reason == refNotFound && text(tag, "status", "istioRevision") == "default-v1-30-3"
	})
}

// The operator's writes are its own: who may do what is decided by the API server, and a refusal shows in the
// conditions until it ends.
func TestTheOperatorWritesUnderItsOwnNameAndReportsRefusals(t *testing.T) {
	w := newWorld(t, Races{})
	w.must(w.refuse("others-make-revisions", admissionregistrationv1.Create, `request.userInfo.username == "`+User+`"`))
	w.must(w.create(istios, "Istio", "default", map[string]any{
		"namespace": "istio-system", "version": "v1.29-latest",
		"values": map[string]any{"global": map[string]any{"operatorManageWebhooks": true}},
	}))
	w.await(revisions, "default", "the alias is resolved, and istiod is ready", func(revision *object) bool {
		return text(revision, "spec", "version") == "v1.29.6" && conditionOf(revision, ready).Status == isTrue
	})
	hooks, err := w.client.Resource(mutating).List(t.Context(), metav1.ListOptions{})
	if err != nil || len(hooks.Items) != 0 {
		t.Errorf("%d mutating configurations (%v), want none under operatorManageWebhooks", len(hooks.Items), err)
	}

	w.must(w.create(istios, "Istio", "other", map[string]any{"namespace": "istio-system", "version": "v1.99-latest"}))
	w.await(istios, "other", "an alias that nobody knows is an error", func(istio *object) bool {
		return conditionOf(istio, reconciled).Reason == reconcileError && text(istio, "status", "activeRevisionName") == ""
	})
	w.must(w.create(tags, "IstioRevisionTag", "third", map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "default"}}))
	w.await(tags, "third", "the tag has its name", func(tag *object) bool { return text(tag, "status", "istioRevision") == "default" })
	w.eventually("creation times differ, which are in seconds", func(ctx context.Context) error {
		tag, err := w.client.Resource(tags).Get(ctx, "third", metav1.GetOptions{})
		if err == nil && time.Since(tag.GetCreationTimestamp().Time) < 2*time.Second {
			err = errors.New("not yet")
		}
		return err
	})
	w.must(w.create(istios, "Istio", "third", map[string]any{"namespace": "istio-system", "version": "v1.29.6"}))
	w.await(istios, "third", "the revision's name is the tag's, which is older", func(istio *object) bool {
		return text(istio, "status", "state") == nameAlreadyExists
	})

	w.operator.SetVersion("v1.29-latest", "v1.29.7")
	w.await(revisions, "default", "the alias has moved", func(revision *object) bool {
		return text(revision, "spec", "version") == "v1.29.7" && text(revision, "status", "state") == healthy
	})
	w.await(istios, "default", "nobody wrote the Istio", func(istio *object) bool {
		return istio.GetGeneration() == 1 && text(istio, "spec", "version") == "v1.29-latest"
	})

	w.must(w.refuse("no-such-version", admissionregistrationv1.Update, `object.spec.version != "v1.30.3"`))
	w.eventually("the refusal is in force", func(ctx context.Context) error {
		patch := []byte(`{"spec":{"version":"v1.30.3"}}`)
		_, err := w.client.Resource(revisions).Patch(ctx, "default", "application/merge-patch+json", patch,
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return errors.New("the write would pass")
		}
		return nil
	})
	w.must(w.patch(istios, "default", `{"spec":{"version":"v1.30.3"}}`))
	w.await(istios, "default", "the refusal shows", func(istio *object) bool {
		c := conditionOf(istio, reconciled)
		return c.Reason == reconcileError && strings.Contains(c.Message, "no-such-version") &&
			text(istio, "status", "activeRevisionName") == "default"
	})
	w.must(w.client.Resource(policyBindings()).Delete(t.Context(), "no-such-version", metav1.DeleteOptions{}))
	w.await(istios, "default", "it recovers", func(istio *object) bool {
		return text(istio, "status", "state") == healthy && conditionOf(istio, reconciled).Status == isTrue
	})
}
