package scenario

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// workload is one Deployment of Bookinfo, of which the demo creates the pods as its ReplicaSet would.
type workload struct{ app, version string }

// bookinfo is Istio's sample application.
func bookinfo() []workload {
	return []workload{
		{"details", "v1"},
		{"productpage", "v1"},
		{"ratings", "v1"},
		{"reviews", "v1"},
		{"reviews", "v2"},
		{"reviews", "v3"},
	}
}

// pod is what a ReplicaSet of the workload would create. The suffix tells the pods of one roll-out from those of
// the next.
func (w workload) pod(namespace, suffix string) *corev1.Pod {
	name := w.app + "-" + w.version
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace,
			Name:      name + "-" + suffix,
			Labels:    map[string]string{"app": w.app, "version": w.version},
		},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: w.app, Image: "bookinfo/" + name + ":1.20.3"}},
			// No kubelet runs here, and no controller either.
			AutomountServiceAccountToken: new(false),
		},
	}
}
