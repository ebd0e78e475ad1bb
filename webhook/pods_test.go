package webhook

import (
	"fmt"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// podOfSize is the review of a pod as the API server sends it when a ReplicaSet creates one, of about this many bytes: more
// environment makes it larger, as in the pods that hurt in practice.
func podOfSize(t testing.TB, size int) []byte {
	t.Helper()
	env := 0
	for {
		body := marshal(t, reviewOfPod(t, env))
		if len(body) >= size {
			return body
		}
		env += max(1, (size-len(body))/100)
	}
}

func reviewOfPod(t testing.TB, env int) *admissionv1.AdmissionReview {
	t.Helper()
	dryRun := false
	pods := metav1.GroupVersionResource{Version: "v1", Resource: "pods"}
	kind := metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	return &admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{Kind: "AdmissionReview", APIVersion: "admission.k8s.io/v1"},
		Request: &admissionv1.AdmissionRequest{
			UID: "705ab4f5-6393-11e8-b7cc-42010a800002", Kind: kind, Resource: pods, RequestKind: &kind, RequestResource: &pods,
			Namespace: "bookinfo", Operation: admissionv1.Create, DryRun: &dryRun,
			UserInfo: authenticationv1.UserInfo{
				Username: "system:serviceaccount:kube-system:replicaset-controller", UID: "4a1c0b0a-5c1e-4a57-a1f0-7fb8ad1b0d64",
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
			},
			Object:  runtime.RawExtension{Raw: marshal(t, benchPod(env))},
			Options: runtime.RawExtension{Raw: []byte(`{"kind":"CreateOptions","apiVersion":"meta.k8s.io/v1"}`)},
		},
	}
}

func benchPod(env int) *corev1.Pod {
	truth, user, expiry := true, int64(1000), int64(3607)
	container := corev1.Container{
		Name: "productpage", Image: "istio/examples-bookinfo-productpage-v1:1.20.3", ImagePullPolicy: corev1.PullIfNotPresent,
		Ports:        []corev1.ContainerPort{{ContainerPort: 9080, Protocol: corev1.ProtocolTCP}},
		VolumeMounts: []corev1.VolumeMount{{Name: "tmp", MountPath: "/tmp"}, {Name: "token", MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}},
		Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("128Mi"),
		}},
		SecurityContext:        &corev1.SecurityContext{RunAsNonRoot: &truth, RunAsUser: &user},
		TerminationMessagePath: "/dev/termination-log", TerminationMessagePolicy: corev1.TerminationMessageReadFile,
	}
	for i := range env {
		container.Env = append(container.Env, corev1.EnvVar{
			Name: fmt.Sprintf("SETTING_%05d", i), Value: fmt.Sprintf("https://service-%05d.bookinfo.svc.cluster.local:8443/path", i),
		})
	}
	fields := `{"f:metadata":{"f:generateName":{},"f:labels":{".":{},"f:app":{},"f:pod-template-hash":{},"f:version":{}},` +
		`"f:ownerReferences":{".":{},"k:{\"uid\":\"3b1\"}":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"productpage\"}":` +
		`{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":9080,\"protocol\":\"TCP\"}":` +
		`{".":{},"f:containerPort":{},"f:protocol":{}}},"f:resources":{}}},"f:dnsPolicy":{},"f:restartPolicy":{}}}`
	return &corev1.Pod{
		TypeMeta: metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "productpage-v1-7c4b6b857-", Namespace: "bookinfo",
			Labels:          map[string]string{"app": "productpage", "version": "v1", "pod-template-hash": "7c4b6b857"},
			Annotations:     map[string]string{"prometheus.io/scrape": "true", "prometheus.io/port": "9080"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "productpage-v1-7c4b6b857", UID: "3b1", Controller: &truth}},
			ManagedFields: []metav1.ManagedFieldsEntry{{
				Manager: "kube-controller-manager", Operation: metav1.ManagedFieldsOperationUpdate, APIVersion: "v1",
				Time: &metav1.Time{Time: time.Unix(1_790_000_000, 0).UTC()}, FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(fields),
			}},
		},
		Spec: corev1.PodSpec{
			ServiceAccountName: "bookinfo-productpage", Containers: []corev1.Container{container},
			RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, SchedulerName: "default-scheduler",
			Volumes: []corev1.Volume{
				{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
				{Name: "token", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{
					{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{ExpirationSeconds: &expiry, Path: "token"}},
				}}}},
			},
			Tolerations: []corev1.Toleration{
				{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
				{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
			},
		},
	}
}
