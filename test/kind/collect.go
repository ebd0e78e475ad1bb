package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/charts"
)

// Collect writes what explains a failure into dir: the logs of the routers, of what ran there before them, of the API server
// and of the istiods, the webhook configurations, pods, nodes and events. What cannot be had does not keep the rest from it.
func (c *Cluster) Collect(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("collecting what explains the failure: %w", err)
	}
	client, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	to := collector{client: client, dir: dir}
	hooks := client.AdmissionregistrationV1()
	mutating, err1 := hooks.MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	validating, err2 := hooks.ValidatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	pods, err3 := client.CoreV1().Pods("").List(ctx, metav1.ListOptions{})
	nodes, err4 := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	events, err5 := client.CoreV1().Events("").List(ctx, metav1.ListOptions{})
	slices, err6 := client.DiscoveryV1().EndpointSlices("").List(ctx, metav1.ListOptions{})
	return errors.Join(err1, err2, err3, err4, err5, err6,
		to.object("mutatingwebhookconfigurations", mutating), to.object("validatingwebhookconfigurations", validating),
		to.object("pods", pods), to.object("nodes", nodes), to.object("events", events), to.object("endpointslices", slices),
		to.logs(ctx, charts.Name, ""), to.logs(ctx, controlPlane, ""), to.logs(ctx, metav1.NamespaceSystem, "component=kube-apiserver"))
}

// controlPlane is the namespace of the istiods.
const controlPlane = "istio-system"

type collector struct {
	client kubernetes.Interface
	dir    string
}

func (to collector) object(name string, list any) error {
	raw, err := yaml.Marshal(list)
	if err != nil {
		return fmt.Errorf("collecting %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(to.dir, name+".yaml"), raw, 0o600)
}

// logs are those of the pods of a namespace that a selector selects, and of the containers that ended before.
func (to collector) logs(ctx context.Context, namespace, selector string) error {
	pods, err := to.client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return fmt.Errorf("collecting logs: %w", err)
	}
	var errs []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		errs = append(errs, to.log(ctx, pod, false))
		for _, status := range pod.Status.ContainerStatuses {
			if status.RestartCount > 0 {
				errs = append(errs, to.log(ctx, pod, true))
			}
		}
	}
	return errors.Join(errs...)
}

func (to collector) log(ctx context.Context, pod *corev1.Pod, previous bool) error {
	name := pod.Namespace + "-" + pod.Name
	if previous {
		name += "-previous"
	}
	raw, err := to.client.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, &corev1.PodLogOptions{Previous: previous}).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("collecting the log of %s: %w", name, err)
	}
	return os.WriteFile(filepath.Join(to.dir, name+".log"), raw, 0o600)
}
