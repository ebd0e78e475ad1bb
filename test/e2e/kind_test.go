//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/inventory"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/kind"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/sail"
)

// kindCluster is had by one procedure after the other.
var kindCluster sync.Mutex

// kindPlatform is the kind cluster that make e2e-kind has started. The router is what the image holds, installed by Helm, and
// the control planes of the stand-in operator run: webhooks lead to their Services.
type kindPlatform struct {
	cluster *kind.Cluster
	chart   *kind.Chart
	kube    kubernetes.Interface
	forward bool
}

func startKind(ctx context.Context, p procedure) (_ platform, err error) {
	kindCluster.Lock()
	defer func() {
		if err != nil {
			kindCluster.Unlock()
		}
	}()
	k := &kindPlatform{forward: p.mode == forwarding}
	if k.cluster, err = kind.Open("../.."); err != nil {
		return nil, err
	}
	helm, err := local.Helm(ctx)
	if err != nil {
		return nil, err
	}
	k.chart = k.cluster.Chart(helm)
	if k.kube, err = kubernetes.NewForConfig(k.cluster.Config()); err != nil {
		return nil, err
	}
	if err := k.chart.Reset(ctx); err != nil {
		return nil, err
	}
	for _, crds := range []fs.FS{sailapi.CRDs(), inventory.CRDs()} {
		if err := cluster.InstallCRDs(ctx, k.cluster.Config(), crds); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *kindPlatform) config() *rest.Config { return k.cluster.Config() }
func (k *kindPlatform) kubeconfig() string   { return k.cluster.Kubeconfig() }
func (k *kindPlatform) binary() string       { return k.cluster.Router() }
func (k *kindPlatform) image() string        { return kind.AppImage }

// operator: the webhooks lead to Services, and istiods write their CA bundles. The page shows a cluster of two nodes, as the local
// control plane has; here these are the workers.
func (k *kindPlatform) operator(o *sail.Options) { o.WorkersOnly = true }

func (k *kindPlatform) started(*sail.Operator) {}

func (k *kindPlatform) install(ctx context.Context, values []string) error {
	if err := k.cluster.Namespace(ctx); err != nil {
		return err
	}
	if k.forward { // the chart has rights there
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "istio-system"}}
		if _, err := k.kube.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	if err := k.chart.Install(ctx, values...); err != nil {
		return err
	}
	return k.reached(ctx)
}

// reached waits until the API server reaches the router. Its pods being ready is not enough: kube-proxy has to hear of them.
func (k *kindPlatform) reached(ctx context.Context) error {
	client, err := dynamic.NewForConfig(k.cluster.Config())
	if err != nil {
		return err
	}
	tag := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"targetRef": map[string]any{"kind": "Istio", "name": "none"},
	}}}
	tag.SetGroupVersionKind(sailapi.GroupVersion().WithKind("IstioRevisionTag"))
	tag.SetName("is-the-router-reached")
	return awaitRest(ctx, func(ctx context.Context) error {
		_, err := client.Resource(sailKind("istiorevisiontags")).Create(ctx, tag, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInternalError(err) { // the call failed; a refusal would be an answer
			return err
		}
		return nil
	})
}

func (k *kindPlatform) restart(ctx context.Context) error {
	deployments := k.kube.AppsV1().Deployments(charts.Name)
	patch := fmt.Appendf(nil, `{"spec":{"template":{"metadata":{"annotations":{"kubectl.kubernetes.io/restartedAt":%q}}}}}`, time.Now().Format(time.RFC3339))
	if _, err := deployments.Patch(ctx, charts.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return err
	}
	return awaitRest(ctx, func(ctx context.Context) error {
		d, err := deployments.Get(ctx, charts.Name, metav1.GetOptions{})
		if err == nil && !rolledOut(d) {
			err = fmt.Errorf("Deployment %s has not rolled out", charts.Name)
		}
		return err
	})
}

// log is that of every router.
func (k *kindPlatform) log(ctx context.Context) string {
	pods, err := k.kube.CoreV1().Pods(charts.Name).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err.Error()
	}
	var all []string
	for i := range pods.Items {
		raw, err := k.kube.CoreV1().Pods(charts.Name).GetLogs(pods.Items[i].Name, &corev1.PodLogOptions{}).DoRaw(ctx)
		all = append(all, pods.Items[i].Name+":", string(raw))
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return strings.Join(all, "\n")
}

// close leaves the cluster to the next procedure.
func (k *kindPlatform) close() error {
	defer kindCluster.Unlock()
	if err := k.chart.Reset(context.Background()); err != nil { // the test's context is over
		return errors.Join(errors.New("making room for the next procedure"), err)
	}
	return nil
}
