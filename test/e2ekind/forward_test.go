//go:build kind

package e2ekind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/load"
)

// testInstallForward makes the mesh anew for forward mode, with two revisions, and installs the router.
func (w *world) testInstallForward(t *testing.T) {
	w.uninstall(t)
	w.removeMesh(t)
	w.installMesh(t, map[string]any{"global": map[string]any{"operatorManageWebhooks": true}})
	w.patchSail(t, "istios", "default", map[string]any{"spec": map[string]any{"version": newVersion}})
	w.rolledOut(t, controlPlane, "istiod-"+newRevision, 2)
	w.install(t, "mode=forward")
	w.routes(t, oldRevision)
}

// testForward takes the injectors of one revision away and brings them back.
func (w *world) testForward(t *testing.T) {
	w.patchSail(t, "istiorevisiontags", prod, map[string]any{"spec": leadsTo(newRevision)})
	w.routes(t, newRevision)
	t.Run("the target is scaled to zero and the tag falls back", func(t *testing.T) {
		w.scale(t, controlPlane, "istiod-"+newRevision, 0)
		pod := w.routes(t, oldRevision)
		if got := pod.Annotations[routing.AnnotationFollowed]; got != string(routing.FollowedLastGood) {
			t.Errorf("the pod says it followed %q, want %q", got, routing.FollowedLastGood)
		}
	})
	t.Run("both are, and pods are refused", func(t *testing.T) {
		w.scale(t, controlPlane, "istiod-"+oldRevision, 0)
		var refusal string
		eventually(t, "pods are refused", func(ctx context.Context) error {
			revision, _, err := w.ask(ctx)
			if err == nil || errors.Is(err, errNotRouted) {
				return fmt.Errorf("they get %q: %w", revision, err)
			}
			if refusal = err.Error(); !strings.Contains(refusal, string(routing.NotRoutable)) {
				return fmt.Errorf("not with %s: %w", routing.NotRoutable, err)
			}
			return nil
		})
		for _, want := range []string{prod, newRevision, shop, "Next: "} {
			if !strings.Contains(refusal, want) {
				t.Errorf("the refusal does not say %q: %s", want, refusal)
			}
		}
		w.outside(t)
	})
	t.Run("they come back", func(t *testing.T) {
		w.scale(t, controlPlane, "istiod-"+oldRevision, 2)
		w.routes(t, oldRevision)
		w.scale(t, controlPlane, "istiod-"+newRevision, 2)
		w.routes(t, newRevision)
	})
	t.Run("a new workload runs with the sidecar of the new revision", func(t *testing.T) {
		if _, err := w.kube.AppsV1().Deployments(shop).Create(t.Context(), deployment(shop, "late", 1), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		w.rolledOut(t, shop, "late", 1)
	})
	t.Run("the istiods are restarted under load", func(t *testing.T) {
		r := w.underLoad(t, "istiods restarted, forward mode", []string{newRevision}, func(*load.Generator) {
			w.restart(t, controlPlane, "istiod-"+newRevision)
			w.rolledOut(t, controlPlane, "istiod-"+newRevision, 2)
		})
		noneFailed(t, r)
	})
}

// outside: a pod that asks for nothing never waits for the router.
func (w *world) outside(t *testing.T) {
	t.Helper()
	pod, err := w.kube.CoreV1().Pods("default").Create(t.Context(), aPod("default"), dryRun())
	if err != nil || hasSidecar(pod) {
		t.Errorf("a pod outside the mesh: %v", err)
	}
}

func (w *world) testRollingUpdateForward(t *testing.T) {
	w.rollingUpdate(t, "rolling update, forward mode", newRevision)
}

// testZeroInForwardMode: with failurePolicy Fail there is no pod without its sidecar.
func (w *world) testZeroInForwardMode(t *testing.T) {
	w.noRouter(t)
	_, pod, err := w.ask(t.Context())
	if err == nil || pod != nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Fatalf("a pod of the mesh while there is no router: %v, want it refused because the webhook cannot be called", err)
	}
	t.Logf("a pod of the mesh is refused: %v", err)
	w.results.figure("Scaled to zero in forward mode: a pod of the mesh is refused: `%s`", err)
	w.outside(t)
	w.comesBack(t, newRevision)
}
