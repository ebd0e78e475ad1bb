package certmanager_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/certmanager"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
)

const (
	namespace = "revision-router"
	serving   = "revision-router-tls"
	ca        = "revision-router-cert-manager-ca"
	loopback  = "127.0.0.1"
	// patience is how long a test waits for what has to come. It is no measurement: the machine may be busy.
	patience = time.Minute
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// rig is the chart with certs.provider=cert-manager on a real API server, and a router process with the permissions of
// its ServiceAccount. In place of the kubelet, mount writes the Secret into a folder.
type rig struct {
	t                       *testing.T
	cluster                 *cluster.Cluster
	kube                    kubernetes.Interface
	issuer                  *certmanager.Issuer
	dir                     string
	mounts                  int
	webhook, health, metric string
	args                    []string
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, cluster: cluster.Shared(t), dir: t.TempDir()}
	r.webhook, r.health, r.metric = freePort(t), freePort(t), freePort(t)
	config := r.cluster.Config()
	config.WarningHandlerWithContext = rest.NoWarnings{} // there is no revision, which every pod is told
	kube, err1 := kubernetes.NewForConfig(config)
	issuer, err2 := certmanager.NewIssuer(r.cluster.Config())
	err3 := cluster.InstallCRDs(t.Context(), r.cluster.Config(), sail.CRDs())
	err4 := certmanager.Install(t.Context(), r.cluster.Config())
	objects, err5 := local.Chart(t.Context(), "--set", "certs.provider=cert-manager", "--set", "webhook.failurePolicy=Fail")
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		t.Fatal(err)
	}
	r.kube, r.issuer = kube, issuer
	r.install(objects)
	return r
}

// install creates the objects as they are rendered, but that the API server calls the router by URL, since there is no
// network for Services, and so needs the address in the certificate.
func (r *rig) install(objects []*unstructured.Unstructured) {
	r.t.Helper()
	ctx := r.t.Context()
	for name, labels := range map[string]map[string]string{namespace: nil, "shop": {"istio-injection": "enabled"}} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
		if _, err := r.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			r.t.Fatal(err)
		}
	}
	client, err1 := dynamic.NewForConfig(r.cluster.Config())
	groups, err2 := restmapper.GetAPIGroupResources(discovery.NewDiscoveryClient(r.kube.Discovery().RESTClient()))
	if err := errors.Join(err1, err2); err != nil {
		r.t.Fatal(err)
	}
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment":
			r.args = argsOf(r.t, object)
			continue
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			if err := local.CallByURL(object, "https://"+r.webhook, nil); err != nil {
				r.t.Fatal(err)
			}
		case "Certificate":
			if object.GetName() != serving {
				break
			}
			if err := unstructured.SetNestedStringSlice(object.Object, []string{loopback}, "spec", "ipAddresses"); err != nil {
				r.t.Fatal(err)
			}
		}
		mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
		if err != nil {
			r.t.Fatal(err)
		}
		_, err = resource(client, mapping.Resource, object.GetNamespace()).Create(ctx, object, metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
		if err != nil {
			r.t.Fatalf("%s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
}

func resource(client dynamic.Interface, gvr schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return client.Resource(gvr)
	}
	return client.Resource(gvr).Namespace(namespace)
}

func argsOf(t *testing.T, deployment *unstructured.Unstructured) []string {
	t.Helper()
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) != 1 {
		t.Fatalf("%d containers: %v", len(containers), err)
	}
	container, _ := containers[0].(map[string]any)
	args, _, err := unstructured.NestedStringSlice(container, "args")
	if err != nil {
		t.Fatal(err)
	}
	return args
}

