package migrate

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Workload is a Deployment, StatefulSet or DaemonSet: what decides about its restart, and how far its rollout is.
type Workload struct {
	Ref
	UID             types.UID
	ResourceVersion string
	Labels          map[string]string
	Template        corev1.PodTemplateSpec
	// Pods selects its pods.
	Pods labels.Selector
	// Strategy is RollingUpdate, Recreate or OnDelete.
	Strategy string
	// Partition keeps the pods of a StatefulSet with a lower number from being replaced.
	Partition int
	Paused    bool
	// MaxUnavailable is how many pods a rollout may take away at a time.
	MaxUnavailable int

	// Seen: its controller has seen it as it is.
	Seen bool
	// Wanted pods; those that there are, that are of the present template, and that are available.
	Wanted, Current, Updated, Available int
	// Replacing: a StatefulSet has pods of another template than the present one.
	Replacing bool
	// Exceeded is the message of a Deployment that made no progress within its deadline.
	Exceeded string
}

func ofDeployment(d *appsv1.Deployment) (*Workload, error) {
	w := newWorkload("Deployment", &d.ObjectMeta, d.Spec.Template)
	w.Strategy, w.Paused = string(d.Spec.Strategy.Type), d.Spec.Paused
	w.Wanted = number(d.Spec.Replicas)
	w.Seen = d.Generation <= d.Status.ObservedGeneration
	w.Current, w.Updated, w.Available = int(d.Status.Replicas), int(d.Status.UpdatedReplicas), int(d.Status.AvailableReplicas)
	for _, c := range d.Status.Conditions {
		if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" {
			w.Exceeded = c.Message
		}
	}
	w.MaxUnavailable = w.Wanted
	if rolling := d.Spec.Strategy.RollingUpdate; rolling != nil && d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		w.MaxUnavailable = share(rolling.MaxUnavailable, w.Wanted, false)
		if w.MaxUnavailable == 0 && share(rolling.MaxSurge, w.Wanted, true) == 0 {
			w.MaxUnavailable = 1 // otherwise it could not go on: the controller's own rule
		}
	}
	return w.selecting(d.Spec.Selector)
}

func ofStatefulSet(s *appsv1.StatefulSet) (*Workload, error) {
	w := newWorkload("StatefulSet", &s.ObjectMeta, s.Spec.Template)
	w.Strategy, w.MaxUnavailable = string(s.Spec.UpdateStrategy.Type), 1
	w.Wanted = number(s.Spec.Replicas)
	w.Seen = s.Generation <= s.Status.ObservedGeneration
	w.Current, w.Updated, w.Available = int(s.Status.Replicas), int(s.Status.UpdatedReplicas), int(s.Status.AvailableReplicas)
	w.Replacing = s.Status.UpdateRevision != s.Status.CurrentRevision
	if rolling := s.Spec.UpdateStrategy.RollingUpdate; rolling != nil {
		if rolling.Partition != nil {
			w.Partition = int(*rolling.Partition)
		}
		w.MaxUnavailable = max(1, share(rolling.MaxUnavailable, w.Wanted, true))
	}
	return w.selecting(s.Spec.Selector)
}

func ofDaemonSet(d *appsv1.DaemonSet) (*Workload, error) {
	w := newWorkload("DaemonSet", &d.ObjectMeta, d.Spec.Template)
	w.Strategy, w.MaxUnavailable = string(d.Spec.UpdateStrategy.Type), 1
	w.Seen = d.Generation <= d.Status.ObservedGeneration
	w.Wanted, w.Current = int(d.Status.DesiredNumberScheduled), int(d.Status.CurrentNumberScheduled)
	w.Updated, w.Available = int(d.Status.UpdatedNumberScheduled), int(d.Status.NumberAvailable)
	if rolling := d.Spec.UpdateStrategy.RollingUpdate; rolling != nil {
		w.MaxUnavailable = share(rolling.MaxUnavailable, w.Wanted, true)
		if share(rolling.MaxSurge, w.Wanted, true) > 0 {
			w.MaxUnavailable = 0 // a new pod is available before the old one of its node goes
		}
	}
	return w.selecting(d.Spec.Selector)
}

func newWorkload(kind string, meta *metav1.ObjectMeta, template corev1.PodTemplateSpec) *Workload {
	return &Workload{
		Ref: Ref{meta.Namespace, kind, meta.Name}, UID: meta.UID, ResourceVersion: meta.ResourceVersion, Labels: meta.Labels,
		Template: template,
	}
}

func (w *Workload) selecting(s *metav1.LabelSelector) (*Workload, error) {
	var err error
	w.Pods, err = metav1.LabelSelectorAsSelector(s)
	return w, err
}

// number of replicas; the API's default is 1.
func number(replicas *int32) int {
	if replicas == nil {
		return 1
	}
	return int(*replicas)
}

// share resolves a number or a percentage of all. What cannot be read counts as all: the worst that there is.
func share(value *intstr.IntOrString, all int, roundUp bool) int {
	if value == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(value, all, roundUp)
	if err != nil {
		return all
	}
	return min(n, all)
}
