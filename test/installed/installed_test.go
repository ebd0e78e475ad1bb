package installed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

const (
	release = "revision-router"
	// patience is for a busy machine.
	patience = 3 * time.Minute
)

// site is an installation in a test.
type site struct {
	*local.Installation

	t    *testing.T
	kube kubernetes.Interface
}

func newSite(t *testing.T) site {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	i, err := local.StartInstallation(t.Context(), nil, sail.CRDs(), inventory.CRDs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(i.Logs())
		}
		if err := i.Close(); err != nil {
			t.Error(err)
		}
	})
	kube, err := kubernetes.NewForConfig(i.Cluster.Config())
	if err != nil {
		t.Fatal(err)
	}
	s := site{Installation: i, t: t, kube: kube}
	// A namespace that takes no pod that is not restricted: the chart's are.
	s.must(s.namespace(s.t.Context(), release, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"}))
	return s
}

func (s site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s site) namespace(ctx context.Context, name string, labels map[string]string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	_, err := s.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	return err
}

// helm runs helm for the release.
func (s site) helm(args ...string) string {
	s.t.Helper()
	out, err := s.Helm(s.t.Context(), append(args, "--namespace", release)...)
	s.must(err)
	return out
}

// install installs a package and waits, as helm does, until its pods are ready.
func (s site) install(chart string, values ...string) {
	s.t.Helper()
	args := append([]string{"install", release, chart, "--wait", "--timeout", patience.String()}, s.Values()...)
	s.helm(append(args, values...)...)
}

func (s site) pack() string {
	s.t.Helper()
	chart, err := s.Package(s.t.Context())
	s.must(err)
	return chart
}

// eventually waits for what somebody else brings about.
func (s site) eventually(what string, holds func(context.Context) error) {
	s.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(s.t.Context(), 50*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		last = holds(ctx)
		return last == nil, nil
	})
	if err != nil {
		s.t.Fatalf("%s: %v", what, errors.Join(err, last))
	}
}

func TestPackagedChartServesPods(t *testing.T) {
	s := newSite(t)
	s.install(s.pack())
	s.checkPods(2)
	s.checkConfigurations()
	before := s.Calls()
	if err := scenario.RevisionBasedWithTag(t.Context(), s.Scenario(os.Stdout)); err != nil {
		t.Fatal(err)
	}
	if s.Calls() == before {
		t.Error("the API server made no connection to a pod: who routed the scenario's pods?")
	}
	s.checkToken()
}

// checkPods looks at the pods that the Deployment's controller made, and how their routers are let in.
func (s site) checkPods(want int) {
	s.t.Helper()
	pods, err := s.kube.CoreV1().Pods(release).List(s.t.Context(), metav1.ListOptions{})
	s.must(err)
	if len(pods.Items) != want {
		s.t.Errorf("%d pods, want %d", len(pods.Items), want)
	}
	for _, pod := range pods.Items {
		if len(pod.OwnerReferences) != 1 || pod.OwnerReferences[0].Kind != "ReplicaSet" || pod.Spec.ServiceAccountName != release {
			s.t.Errorf("pod %s belongs to %v and runs as %s", pod.Name, pod.OwnerReferences, pod.Spec.ServiceAccountName)
		}
	}
}

// checkConfigurations looks at what nobody may have changed but the router: the webhooks are called by Service, and
// trusted by the bundle that the router wrote.
func (s site) checkConfigurations() {
	s.t.Helper()
	webhooks := s.kube.AdmissionregistrationV1()
	mutating, err := webhooks.MutatingWebhookConfigurations().Get(s.t.Context(), "0-istio-revision-router", metav1.GetOptions{})
	s.must(err)
	for _, w := range mutating.Webhooks {
		if w.ClientConfig.URL != nil || w.ClientConfig.Service == nil || len(w.ClientConfig.CABundle) == 0 {
			s.t.Errorf("%s: url %v, Service %v, CA bundle of %d bytes", w.Name, w.ClientConfig.URL, w.ClientConfig.Service, len(w.ClientConfig.CABundle))
		}
	}
	validating, err := webhooks.ValidatingWebhookConfigurations().Get(s.t.Context(), "istio-revision-router", metav1.GetOptions{})
	s.must(err)
	for _, w := range validating.Webhooks {
		if w.ClientConfig.URL != nil || w.ClientConfig.Service == nil || len(w.ClientConfig.CABundle) == 0 {
			s.t.Errorf("%s: url %v, Service %v, CA bundle of %d bytes", w.Name, w.ClientConfig.URL, w.ClientConfig.Service, len(w.ClientConfig.CABundle))
		}
	}
}

// checkToken asks with a token of the ServiceAccount what the chart does not grant, and what it does.
func (s site) checkToken() {
	s.t.Helper()
	request := &authenticationv1.TokenRequest{}
	token, err := s.kube.CoreV1().ServiceAccounts(release).CreateToken(s.t.Context(), release, request, metav1.CreateOptions{})
	s.must(err)
	config := rest.AnonymousClientConfig(s.Cluster.Config())
	config.BearerToken = token.Status.Token
	account, err := kubernetes.NewForConfig(config)
	s.must(err)
	if _, err := account.CoreV1().Namespaces().List(s.t.Context(), metav1.ListOptions{}); err != nil {
		s.t.Errorf("namespaces: %v, want them listed", err)
	}
	_, err = account.CoreV1().Secrets(release).List(s.t.Context(), metav1.ListOptions{})
	if !apierrors.IsForbidden(err) {
		s.t.Errorf("all Secrets: %v, want a refusal", err)
	}
	err = account.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(s.t.Context(), "0-istio-revision-router", metav1.DeleteOptions{})
	if !apierrors.IsForbidden(err) {
		s.t.Errorf("deleting the configuration: %v, want a refusal", err)
	}
}

// A pod that is not restricted is refused in the namespace, so that the router's are there says something.
func TestNamespaceTakesOnlyRestrictedPods(t *testing.T) {
	s := newSite(t)
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "privileged"},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "c", Image: "c", SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		}}},
	}
	s.eventually("the ServiceAccount default", func(ctx context.Context) error {
		_, err := s.kube.CoreV1().ServiceAccounts(release).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	_, err := s.kube.CoreV1().Pods(release).Create(t.Context(), pod, metav1.CreateOptions{})
	if err == nil || !strings.Contains(err.Error(), "PodSecurity") {
		t.Fatalf("a privileged pod: %v, want a refusal by Pod Security", err)
	}
	out, err := s.Helm(t.Context(), append([]string{
		"install", release, s.pack(), "--namespace", release, "--wait", "--timeout", "10s", "--set", "hostNetwork=true",
	}, s.Values()...)...)
	if err == nil {
		t.Fatalf("routers in the node's network became ready there:\n%s", out)
	}
	s.eventually("the ReplicaSet tells why it has no pods", func(ctx context.Context) error {
		sets, err := s.kube.AppsV1().ReplicaSets(release).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, set := range sets.Items {
			for _, c := range set.Status.Conditions {
				if strings.Contains(c.Message, "PodSecurity") {
					return nil
				}
			}
		}
		return fmt.Errorf("%d ReplicaSets, none of which Pod Security has refused a pod", len(sets.Items))
	})
}
