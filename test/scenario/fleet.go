package scenario

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/routing"
)

const (
	// generated workloads are in each of the namespaces besides Bookinfo's.
	generated = 50
	// atOnce is how many workloads are restarted at a time, as with controllers that have some workers.
	atOnce = 12
)

// fleetNamespaces are the namespaces with their labels. All ask for the tag default.
func fleetNamespaces() map[string]map[string]string {
	injection := map[string]string{routing.LabelInjection: "enabled"}
	revision := map[string]string{routing.LabelRevision: routing.DefaultRevision}
	return map[string]map[string]string{
		"bookinfo": injection, "billing": injection, "media": revision, "search": revision, "shop": injection,
	}
}

// deployment is a Deployment of the fleet.
type deployment struct {
	namespace, name string
	labels          map[string]string
	replicas        int
	object          *appsv1.Deployment
}

// slot is the workload's place in a rollout of the tag default, from 0 to 99.
func (d *deployment) slot() int {
	return routing.Slot(routing.DefaultRevision, d.namespace, routing.Workload{Kind: "Deployment", Name: d.name})
}

func (d *deployment) key() string { return d.namespace + "/" + d.name }

// fleet is Bookinfo with two pods a workload, and generated workloads with one or two.
func fleet() []*deployment {
	var all []*deployment
	for _, w := range bookinfo() {
		all = append(all, &deployment{
			namespace: "bookinfo", name: w.app + "-" + w.version, replicas: 2,
			labels: map[string]string{"app": w.app, "version": w.version},
		})
	}
	for _, namespace := range slices.Sorted(maps.Keys(fleetNamespaces())) {
		if namespace == "bookinfo" {
			continue
		}
		for i := range generated {
			name := fmt.Sprintf("%s-%02d", namespace, i+1)
			all = append(all, &deployment{
				namespace: namespace, name: name, replicas: 1 + i%4/3, labels: map[string]string{"app": name, "version": "v1"},
			})
		}
	}
	return all
}

// template is the pod template of a Deployment, with the hash of one of its generations.
func (d *deployment) template(hash string) corev1.PodTemplateSpec {
	labels := maps.Clone(d.labels)
	if hash != "" {
		labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	}
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: d.labels["app"], Image: "registry.example/" + d.name + ":1.20.3"}},
			// No kubelet runs here, and no controller either.
			AutomountServiceAccountToken: new(false),
		},
	}
}

// create creates the Deployment. Its ReplicaSets and pods are for restart to make: no controller runs here.
func (d *deployment) create(ctx context.Context, kube kubernetes.Interface) error {
	object := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: d.name, Labels: d.labels},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(d.replicas)), Selector: &metav1.LabelSelector{MatchLabels: d.labels}, Template: d.template(""), //nolint:gosec // 1 or 2
		},
	}
	var err error
	if d.object, err = kube.AppsV1().Deployments(d.namespace).Create(ctx, object, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating Deployment %s: %w", d.key(), err)
	}
	return nil
}

// restart does what the controllers of Deployments and ReplicaSets do upon kubectl rollout restart: a new ReplicaSet, and
// its pods.
func (d *deployment) restart(ctx context.Context, kube kubernetes.Interface, generation int) error {
	hash := templateHash(d.key(), generation)
	template := d.template(hash)
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: d.namespace, Name: d.name + "-" + hash, Labels: template.Labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(d.object, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: d.object.Spec.Replicas, Selector: &metav1.LabelSelector{MatchLabels: template.Labels}, Template: template,
		},
	}
	set, err := kube.AppsV1().ReplicaSets(d.namespace).Create(ctx, set, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating a ReplicaSet of %s: %w", d.key(), err)
	}
	for range d.replicas {
		if _, err := kube.CoreV1().Pods(d.namespace).Create(ctx, podOf(set), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating a pod of %s: %w", d.key(), err)
		}
	}
	return nil
}

// podOf is what the ReplicaSet controller creates.
func podOf(set *appsv1.ReplicaSet) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: set.Namespace, GenerateName: set.Name + "-", Labels: maps.Clone(set.Spec.Template.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(set, appsv1.SchemeGroupVersion.WithKind("ReplicaSet"))},
		},
		Spec: *set.Spec.Template.Spec.DeepCopy(),
	}
}

// probe is a pod as one of the next generation of the Deployment, for dry runs.
func (d *deployment) probe() *corev1.Pod {
	const hash = "6d4cf56db6"
	template := d.template(hash)
	set := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace, Name: d.name + "-" + hash, UID: d.object.UID},
		Spec:       appsv1.ReplicaSetSpec{Template: template},
	}
	return podOf(set)
}

// templateHash stands in for the hash of a pod template, in which a restart changes an annotation.
func templateHash(name string, generation int) string {
	h := fnv.New32a()
	_, _ = fmt.Fprint(h, name, generation)
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// forAll does something with every workload, some at a time, and returns what went wrong.
func forAll(all []*deployment, do func(*deployment) error) []error {
	var wait sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	places := make(chan struct{}, atOnce)
	for _, d := range all {
		places <- struct{}{}
		wait.Go(func() {
			defer func() { <-places }()
			if err := do(d); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	wait.Wait()
	return errs
}
