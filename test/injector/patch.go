package injector

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/routing"
)

// ProxyName is the name of the container that an injector adds.
const ProxyName = "istio-proxy"

// annotationStatus is where an injector notes what it added.
const annotationStatus = "sidecar.istio.io/status"

// proxy is what a revision injects.
type proxy struct{ revision, version string }

type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// operations follow the shapes that istiod's patches have (webhook/testdata/injection): maps and lists are added as a whole where
// the pod has none, and key by key, or index by index from the front, where it has some.
func (p proxy) operations(pod *corev1.Pod) []operation {
	status, err := json.Marshal(map[string]any{
		"initContainers": nil, "containers": []string{ProxyName}, "volumes": volumeNames(), "imagePullSecrets": nil,
		"revision": p.revision,
	})
	if err != nil {
		panic(err) // of strings alone
	}
	ops := setKeys("/metadata/annotations", pod.Annotations, map[string]string{
		routing.LabelRevision:  p.revision,
		"prometheus.io/path":   "/stats/prometheus",
		"prometheus.io/port":   "15020",
		"prometheus.io/scrape": "true",
		annotationStatus:       string(status),
	})
	ops = append(ops, setKeys("/metadata/labels", pod.Labels, map[string]string{
		"security.istio.io/tlsMode":           "istio",
		"service.istio.io/canonical-name":     strings.TrimSuffix(pod.Name+pod.GenerateName, "-"),
		"service.istio.io/canonical-revision": "latest",
	})...)
	ops = append(ops, volumes(pod)...)
	return append(ops, p.container(pod))
}

// setKeys adds a map as a whole, or what it lacks key by key in order.
func setKeys(path string, have, want map[string]string) []operation {
	if len(have) == 0 {
		return []operation{{"add", path, want}}
	}
	var ops []operation
	for _, key := range slices.Sorted(maps.Keys(want)) {
		at := path + "/" + strings.ReplaceAll(key, "/", "~1")
		switch value, ok := have[key]; {
		case !ok:
			ops = append(ops, operation{"add", at, want[key]})
		case value != want[key]:
			ops = append(ops, operation{"replace", at, want[key]})
		}
	}
	return ops
}

func volumeNames() []string {
	return []string{"workload-socket", "credential-socket", "istio-envoy", "istio-data"}
}

// volumes come before those of the pod.
func volumes(pod *corev1.Pod) []operation {
	var add []corev1.Volume
	for _, name := range volumeNames() {
		if !slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Name == name }) {
			add = append(add, corev1.Volume{
				Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
			})
		}
	}
	if len(pod.Spec.Volumes) == 0 {
		return []operation{{"add", "/spec/volumes", add}}
	}
	var ops []operation
	for i, v := range add {
		ops = append(ops, operation{"add", fmt.Sprintf("/spec/volumes/%d", i), v})
	}
	return ops
}

func (p proxy) container(pod *corev1.Pod) operation {
	container := corev1.Container{
		Name: ProxyName, Image: "istio/proxyv2:" + strings.TrimPrefix(p.version, "v"),
		Args: []string{"proxy", "sidecar", "--domain", "$(POD_NAMESPACE).svc.cluster.local"},
		Env:  []corev1.EnvVar{{Name: "CA_ADDR", Value: "istiod-" + p.revision + ".istio-system.svc:15012"}},
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name == ProxyName {
			// A second injection or a gateway: the container is replaced, not doubled.
			return operation{"replace", fmt.Sprintf("/spec/containers/%d", i), container}
		}
	}
	return operation{"add", "/spec/containers/-", container}
}