func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// start runs the router with the arguments of the Deployment until the test ends.
func (r *rig) start() {
	r.t.Helper()
	binary, log := filepath.Join(r.t.TempDir(), "router"), &strings.Builder{}
	build := exec.CommandContext(r.t.Context(), "go", "build", "-o", binary, "github.com/revision-router/revision-router/cmd/router")
	if out, err := build.CombinedOutput(); err != nil {
		r.t.Fatalf("go build: %v\n%s", err, out)
	}
	_, port, err := net.SplitHostPort(r.webhook)
	if err != nil {
		r.t.Fatal(err)
	}
	policy := filepath.Join(r.t.TempDir(), "policy.yaml")
	configMap, err := r.kube.CoreV1().ConfigMaps(namespace).Get(r.t.Context(), "revision-router-policy", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(policy, []byte(configMap.Data["policy.yaml"]), 0o600); err != nil {
		r.t.Fatal(err)
	}
	// What has to differ on this machine comes later and wins.
	args := slices.Concat(r.args, []string{
		"--namespace=" + namespace, "--policy=" + policy, "--kubeconfig=" + r.kubeconfig(), "--cert-dir=" + r.dir, "--drain-delay=0s",
		"--webhook-host=" + loopback, "--webhook-port=" + port, "--health-address=" + r.health, "--metrics-address=" + r.metric, "--tls-san=" + loopback,
	})
	cmd := exec.Command(binary, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			r.t.Errorf("the router ended: %v", err)
		}
		if strings.Contains(log.String(), "forbidden") {
			r.t.Error("something was forbidden")
		}
		if r.t.Failed() {
			r.t.Log(log.String())
		}
	})
}

// kubeconfig is that of the router's ServiceAccount, by impersonation.
func (r *rig) kubeconfig() string {
	r.t.Helper()
	config, err := clientcmd.LoadFromFile(r.cluster.Kubeconfig())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:" + namespace + ":" + charts.Name
		user.ImpersonateGroups = []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace, "system:authenticated"}
	}
	path := filepath.Join(r.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		r.t.Fatal(err)
	}
	return path
}

func (r *rig) issue(name string) {
	r.t.Helper()
	if err := r.issuer.Issue(r.t.Context(), namespace, name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) inject() {
	r.t.Helper()
	if n, err := r.issuer.Inject(r.t.Context()); err != nil || n != 2 {
		r.t.Fatalf("injected into %d configurations, want both: %v", n, err)
	}
}

// mount puts the files of the Secret in place as the kubelet's atomic writer does.
func (r *rig) mount() {
	r.t.Helper()
	secret, err := r.kube.CoreV1().Secrets(namespace).Get(r.t.Context(), serving, metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.mounts++
	version := fmt.Sprintf("..version-%d", r.mounts)
	errs := []error{os.Mkdir(filepath.Join(r.dir, version), 0o700)}
	for _, key := range []string{"tls.crt", "tls.key"} {
		errs = append(errs, os.WriteFile(filepath.Join(r.dir, version, key), secret.Data[key], 0o600))
		if link := filepath.Join(r.dir, key); r.mounts == 1 {
			errs = append(errs, os.Symlink(filepath.Join("..data", key), link))
		}
	}
	next := filepath.Join(r.dir, "..data_tmp")
	errs = append(errs, os.Symlink(version, next), os.Rename(next, filepath.Join(r.dir, "..data")))
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

// readiness is what /readyz says about certificates.
func (r *rig) readiness() (ready bool, text string) {
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+r.health+"/readyz?verbose", http.NoBody)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return false, err.Error()
	}
	return response.StatusCode == http.StatusOK, string(body)
}

func (r *rig) waitFor(what string, check func() error) {
	r.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(r.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		r.t.Fatalf("waited for %s: %v", what, last)
	}
}

func (r *rig) waitReadiness(want bool, contains string) {
	r.t.Helper()
	r.waitFor(fmt.Sprintf("ready to be %t with %q", want, contains), func() error {
		ready, text := r.readiness()
		if ready != want || !strings.Contains(text, contains) {
			return fmt.Errorf("ready is %t: %s", ready, text)
		}
		return nil
	})
}
