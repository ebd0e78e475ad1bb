// Package scenario walks through procedures of the update guide against a real API server with the router in
// place, prints what a person would look at, and checks every statement it makes. The demo and the end-to-end
// tests run the same code.
package scenario

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/recorded"
)

// Env is where a scenario runs.
type Env struct {
	Config *rest.Config
	// Injectors returns how the API server reaches the stand-in for the istiod of a revision at a version. Nil
	// where there is none: then pods are routed and not injected.
	Injectors func(revision, version string) admissionregistrationv1.WebhookClientConfig
	Out       io.Writer
}

// run is one walk through a scenario.
type run struct {
	Env
	kube   kubernetes.Interface
	player *recorded.Player
	steps  []recorded.Step
	tables tables
	// checks counts the statements that were checked, failed those that did not hold.
	checks int
	failed []string
}

func newRun(env Env, recording string) (*run, error) {
	r, err := connect(env)
	if err != nil {
		return nil, err
	}
	dyn, err := dynamic.NewForConfig(r.Config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	r.player = &recorded.Player{Client: dyn}
	if r.steps, err = recorded.Load(recording); err != nil {
		return nil, err
	}
	return r, nil
}

// connect makes a run without a recording.
func connect(env Env) (*run, error) {
	env.Config = rest.CopyConfig(env.Config)
	// As kubectl does: admission warnings are for people to see.
	env.Config.WarningHandler = rest.NewWarningWriter(env.Out, rest.WarningWriterOptions{Deduplicate: true})
	kube, err := kubernetes.NewForConfig(env.Config)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return &run{Env: env, kube: kube, tables: tables{client: kube.CoreV1().RESTClient(), out: env.Out}}, nil
}

func (r *run) title(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	fmt.Fprintf(r.Out, "\n== %s\n", text)
}

func (r *run) command(format string, args ...any) {
	fmt.Fprintf(r.Out, "$ %s\n", fmt.Sprintf(format, args...))
}

// denied shows a refusal as kubectl does.
func (r *run) denied(err error) {
	fmt.Fprintf(r.Out, "Error from server (Forbidden): %s\n", err)
}

// check records a statement and whether it holds.
func (r *run) check(holds bool, format string, args ...any) {
	r.checks++
	text := fmt.Sprintf(format, args...)
	if holds {
		fmt.Fprintf(r.Out, "   ok: %s\n", text)
		return
	}
	r.failed = append(r.failed, text)
	fmt.Fprintf(r.Out, "   NOT SO: %s\n", text)
}

// summary ends the run: an error if anything was not as told.
func (r *run) summary() error {
	fmt.Fprintf(r.Out, "\n== Summary: %d statements checked, %d failed\n", r.checks, len(r.failed))
	if len(r.failed) > 0 {
		return fmt.Errorf("%d of %d statements did not hold:\n  %s", len(r.failed), r.checks,
			strings.Join(r.failed, "\n  "))
	}
	return nil
}

// play carries out the next step of the recording as the operator did, and checks that it is the one named.
func (r *run) play(ctx context.Context, prefix string) error {
	if len(r.steps) == 0 || !strings.HasPrefix(r.steps[0].Name, prefix) {
		return fmt.Errorf("the recording does not go on with %q", prefix)
	}
	step := r.steps[0]
	r.steps = r.steps[1:]
	return r.player.Play(ctx, step)
}

func (r *run) namespace(ctx context.Context, name string, labels map[string]string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	if _, err := r.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// configure installs or replaces an injector's webhook configuration, as the operator's Helm charts do.
func (r *run) configure(ctx context.Context, configuration *admissionregistrationv1.MutatingWebhookConfiguration) error {
	client := r.kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	current, err := client.Get(ctx, configuration.Name, metav1.GetOptions{})
	if err == nil {
		configuration.ResourceVersion = current.ResourceVersion
		_, err = client.Update(ctx, configuration, metav1.UpdateOptions{})
	} else {
		_, err = client.Create(ctx, configuration, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("configuring %s: %w", configuration.Name, err)
	}
	return nil
}

// installRevision does what the chart of a new istiod adds to the API server's webhooks.
func (r *run) installRevision(ctx context.Context, revision, version string) error {
	if r.Injectors == nil {
		return nil
	}
	return r.configure(ctx, injector.RevisionConfiguration(r.target(revision, version)))
}

// pointTag does what the chart of a revision tag does to them.
func (r *run) pointTag(ctx context.Context, tag, revision, version string) error {
	if r.Injectors == nil {
		return nil
	}
	return r.configure(ctx, injector.TagConfiguration(tag, r.target(revision, version)))
}

func (r *run) removeRevision(ctx context.Context, revision string) error {
	if r.Injectors == nil {
		return nil
	}
	err := r.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().
		Delete(ctx, "istio-sidecar-injector-"+revision, metav1.DeleteOptions{})
	if err != nil {
		return fmt.Errorf("removing the webhooks of %s: %w", revision, err)
	}
	return nil
}

func (r *run) target(revision, version string) injector.Target {
	return injector.Target{Revision: revision, ClientConfig: r.Injectors(revision, version)}
}

// roll creates the pods of Bookinfo anew, as kubectl rollout restart makes the ReplicaSets do.
func (r *run) roll(ctx context.Context, namespace, suffix string) error {
	pods := r.kube.CoreV1().Pods(namespace)
	if err := pods.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		return fmt.Errorf("deleting the old pods: %w", err)
	}
	if err := r.gone(ctx, namespace); err != nil {
		return err
	}
	for _, w := range bookinfo() {
		if _, err := pods.Create(ctx, w.pod(namespace, suffix), metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("creating pod %s-%s: %w", w.app, w.version, err)
		}
	}
	return nil
}

// gone waits until the pods have ended, which takes a moment where there are nodes.
func (r *run) gone(ctx context.Context, namespace string) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		left, err := r.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		return len(left.Items) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the old pods of %s to end: %w", namespace, err)
	}
	return nil
}

