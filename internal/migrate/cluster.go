package migrate

import (
	"context"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/pager"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/status"
)

// Cluster reads and restarts workloads.
type Cluster struct {
	Client kubernetes.Interface
}

// Namespace reads everything in a namespace that decides about its workloads.
func (c *Cluster) Namespace(ctx context.Context, name string) (*Namespace, error) {
	n := &Namespace{Workloads: map[Ref]*Workload{}}
	apps, budgets := c.Client.AppsV1(), c.Client.PolicyV1().PodDisruptionBudgets(name)
	for _, one := range []struct {
		what string
		list func(context.Context, metav1.ListOptions) (runtime.Object, error)
	}{
		{"deployments", func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return apps.Deployments(name).List(ctx, o)
		}},
		{"statefulsets", func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return apps.StatefulSets(name).List(ctx, o)
		}},
		{"daemonsets", func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			return apps.DaemonSets(name).List(ctx, o)
		}},
		{"poddisruptionbudgets", func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return budgets.List(ctx, o) }},
	} {
		if err := pager.New(one.list).EachListItem(ctx, metav1.ListOptions{}, n.add); err != nil {
			return nil, fmt.Errorf("listing %s in namespace %s: %w", one.what, name, err)
		}
	}
	var err error
	if n.Pods, err = c.pods(ctx, name, ""); err != nil {
		return nil, err
	}
	return n, nil
}

func (n *Namespace) add(o runtime.Object) error {
	if p, ok := o.(*policyv1.PodDisruptionBudget); ok {
		b, err := ofBudget(p)
		n.Budgets = append(n.Budgets, b)
		return err
	}
	w, err := workloadOf(o)
	if err != nil {
		return err
	}
	n.Workloads[w.Ref] = w
	return nil
}

func workloadOf(o runtime.Object) (*Workload, error) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return ofDeployment(o)
	case *appsv1.StatefulSet:
		return ofStatefulSet(o)
	case *appsv1.DaemonSet:
		return ofDaemonSet(o)
	}
	return nil, fmt.Errorf("%T has no rollout", o)
}

// Workload reads one of them.
func (c *Cluster) Workload(ctx context.Context, r Ref) (*Workload, error) {
	var o runtime.Object
	var err error
	apps := c.Client.AppsV1()
	switch r.Kind {
	case "Deployment":
		o, err = apps.Deployments(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	case "StatefulSet":
		o, err = apps.StatefulSets(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	case "DaemonSet":
		o, err = apps.DaemonSets(r.Namespace).Get(ctx, r.Name, metav1.GetOptions{})
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r, err)
	}
	return workloadOf(o)
}

// PodsOf reads the pods of a workload.
func (c *Cluster) PodsOf(ctx context.Context, w *Workload) ([]Pod, error) {
	return c.pods(ctx, w.Namespace, w.Pods.String())
}

// podPage is how many pods are asked for at a time: kubectl's choice.
const podPage = "500"

// pods are those of a namespace that have not ended, read as what tells their proxy.
func (c *Cluster) pods(ctx context.Context, namespace, selector string) ([]Pod, error) {
	var all []Pod
	for next := ""; ; {
		var page struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []inventory.Pod `json:"items"`
		}
		raw, err := rawOf(c.Client.CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").SetHeader("Accept", "application/json").
			Param("limit", podPage).Param("continue", next).Param("labelSelector", selector).Do(ctx))
		if err == nil {
			err = json.Unmarshal(raw, &page)
		}
		if err != nil {
			return nil, fmt.Errorf("listing pods in namespace %s: %w", namespace, err)
		}
		for i := range page.Items {
			if p := &page.Items[i]; p.Status.Phase != string(corev1.PodSucceeded) && p.Status.Phase != string(corev1.PodFailed) {
				all = append(all, podOf(p))
			}
		}
		if next = page.Metadata.Continue; next == "" {
			return all, nil
		}
	}
}

func podOf(p *inventory.Pod) Pod {
	out := Pod{Name: p.Name, Labels: p.Labels, Deleting: p.DeletionTimestamp != nil}
	if w, ok := p.Workload(); ok {
		out.Proxy = status.Proxy{Revision: w.Revision, Version: w.Version}
	}
	for _, c := range p.Status.Conditions {
		out.Ready = out.Ready || c.Type == string(corev1.PodReady) && c.Status == string(corev1.ConditionTrue)
	}
	return out
}
