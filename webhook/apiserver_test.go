package webhook

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/routing"
)

func TestWithARealAPIServer(t *testing.T) {
	w := newWorld(t)
	prod := w.namespace(t, map[string]string{routing.LabelRevision: "prod"})
	slip := w.namespace(t, map[string]string{routing.LabelRevision: "prdo"})
	plain := w.namespace(t, nil)
	w.await(t, func(ctx context.Context) error {
		pod, err := w.create(ctx, prod, nil)
		if err == nil && pod.Labels[routing.LabelRoutedRevision] == "" {
			err = errors.New("the pod is not routed yet")
		}
		return err
	})

	t.Run("a routed pod carries the marks, and the audit log the decision", func(t *testing.T) {
		pod, err := w.create(t.Context(), prod, map[string]string{"app": "web"})
		if err != nil {
			t.Fatal(err)
		}
		wantLabels := map[string]string{
			"app": "web", routing.LabelRoutedRevision: "default-v1-30-3", routing.LabelRoutedVersion: "v1.30.3",
		}
		wantAnnotations := map[string]string{routing.AnnotationReason: "NamespaceRevision", routing.AnnotationTag: "prod"}
		if diff := cmp.Diff(wantLabels, pod.Labels); diff != "" {
			t.Errorf("labels (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(wantAnnotations, pod.Annotations); diff != "" {
			t.Errorf("annotations (-want +got):\n%s", diff)
		}
		w.wantAudit(t, `"namespace-revision.pods.revision-router.io/decision":"Inject"`,
			`"namespace-revision.pods.revision-router.io/reason":"NamespaceRevision"`,
			`"namespace-revision.pods.revision-router.io/revision":"default-v1-30-3"`,
			`"namespace-revision.pods.revision-router.io/tag":"prod"`)
	})
	t.Run("a slip is refused, and the user reads why", func(t *testing.T) {
		_, err := w.create(t.Context(), slip, nil)
		want := `admission webhook "namespace-revision.pods.revision-router.io" denied the request: UnknownRevision: pod "web-*" in namespace ` +
			slip + ` is refused: the namespace's label istio.io/rev=prdo names neither a revision nor a tag that exists. ` +
			`The mesh has default-v1-29-6, default-v1-30-3 and prod. Did you mean "prod"? ` +
			`Next: kubectl label namespace ` + slip + ` istio.io/rev=prod --overwrite`
		if !apierrors.IsForbidden(err) || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	})
	t.Run("a warning reaches the user", func(t *testing.T) {
		w.takeWarnings()
		if _, err := w.create(t.Context(), prod, map[string]string{routing.LabelRevision: "canary"}); err != nil {
			t.Fatal(err)
		}
		want := []string{"pod label istio.io/rev=canary has no effect: the namespace's istio.io/rev=prod decides"}
		if diff := cmp.Diff(want, w.takeWarnings()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
	t.Run("a pod outside the mesh passes untouched", func(t *testing.T) {
		pod, err := w.create(t.Context(), plain, nil)
		if err != nil || len(pod.Labels)+len(pod.Annotations) > 0 {
			t.Errorf("labels %v, annotations %v, error %v", pod.GetLabels(), pod.GetAnnotations(), err)
		}
	})
	w.testErrors(t, prod)
	t.Run("what a real API server sends takes the fast path", w.testFastPath)
}

// testErrors is about the answers after which a pod is not created.
func (w *world) testErrors(t *testing.T, prod string) {
	t.Helper()
	t.Run("503 with Retry-After is tried again inside the deadline", func(t *testing.T) {
		w.nilMeshes.Store(1)
		if _, err := w.create(t.Context(), prod, nil); err != nil {
			t.Errorf("the pod is lost to a router that was not ready for one call: %v", err)
		}
	})
	t.Run("a router that stays unready is left to the failurePolicy", func(t *testing.T) {
		w.nilMeshes.Store(1000)
		defer w.nilMeshes.Store(0)
		// The API server tries until its deadline, so that the user sees the deadline and not the reason.
		if _, err := w.create(t.Context(), prod, nil); !apierrors.IsInternalError(err) {
			t.Errorf("error %v, want an internal error (the failurePolicy is Fail)", err)
		}
	})
	t.Run("an error that waiting does not mend reaches the user in the router's words", func(t *testing.T) {
		w.configureV1beta1(t, prod)
		const want = "revision-router: the body is a \"admission.k8s.io/v1beta1\" \"AdmissionReview\", want admission.k8s.io/v1"
		w.await(t, func(ctx context.Context) error {
			if _, err := w.create(ctx, prod, map[string]string{"review": "v1beta1"}); err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Errorf("error %w, want %q in it", err, want)
			}
			return nil
		})
	})
	t.Run("a namespace that changes is a conflict", func(t *testing.T) {
		changed := routing.NamespaceOf(prod, map[string]string{routing.LabelInjection: "enabled"})
		w.live.Store(&changed)
		defer w.live.Store(nil)
		if _, err := w.create(t.Context(), prod, nil); !apierrors.IsConflict(err) {
			t.Errorf("error %v, want a conflict", err)
		}
	})
}

func (w *world) testFastPath(t *testing.T) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, body := range w.bodies {
		if strings.Contains(string(body), "v1beta1") {
			continue
		}
		var p podReview
		s := scanner{data: body}
		if s.review(&p, true); s.err != nil {
			t.Errorf("%v: %s", s.err, body)
		}
		checkDecode(t, body)
		checkTyped(t, body)
	}
	if len(w.bodies) < 6 {
		t.Errorf("only %d reviews came", len(w.bodies))
	}
}
