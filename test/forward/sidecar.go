package forward

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// annotationStatus is where an injector notes what it added.
const annotationStatus = "sidecar.istio.io/status"

// Sidecar tells of which revision a pod's sidecar is; empty where it has none. Everything on the pod has to say the
// same: the marks of the router, the notes of the injector and the container itself. An error tells what does not, such
// as two sidecars, or the sidecar of one revision with the notes of another.
func Sidecar(pod *corev1.Pod) (revision string, err error) {
	var proxies []corev1.Container
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if list[i].Name == injector.ProxyName {
				proxies = append(proxies, list[i])
			}
		}
	}
	said := []string{pod.Labels[routing.LabelRoutedRevision], pod.Annotations[routing.LabelRevision], noted(pod)}
	switch len(proxies) {
	case 0:
		if all := strings.Join(said, ""); all != "" {
			return "", fmt.Errorf("it has no sidecar, and says it has one: %q", said)
		}
		return "", nil
	case 1:
	default:
		return "", fmt.Errorf("it has %d sidecars", len(proxies))
	}
	for _, other := range said {
		if other != said[0] || other == "" {
			return "", fmt.Errorf("label %s, annotation %s and status name %q, want one revision", routing.LabelRoutedRevision, routing.LabelRevision, said)
		}
	}
	return said[0], fits(&proxies[0], pod)
}

// noted is the revision that the injector noted in its status.
func noted(pod *corev1.Pod) string {
	var status struct{ Revision string }
	if err := json.Unmarshal([]byte(pod.Annotations[annotationStatus]), &status); err != nil {
		return ""
	}
	return status.Revision
}

// fits holds the container to the revision and the version that the pod's labels state.
func fits(proxy *corev1.Container, pod *corev1.Pod) error {
	version := strings.TrimPrefix(pod.Labels[routing.LabelRoutedVersion], "v")
	if version == "" || !strings.HasSuffix(proxy.Image, ":"+version) {
		return fmt.Errorf("its sidecar is %s, and its label says version %q", proxy.Image, version)
	}
	for _, e := range proxy.Env {
		if e.Name == "CA_ADDR" {
			if !strings.HasPrefix(e.Value, "istiod-"+pod.Labels[routing.LabelRoutedRevision]+".") {
				return fmt.Errorf("its sidecar asks %s for a certificate", e.Value)
			}
			return nil
		}
	}
	return errors.New("its sidecar has no CA_ADDR")
}
