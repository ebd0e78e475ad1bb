//go:build e2e

package migrate

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/revision-router/revision-router/test/cluster"
)

const (
	nodes = 3
	// teams are namespaces, of perTeam workloads each: 200 in all.
	teams, perTeam = 10, 20
	labelBudget    = "example.com/budget"

	// failing has pods that were made ready by hand, and new ones never are. slow takes a while.
	failingTeam, slowTeam, refusedTeam = 6, 2, 8
	failing, slow, refused             = "w-12", "w-05", "w-15"
)

func team(i int) string { return fmt.Sprintf("team-%d", i) }

func (w *world) namespace(name string, labels map[string]string) {
	w.t.Helper()
	_, err := w.kube.CoreV1().Namespaces().Create(w.t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
	}, metav1.CreateOptions{})
	w.must(err)
}

// workloads creates all of them with their budgets, and waits until they run and are watched.
func (w *world) workloads() {
	w.t.Helper()
	w.seen = newWatcher()
	for i := range teams {
		for n := range perTeam {
			w.workload(team(i), fmt.Sprintf("w-%02d", n), n)
		}
		// Four Deployments share a budget that lets one pod of eight be away.
		w.budget(team(i), "shared", policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(7))}, 7)
	}
	w.eventually("everything runs", w.allRun)
	w.makeReady()
	w.eventually("the budgets are met", w.budgetsMet)
	w.must(w.seen.start(w.t, w.kube))
}

// workload creates the n-th of a team. The kinds and budgets take turns.
func (w *world) workload(namespace, name string, n int) {
	w.t.Helper()
	meta := metav1.ObjectMeta{Name: name, Labels: map[string]string{"parity": []string{"even", "odd"}[n%2]}}
	labels := map[string]string{"app": name}
	budget := func(spec policyv1.PodDisruptionBudgetSpec, healthy int) {
		labels[labelBudget] = name
		w.budget(namespace, name, spec, healthy)
	}
	one, half := intstr.FromInt32(1), intstr.FromString("50%")
	d := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Replicas: new(int32(2))}}
	takesOne := appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: &one, MaxSurge: new(intstr.FromInt32(0))},
	}
	switch {
	case n == 0:
		budget(policyv1.PodDisruptionBudgetSpec{MaxUnavailable: &one}, 1)
		w.statefulSet(namespace, meta, labels)
		return
	case n == 1:
		w.daemonSet(namespace, meta, labels)
		return
	case n < 6: // share a budget, and take a pod away
		labels[labelBudget] = "shared"
		d.Spec.Strategy = takesOne
	case n < 10: // a budget of one of two
		budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: &one}, 1)
		d.Spec.Strategy = takesOne
	case n < 13: // nothing may be away, and the new pod comes first
		budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(2))}, 2)
	case n < 15:
		budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: &half}, 1)
		d.Spec.Strategy = takesOne
	case n == 15: // a single one that has to be there
		d.Spec.Replicas = new(int32(1))
		budget(policyv1.PodDisruptionBudgetSpec{MinAvailable: &one}, 1)
	}
	d.Spec.Selector, d.Spec.Template = selector(name), template(labels)
	w.special(namespace, d)
	_, err := w.kube.AppsV1().Deployments(namespace).Create(w.t.Context(), d, metav1.CreateOptions{})
	w.must(err)
}

// special makes three of the Deployments what the test needs.
func (w *world) special(namespace string, d *appsv1.Deployment) {
	switch namespace + "/" + d.Name {
	case team(failingTeam) + "/" + failing:
		d.Spec.Template.Annotations = map[string]string{cluster.AnnotationReady: "false"}
		d.Spec.ProgressDeadlineSeconds = new(int32(5))
	case team(slowTeam) + "/" + slow:
		d.Spec.MinReadySeconds = 10
	}
}

func selector(name string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}
}

func template(labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			Containers: []corev1.Container{{Name: "app", Image: "app"}}, TerminationGracePeriodSeconds: new(int64),
		},
	}
}

func (w *world) statefulSet(namespace string, meta metav1.ObjectMeta, labels map[string]string) {
	w.t.Helper()
	_, err := w.kube.AppsV1().StatefulSets(namespace).Create(w.t.Context(), &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
		Replicas: new(int32(2)), Selector: selector(meta.Name), Template: template(labels),
	}}, metav1.CreateOptions{})
	w.must(err)
}

func (w *world) daemonSet(namespace string, meta metav1.ObjectMeta, labels map[string]string) {
	w.t.Helper()
	_, err := w.kube.AppsV1().DaemonSets(namespace).Create(w.t.Context(), &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{
		Selector: selector(meta.Name), Template: template(labels),
	}}, metav1.CreateOptions{})
	w.must(err)
}

// budget creates one. healthy is what it means: the test does not rely on what its controller makes of it.
func (w *world) budget(namespace, name string, spec policyv1.PodDisruptionBudgetSpec, healthy int) {
	w.t.Helper()
	w.seen.expect(namespace+"/"+name, healthy)
	spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{labelBudget: name}}
	_, err := w.kube.PolicyV1().PodDisruptionBudgets(namespace).Create(w.t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec,
	}, metav1.CreateOptions{})
	w.must(err)
}

// allRun fails until every Deployment but the failing one has its pods.
func (w *world) allRun(ctx context.Context) error {
	all, err := w.kube.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range all.Items {
		d := &all.Items[i]
		if s := &d.Status; s.ReadyReplicas < *d.Spec.Replicas && d.Spec.Template.Annotations == nil || s.Replicas < *d.Spec.Replicas {
			return fmt.Errorf("Deployment %s/%s is %+v", d.Namespace, d.Name, s)
		}
	}
	return nil
}

// makeReady makes the pods of the failing Deployment ready that are there, and waits until it counts as rolled out.
func (w *world) makeReady() {
	w.t.Helper()
	pods := w.kube.CoreV1().Pods(team(failingTeam))
	list, err := pods.List(w.t.Context(), metav1.ListOptions{LabelSelector: "app=" + failing})
	w.must(err)
	for i := range list.Items {
		patch := []byte(`{"metadata":{"annotations":{"` + cluster.AnnotationReady + `":"true"}}}`)
		_, err := pods.Patch(w.t.Context(), list.Items[i].Name, types.MergePatchType, patch, metav1.PatchOptions{})
		w.must(err)
	}
}

// budgetsMet fails until every controller has counted: the pods, their sidecars and the budgets.
func (w *world) budgetsMet(ctx context.Context) error {
	budgets, err := w.kube.PolicyV1().PodDisruptionBudgets("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range budgets.Items {
		if s := &budgets.Items[i].Status; s.CurrentHealthy < s.ExpectedPods || s.ExpectedPods == 0 {
			return fmt.Errorf("PodDisruptionBudget %s/%s is %+v", budgets.Items[i].Namespace, budgets.Items[i].Name, s)
		}
	}
	deployments, err := w.kube.AppsV1().Deployments("").List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range deployments.Items {
		if d := &deployments.Items[i]; d.Status.AvailableReplicas < *d.Spec.Replicas {
			return fmt.Errorf("Deployment %s/%s is %+v", d.Namespace, d.Name, d.Status)
		}
		for _, c := range deployments.Items[i].Status.Conditions {
			if c.Reason == "ProgressDeadlineExceeded" {
				return fmt.Errorf("Deployment %s/%s: %s", deployments.Items[i].Namespace, deployments.Items[i].Name, c.Message)
			}
		}
	}
	return nil
}
