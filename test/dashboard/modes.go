package dashboard

import (
	"context"
	"errors"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

// Demo is the demo of one mode, with a Prometheus beside it.
type Demo struct {
	*local.Environment
	Prometheus *local.Prometheus

	mesh *forward.Mesh // in mode forward
	out  io.Writer
}

// StartGuard prepares the demo of mode guard.
func StartGuard(ctx context.Context, out io.Writer) (*Demo, error) {
	d := &Demo{out: out}
	err := d.start(ctx, local.Options{Log: out})
	return d, err
}

// StartForward prepares the demo of mode forward.
func StartForward(ctx context.Context, out io.Writer) (*Demo, error) {
	d := &Demo{out: out}
	var err error
	if d.mesh, err = forward.Start(scenario.ForwardRevisions()...); err != nil {
		return d, err
	}
	values, err := d.mesh.HelmValues()
	if err != nil {
		return d, err
	}
	if err := d.start(ctx, local.Options{Log: out, Values: values}); err != nil {
		return d, err
	}
	return d, d.mesh.Connect(d.Cluster.Config())
}

func (d *Demo) start(ctx context.Context, o local.Options) (err error) {
	if d.Environment, err = local.Start(ctx, o); err != nil {
		return err
	}
	d.Prometheus, err = local.StartPrometheus(ctx, d.Metrics)
	return err
}

// Walk goes through the demo.
func (d *Demo) Walk(ctx context.Context) error {
	env := d.Scenario(d.out)
	if d.mesh == nil {
		return scenario.RevisionBasedWithTag(ctx, env)
	}
	return scenario.GradualRollout(ctx, scenario.ForwardEnv{Env: env, Mesh: d.mesh, Router: d.Run})
}

// LeaveTraces makes what the walk has none of and every cluster has: an istiod, whose pods are not ready, and a namespace
// with a label from before the router.
func (d *Demo) LeaveTraces(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(d.Cluster.Config())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	labels := map[string]string{"app": "istiod", "istio.io/rev": scenario.NewRevision}
	istiod := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "istiod-" + scenario.NewRevision, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "discovery", Image: "registry.example/pilot:1.30.3"}}},
			},
		},
	}
	if _, err := kube.AppsV1().Deployments(forward.ControlPlane).Create(ctx, istiod, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating an istiod: %w", err)
	}
	legacy := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "legacy", Labels: map[string]string{routing.LabelRevision: "default-v1-27-1"},
		Annotations: map[string]string{skew.AnnotationOverride: "as it stood before the router"},
	}}
	if _, err := kube.CoreV1().Namespaces().Create(ctx, legacy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating a namespace: %w", err)
	}
	return nil
}

// Close ends all of it.
func (d *Demo) Close() error {
	var errs []error
	if d.Prometheus != nil {
		errs = append(errs, d.Prometheus.Close())
	}
	if d.Environment != nil {
		errs = append(errs, d.Environment.Close())
	}
	if d.mesh != nil {
		errs = append(errs, d.mesh.Close())
	}
	return errors.Join(errs...)
}
