//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/local"
)

// testPrecedence: the policy lets pods of a team's namespaces choose for themselves.
func (w *forwardWorld) testPrecedence(t *testing.T) {
	cases := map[string]struct {
		namespace, pod labels
		want           string
	}{
		"a pod of the team leaves the revision of its namespace": {labels{rev: prod, "team": "free"}, labels{rev: newRevision}, newRevision},
		"a pod of the team that names none stays":                {labels{rev: prod, "team": "free"}, nil, oldRevision},
		"a pod of others stays":                                  {labels{rev: prod, "team": "bound"}, labels{rev: newRevision}, oldRevision},
		"istio-injection is stronger":                            {labels{injection: "enabled", "team": "free"}, labels{rev: newRevision}, oldRevision},
	}
	n := 0
	for name, tc := range cases {
		n++
		namespace := fmt.Sprintf("precedence-%d", n)
		w.namespace(t, namespace, tc.namespace)
		t.Run(name, func(t *testing.T) {
			got, err := w.sidecar(t.Context(), aPod(namespace, "shop", tc.pod))
			if err != nil || got != tc.want {
				t.Errorf("the sidecar is of %q, %v, want %q", got, err, tc.want)
			}
		})
	}
}

// testRemote: a revision of which the cluster holds no Service and no endpoints, but a URL.
func (w *forwardWorld) testRemote(t *testing.T) {
	w.must(t, w.mesh.InstallRevision(t.Context(), remoteRevision))
	w.namespace(t, "remote", labels{rev: remoteRevision})
	pod := aPod("remote", "shop", nil)
	injected := func(ctx context.Context) error {
		got, err := w.sidecar(ctx, pod)
		if err == nil && got != remoteRevision {
			err = fmt.Errorf("the sidecar is of %q", got)
		}
		return err
	}
	eventually(t, "the pod has the sidecar of the remote revision", injected)

	w.must(t, w.mesh.Stop(remoteRevision))
	got, err := w.sidecar(t.Context(), pod)
	if err == nil {
		t.Errorf("without its injector the pod was admitted, with the sidecar of %q", got)
	} else {
		for _, want := range []string{"shop-", `namespace "remote"`, `revision "far"`, "No other revision is used instead", "Next: kubectl get "} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("the refusal does not say %q: %v", want, err)
			}
		}
	}
	w.must(t, w.mesh.Resume(remoteRevision))
	eventually(t, "the pod has the sidecar of the remote revision again", injected)
}

// testOverlap: with a webhook of Istio's in the way a replica that starts does not become ready, and says which it is;
// those that are ready go on, and say so as well.
func (w *forwardWorld) testOverlap(t *testing.T) {
	ctx, routers := t.Context(), w.env.Deployment
	url := "https://127.0.0.1:1/inject"
	overlap := injector.TagConfiguration(prod, injector.Target{
		Revision: oldRevision, ClientConfig: admissionregistrationv1.WebhookClientConfig{URL: &url},
	})
	client := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if _, err := client.Create(ctx, overlap, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := routers.Replicas()
	scaled := make(chan error, 1)
	go func() { scaled <- routers.Scale(ctx, len(before)+1) }()
	names := []string{overlap.Name, "rev.namespace.sidecar-injector.istio.io", "Next: "}
	eventually(t, "the new replica says what is in its way", func(ctx context.Context) error {
		all := routers.Replicas()
		if len(all) == len(before) {
			return errors.New("it was not started yet")
		}
		return readiness(ctx, all[len(before)], http.StatusInternalServerError, names)
	})
	for _, r := range before {
		eventually(t, "a replica that is ready says it", func(ctx context.Context) error {
			return readiness(ctx, r, http.StatusOK, names)
		})
	}
	if n := routers.Service.Ready(); n != len(before) {
		t.Errorf("%d replicas are in the Service, want %d", n, len(before))
	}
	w.must(t, client.Delete(ctx, overlap.Name, metav1.DeleteOptions{}))
	if err := <-scaled; err != nil {
		t.Errorf("with the webhook gone: %v", err)
	}
	w.must(t, routers.Scale(ctx, len(before)))
}

// readiness holds what a replica says of its readiness to a status and some words.
func readiness(ctx context.Context, r *local.Replica, status int, words []string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Health+"/readyz?verbose", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	for _, word := range words {
		if response.StatusCode != status || !strings.Contains(string(body), word) {
			return fmt.Errorf("%s, want %d and %q: %s", response.Status, status, word, body)
		}
	}
	return nil
}

// storedPods lists what was stored in namespaces.
func (w *forwardWorld) storedPods(t *testing.T, namespaces []string) []corev1.Pod {
	t.Helper()
	var all []corev1.Pod
	for _, namespace := range namespaces {
		list, err := w.kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, list.Items...)
	}
	return all
}
