package sail

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/test/cluster"
)

// A roll-out on the nodes can hang, and with OnDelete waits for whoever drains them: two versions run at once.
func TestDaemonSetsHangAndWait(t *testing.T) {
	w := newWorld(t, Races{})
	w.must(w.create(istios, "Istio", "default", map[string]any{"namespace": "istio-system", "version": "v1.29.6", "profile": "ambient"}))
	w.must(w.create(cnis, "IstioCNI", "default", map[string]any{"namespace": "istio-cni", "version": "v1.29-latest", "profile": "ambient"}))
	w.must(w.create(ztunnels, "ZTunnel", "default", map[string]any{
		"namespace": "ztunnel", "version": "v1.29.6", "targetRef": map[string]any{"kind": "Istio", "name": "default"},
		"values": map[string]any{"ztunnel": map[string]any{"updateStrategy": map[string]any{"type": "OnDelete"}}},
	}))
	isHealthy := func(o *object) bool { return text(o, "status", "state") == healthy }
	w.await(istios, "default", "all of ambient mode is healthy", isHealthy)
	w.await(ztunnels, "default", "ZTunnel names its revision", func(o *object) bool { return text(o, "status", "istioRevision") == "default" })
	w.awaitPodImages("istio-cni", "install-cni:1.29.6-distroless", "install-cni:1.29.6-distroless")

	w.must(w.patch(cnis, "default", `{"spec":{"version":"v1.30.3","values":{"cni":{"podAnnotations":{"`+cluster.AnnotationReady+`":"false"}}}}}`))
	w.await(cnis, "default", "the roll-out hangs", func(o *object) bool {
		return o.GetGeneration() == number(o, 0, "status", "observedGeneration") && text(o, "status", "state") == daemonSetNotReady
	})
	w.awaitPodImages("istio-cni", "install-cni:1.29.6-distroless", "install-cni:1.30.3-distroless")
	w.must(w.patch(cnis, "default", `{"spec":{"values":{"cni":{"podAnnotations":null}}}}`))
	w.awaitPodImages("istio-cni", "install-cni:1.30.3-distroless", "install-cni:1.30.3-distroless")
	w.await(cnis, "default", "it recovers", isHealthy)

	w.must(w.patch(ztunnels, "default", `{"spec":{"version":"v1.30.3"}}`))
	w.await(ztunnels, "default", "the operator is done", func(o *object) bool {
		return o.GetGeneration() == number(o, 0, "status", "observedGeneration") && isHealthy(o)
	})
	old := w.awaitPodImages("ztunnel", "ztunnel:1.29.6-distroless", "ztunnel:1.29.6-distroless")
	w.must(w.pods("ztunnel").Delete(t.Context(), old[0], metav1.DeleteOptions{}))
	w.awaitPodImages("ztunnel", "ztunnel:1.29.6-distroless", "ztunnel:1.30.3-distroless")
	w.must(w.client.Resource(cnis).Delete(t.Context(), "default", metav1.DeleteOptions{}))
	w.awaitPodImages("istio-cni")
}

func (w *world) pods(namespace string) dynamic.ResourceInterface {
	return w.client.Resource(pods).Namespace(namespace)
}

// awaitPodImages waits until the pods of a namespace have images that end so, in order of these, and returns their
// names in the same order.
func (w *world) awaitPodImages(namespace string, images ...string) []string {
	w.t.Helper()
	var names []string
	w.eventually(fmt.Sprintf("%s runs %v", namespace, images), func(ctx context.Context) error {
		list, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		names = nil
		var found []string
		for _, image := range images {
			for i := range list.Items {
				pod := &list.Items[i]
				if strings.HasSuffix(pod.Spec.Containers[0].Image, image) && !slices.Contains(names, pod.Name) {
					names, found = append(names, pod.Name), append(found, image)
					break
				}
			}
		}
		if len(found) != len(images) || len(list.Items) != len(images) {
			return fmt.Errorf("%d pods, of which %v", len(list.Items), found)
		}
		return nil
	})
	return names
}