// waitRouted waits until the router decides for a pod of the namespace as expected. It asks by dry run, so that
// nothing is stored: webhook configurations and watches take a moment to reach every API server and router.
func (r *run) waitRouted(ctx context.Context, namespace, revision string) error {
	probe := bookinfo()[0].pod(namespace, "probe")
	var last string
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, 30*time.Second, true,
		func(ctx context.Context) (bool, error) {
			pod, err := r.kube.CoreV1().Pods(namespace).
				Create(ctx, probe.DeepCopy(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				last = err.Error()
				return false, nil //nolint:nilerr // it is told when the time is up
			}
			last = fmt.Sprintf("routed to %q, injected by %q", pod.Labels[routing.LabelRoutedRevision],
				pod.Annotations[routing.LabelRevision])
			injected := r.Injectors == nil || pod.Annotations[routing.LabelRevision] == revision
			return pod.Labels[routing.LabelRoutedRevision] == revision && injected, nil
		})
	if err != nil {
		return fmt.Errorf("waiting for pods of %s to go to %s: %s: %w", namespace, revision, last, err)
	}
	return nil
}

// checkPods checks that every pod of the namespace was routed to the revision, and injected by exactly that one.
func (r *run) checkPods(ctx context.Context, namespace, revision, version string) error {
	pods, err := r.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing pods: %w", err)
	}
	routed, injected := 0, 0
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Labels[routing.LabelRoutedRevision] == revision && pod.Labels[routing.LabelRoutedVersion] == version {
			routed++
		}
		if pod.Annotations[routing.LabelRevision] == revision && sidecars(pod) == 1 {
			injected++
		}
	}
	all := len(bookinfo())
	r.check(len(pods.Items) == all && routed == all, "%d of %d pods of %s carry revision %s and version %s",
		routed, all, namespace, revision, version)
	if r.Injectors != nil {
		r.check(injected == all, "%d of %d have exactly one sidecar, from the injector of that revision", injected, all)
	}
	return nil
}

func sidecars(pod *corev1.Pod) int {
	n := 0
	for _, c := range pod.Spec.Containers {
		if c.Name == injector.ProxyName {
			n++
		}
	}
	return n
}
