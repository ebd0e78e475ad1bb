package sail

import (
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

const (
	cniName     = "istio-cni-node"
	zTunnelName = "ztunnel"
)

// cniChart is the chart istio-cni. It follows the value cni.podAnnotations.
func (o *Operator) cniChart(cni *object, version string) []rendered {
	namespace := namespaceOf(cni)
	r := release{name: "istio-cni", chart: "cni-" + version, app: "istio-cni", version: version}
	labels := r.labels(map[string]string{
		"k8s-app": cniName, routing.LabelRevision: routing.DefaultRevision, "operator.istio.io/component": "Cni", "release": r.name,
	})
	podLabels := r.labels(map[string]string{"k8s-app": cniName, "istio.io/dataplane-mode": "none", routing.LabelInject: "false"})
	return o.daemonChart(daemonSpec{
		metadata: meta(namespace, cniName, labels), account: "istio-cni", podLabels: podLabels,
		selector:    map[string]string{"k8s-app": cniName},
		annotations: textMap(cni, "spec", "values", "cni", "podAnnotations"), faults: o.faultsOf(CNI, version),
		container: corev1.Container{Name: "install-cni", Image: image("install-cni", version, isAmbient(text(cni, "spec", "profile")))},
	})
}

// zTunnelChart is the chart ztunnel. It follows these values: ztunnel.revision, ztunnel.podAnnotations,
// ztunnel.updateStrategy.type and ztunnel.terminationGracePeriodSeconds. The revision is that of targetRef, if any.
func (o *Operator) zTunnelChart(ztunnel, revision *object, version string) []rendered {
	namespace := namespaceOf(ztunnel)
	r := release{name: "ztunnel", chart: "ztunnel-" + version, app: zTunnelName, version: version}
	podLabels := r.labels(map[string]string{"app": zTunnelName, "istio.io/dataplane-mode": "none", routing.LabelInject: "false"})
	address := istiodOf(routing.DefaultRevision) + ".istio-system.svc:15012"
	if name := text(ztunnel, "spec", "values", "ztunnel", "revision"); name != "" {
		address = istiodOf(name) + ".istio-system.svc:15012"
	}
	if revision != nil {
		address = istiodName(revision) + "." + namespaceOf(revision) + ".svc:15012"
	}
	grace := number(ztunnel, 30, "spec", "values", "ztunnel", "terminationGracePeriodSeconds")
	return o.daemonChart(daemonSpec{
		metadata: meta(namespace, zTunnelName, r.labels(nil)), account: zTunnelName, podLabels: podLabels,
		selector:    map[string]string{"app": zTunnelName},
		annotations: textMap(ztunnel, "spec", "values", "ztunnel", "podAnnotations"), faults: o.faultsOf(ZTunnel, version),
		strategy: appsv1.DaemonSetUpdateStrategyType(text(ztunnel, "spec", "values", "ztunnel", "updateStrategy", "type")),
		grace:    &grace,
		container: corev1.Container{
			Name: "istio-proxy", Image: image("ztunnel", version, true), Args: []string{"proxy", "ztunnel"},
			Env: []corev1.EnvVar{{Name: "CA_ADDRESS", Value: address}, {Name: "XDS_ADDRESS", Value: address}},
		},
	})
}

type daemonSpec struct {
	metadata            metav1.ObjectMeta
	account             string
	selector, podLabels map[string]string
	annotations, faults map[string]string
	strategy            appsv1.DaemonSetUpdateStrategyType
	grace               *int64
	container           corev1.Container
}

func (o *Operator) daemonChart(d daemonSpec) []rendered {
	delete(d.podLabels, "managed-by")
	annotations := map[string]string{"prometheus.io/scrape": "true", routing.LabelInject: "false"}
	maps.Copy(annotations, d.annotations)
	maps.Copy(annotations, d.faults)
	if d.strategy == "" {
		d.strategy = appsv1.RollingUpdateDaemonSetStrategyType
	}
	var affinity *corev1.Affinity
	if o.options.WorkersOnly {
		worker := corev1.NodeSelectorRequirement{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.NodeSelectorOpDoesNotExist}
		affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
			NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{worker}}},
		}}}
	}
	return []rendered{
		render(accounts, corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
			&corev1.ServiceAccount{ObjectMeta: meta(d.metadata.Namespace, d.account, nil)}),
		render(daemonSets, appsv1.SchemeGroupVersion.WithKind("DaemonSet"), &appsv1.DaemonSet{
			ObjectMeta: d.metadata,
			Spec: appsv1.DaemonSetSpec{
				Selector:       &metav1.LabelSelector{MatchLabels: d.selector},
				UpdateStrategy: appsv1.DaemonSetUpdateStrategy{Type: d.strategy},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: d.podLabels, Annotations: annotations},
					Spec: corev1.PodSpec{
						ServiceAccountName: d.account, Containers: []corev1.Container{d.container}, Affinity: affinity,
						TerminationGracePeriodSeconds: d.grace, PriorityClassName: "system-node-critical", ReadinessGates: gates(d.faults),
						Tolerations: []corev1.Toleration{
							{Effect: corev1.TaintEffectNoSchedule, Operator: corev1.TolerationOpExists},
							{Key: "CriticalAddonsOnly", Operator: corev1.TolerationOpExists},
							{Effect: corev1.TaintEffectNoExecute, Operator: corev1.TolerationOpExists},
						},
					},
				},
			},
		}),
	}
}
