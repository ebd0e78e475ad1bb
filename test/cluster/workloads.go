package cluster

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// AnnotationReady on a pod, with the value "false", keeps it from being ready, as a readiness probe that fails does;
// without it, or with another value, a pod is ready once it runs. It counts at any time, so a pod can lose its
// readiness and get it back. In a Deployment's pod template it makes a roll-out that hangs.
const AnnotationReady = "cluster.test/ready"

const (
	stagesFile = "stages.yaml"
	// nodeName is the name of the first node without its number.
	nodeName = "node-"
	// probePod runs once everything that runs pods works.
	probePod = "workloads-run"
	// leaseSeconds is the kubelet's default. A node whose lease is not renewed loses its pods.
	leaseSeconds = 40
)

//go:embed stages.yaml
var stages []byte

// startWorkloads starts what makes a control plane run workloads, and waits until a pod has run.
func (c *Cluster) startWorkloads(ctx context.Context) error {
	for name, issued := range c.credentials.components {
		config := c.Config()
		config.CertData, config.KeyData = issued.cert, issued.key
		if err := writeKubeconfig(c.dir.file(componentKubeconfig(name)), config); err != nil {
			return err
		}
	}
	if err := os.WriteFile(c.dir.file(stagesFile), stages, 0o600); err != nil {
		return fmt.Errorf("write what happens to pods: %w", err)
	}
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("make a client for %s: %w", c.url(), err)
	}
	for i := range c.nodes {
		if err := addNode(ctx, client, nodeName+strconv.Itoa(i+1)); err != nil {
			return fmt.Errorf("add a node: %w", err)
		}
	}
	for _, component := range components() {
		p, err := startProcess(component.name, c.binaries.workloads[component.name], c.dir, component.args)
		if err != nil {
			return err
		}
		c.workloads = append(c.workloads, p)
	}
	return c.awaitWorkloads(ctx, client)
}

func componentKubeconfig(name string) string { return name + ".kubeconfig" }

// component is one of the processes that run workloads.
type component struct {
	name string
	args []string
}

func components() []component {
	kubeconfig := func(name string) string { return "--kubeconfig=" + componentKubeconfig(name) }
	return []component{
		{controllerManager, []string{
			kubeconfig(controllerManager),
			// There is one, and nobody asks it anything.
			"--leader-elect=false", "--secure-port=0",
			// Each controller has a ServiceAccount of its own, as in a real cluster: webhooks see who asks.
			"--use-service-account-credentials=true",
			"--root-ca-file=" + caFile,
			"--service-account-private-key-file=" + serviceAccountKeyFile,
			// The default of 20 requests a second is shared by all controllers, and tests wait for them.
			"--kube-api-qps=500", "--kube-api-burst=1000",
		}},
		{scheduler, []string{
			kubeconfig(scheduler), "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000",
		}},
		{kwok, []string{
			kubeconfig(kwok), "--config=" + stagesFile, "--manage-all-nodes=true", "--server-address=",
			"--node-lease-duration-seconds=" + strconv.Itoa(leaseSeconds),
		}},
	}
}

// awaitWorkloads waits until every part has done its share for one pod: the ServiceAccount that it needs is there, it
// has a node, and it runs.
func (c *Cluster) awaitWorkloads(ctx context.Context, client kubernetes.Interface) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pods := client.CoreV1().Pods(metav1.NamespaceSystem)
	probe := func(ctx context.Context) error {
		pod, err := pods.Get(ctx, probePod, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			pod, err = pods.Create(ctx, newProbePod(), metav1.CreateOptions{})
		}
		if err != nil {
			return err
		}
		if pod.Status.Phase != corev1.PodRunning {
			return fmt.Errorf("pod %s/%s is %s", pod.Namespace, pod.Name, pod.Status.Phase)
		}
		return nil
	}
	// Each process is watched for its end, which would make the wait for the others pointless.
	errs := make([]error, len(c.workloads))
	var waiting sync.WaitGroup
	for i, p := range c.workloads {
		waiting.Go(func() {
			if errs[i] = p.await(ctx, probe); errs[i] != nil {
				cancel()
			}
		})
	}
	waiting.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return pods.Delete(ctx, probePod, metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
}

func newProbePod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: probePod},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "none", Image: "none"}}},
	}
}

// addNode registers a node as its kubelet would. Nothing changes its status after that: what a test writes there, such
// as that the node is not ready, stays.
func addNode(ctx context.Context, client kubernetes.Interface, name string) error {
	now := metav1.NewTime(time.Now())
	version, err := client.Discovery().ServerVersion()
	if err != nil {
		return err
	}
	node, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: name,
		Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	size := corev1.ResourceList{
		corev1.ResourceCPU:              resource.MustParse("64"),
		corev1.ResourceMemory:           resource.MustParse("256Gi"),
		corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		corev1.ResourcePods:             resource.MustParse("1000"),
	}
	node.Status = corev1.NodeStatus{
		Capacity: size, Allocatable: size,
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeHostName, Address: name},
		},
		// istiod decides by it whether sidecars are native.
		NodeInfo: corev1.NodeSystemInfo{KubeletVersion: version.GitVersion, OperatingSystem: "linux", Architecture: "amd64"},
	}
	_, err = client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}

func (c *Cluster) stopWorkloads() error {
	errs := make([]error, len(c.workloads))
	var stopping sync.WaitGroup
	for i, p := range c.workloads {
		stopping.Go(func() { errs[i] = p.stop() })
	}
	stopping.Wait()
	c.workloads = nil
	return errors.Join(errs...)
}
