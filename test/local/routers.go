package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/test/cluster"
)

// Routers run what the chart's pods say, on a cluster whose nodes run no containers: each pod with a container "router" is a
// router process with the pod's arguments, environment, volumes and token, and the API server reaches it by its Service.
// [Installation] tells what differs from a cluster.
type Routers struct {
	dir, binary string
	network     *podNetwork
	kubelet     *kubelet
}

// NewRouters builds the router from this checkout, and prepares the network of its pods. Close ends it.
func NewRouters(ctx context.Context) (_ *Routers, err error) {
	r := &Routers{}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	if r.dir, err = os.MkdirTemp("", "routers-"); err != nil {
		return nil, fmt.Errorf("making a work folder: %w", err)
	}
	if r.binary, err = Build(ctx, r.dir, nil); err != nil {
		return nil, err
	}
	r.network, err = newPodNetwork(r.dir)
	return r, err
}

// Flags are those of the kube-apiserver that is to reach the routers.
func (r *Routers) Flags() []string {
	return []string{"--egress-selector-config-file=" + r.network.selector, "--enable-aggregator-routing=true"}
}

// Start runs the routers of every pod in the cluster, until Close.
func (r *Routers) Start(ctx context.Context, c *cluster.Cluster) error {
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	r.kubelet = &kubelet{kube: kube, server: c.Config(), network: r.network, binary: r.binary, dir: r.dir}
	return r.kubelet.start(ctx)
}

// notReady is a policy that has pods of routers begin as not ready, where the chart is installed without
// [Installation.Values]: kwok would call them ready before their process has started.
const notReady = "not-ready-before-its-process"

// HoldPods keeps pods of routers from being ready before their process is, whoever installs them and with whatever values.
func HoldPods(ctx context.Context, c *cluster.Cluster) error {
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	policy := holding()
	binding := &admissionregistrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: notReady}, Spec: admissionregistrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: notReady},
	}
	client := kube.AdmissionregistrationV1()
	if _, err := client.MutatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("holding pods of routers: %w", err)
	}
	if _, err := client.MutatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("holding pods of routers: %w", err)
	}
	probe := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-"},
		Spec: corev1.PodSpec{
			AutomountServiceAccountToken: new(false), Containers: []corev1.Container{{Name: containerName, Image: "none"}},
		},
	}
	err = wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 2*time.Minute, true, func(ctx context.Context) (bool, error) {
		pod, err := kube.CoreV1().Pods(metav1.NamespaceDefault).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		// Its ServiceAccount may not be there yet.
		return err == nil && pod.Annotations[cluster.AnnotationReady] == "false", nil
	})
	if err != nil {
		return fmt.Errorf("waiting until pods of routers are held: %w", err)
	}
	return nil
}

// holding is the policy that annotates pods of routers for kwok.
func holding() *admissionregistrationv1.MutatingAdmissionPolicy {
	return &admissionregistrationv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: notReady},
		Spec: admissionregistrationv1.MutatingAdmissionPolicySpec{
			FailurePolicy: new(admissionregistrationv1.Fail), ReinvocationPolicy: admissionregistrationv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
						Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
					},
				}},
			},
			MatchConditions: []admissionregistrationv1.MatchCondition{{
				Name: "router", Expression: "object.spec.containers[0].name == '" + containerName + "'",
			}},
			Mutations: []admissionregistrationv1.Mutation{{
				PatchType: admissionregistrationv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionregistrationv1.ApplyConfiguration{
					Expression: fmt.Sprintf("Object{metadata: Object.metadata{annotations: {%q: \"false\"}}}", cluster.AnnotationReady),
				},
			}},
		},
	}
}

// Logs are the ends of the logs of the routers that run.
func (r *Routers) Logs() string {
	if r.kubelet == nil {
		return ""
	}
	return r.kubelet.tails()
}

// Close ends the routers. It tells of those that ended unasked or not in time.
func (r *Routers) Close() error {
	var errs []error
	if r.kubelet != nil {
		errs = append(errs, r.kubelet.close())
	}
	if r.network != nil {
		errs = append(errs, r.network.close())
	}
	if r.dir != "" {
		errs = append(errs, os.RemoveAll(r.dir))
	}
	return errors.Join(errs...)
}
