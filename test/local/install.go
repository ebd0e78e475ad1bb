package local

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/balance"
)

// loopback is the only address that anything here listens on or talks to.
const loopback = "127.0.0.1"

// install applies the rendered objects and starts the router as the rendered Deployment would.
func (e *Environment) install(ctx context.Context, binary string, objects []*unstructured.Unstructured) error {
	base, start, err := e.prepare(binary)
	if err != nil {
		return err
	}
	var deployment *unstructured.Unstructured
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment":
			deployment = object
		case "ConfigMap":
			if err := e.writePolicy(object); err != nil {
				return err
			}
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			if err := CallByURL(object, base, nil); err != nil {
				return err
			}
		}
	}
	if err := e.apply(ctx, objects); err != nil {
		return err
	}
	rendered, err := templateOf(deployment)
	if err != nil {
		return err
	}
	kubeconfig, err := e.routerKubeconfig()
	if err != nil {
		return err
	}
	rendered.binary, rendered.dir = binary, e.dir
	rendered.env = append(rendered.env, e.options.Env...)
	// The rendered flags first; what has to differ on this machine comes later and wins.
	rendered.args = append(rendered.args, "--kubeconfig="+kubeconfig, "--policy="+filepath.Join(e.dir, "policy.yaml"),
		"--webhook-host="+loopback, "--tls-san="+loopback)
	e.again = func(ctx context.Context) error { return start(ctx, rendered) }
	return e.again(ctx)
}

// prepare decides where the webhooks are called and how routers are started.
func (e *Environment) prepare(binary string) (base string, start func(context.Context, template) error, err error) {
	if e.options.Replicas == 0 {
		return e.prepareOne(binary)
	}
	service, err := balance.New()
	if err != nil {
		return "", nil, err
	}
	e.Deployment = &Deployment{Service: service}
	return service.URL(), func(ctx context.Context, t template) error {
		e.Deployment.template = t
		return e.Deployment.Scale(ctx, e.options.Replicas)
	}, nil
}

// prepareOne is for a single router, which stops at once: nobody waits for it to be taken out of a Service.
func (e *Environment) prepareOne(binary string) (string, func(context.Context, template) error, error) {
	ports, err := freePorts(3)
	if err != nil {
		return "", nil, err
	}
	webhookPort, healthPort, metricsPort := ports[0], ports[1], ports[2]
	e.Health = fmt.Sprintf("http://%s:%d", loopback, healthPort)
	e.Metrics = fmt.Sprintf("http://%s:%d/metrics", loopback, metricsPort)
	return fmt.Sprintf("https://%s:%d", loopback, webhookPort), func(ctx context.Context, t template) error {
		args := slices.Concat(t.args, []string{
			"--webhook-port=" + strconv.Itoa(webhookPort),
			fmt.Sprintf("--health-address=%s:%d", loopback, healthPort),
			fmt.Sprintf("--metrics-address=%s:%d", loopback, metricsPort), "--drain-delay=0s",
		})
		var err error
		if e.router, err = startProcess(command{binary, args, t.env, e.RouterLog()}); err != nil {
			return err
		}
		return e.router.waitReady(ctx, e.Health+"/readyz?verbose")
	}, nil
}

// apply creates the rendered objects that mean something without nodes. The Deployment and what belongs to its pods
// are left out: nothing would run them.
func (e *Environment) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	config := e.Cluster.Config()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := createNamespaces(ctx, kube, objects); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	disco, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco))
	for _, object := range objects {
		if object.GetKind() == "Deployment" {
			continue
		}
		mapping, err := mapper.RESTMapping(object.GroupVersionKind().GroupKind(), object.GroupVersionKind().Version)
		if err != nil {
			return fmt.Errorf("installing %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		var resource dynamic.ResourceInterface = client.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			resource = client.Resource(mapping.Resource).Namespace(object.GetNamespace())
		}
		options := metav1.ApplyOptions{FieldManager: "helm", Force: true}
		if _, err := resource.Apply(ctx, object.GetName(), object, options); err != nil {
			return fmt.Errorf("installing %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

// createNamespaces creates the router's own, and those of control planes that it gets rights in.
func createNamespaces(ctx context.Context, kube kubernetes.Interface, objects []*unstructured.Unstructured) error {
	names := map[string]bool{charts.Name: true}
	for _, object := range objects {
		if namespace := object.GetNamespace(); namespace != "" {
			names[namespace] = true
		}
	}
	for name := range names {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		_, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating namespace %s: %w", name, err)
		}
	}
	return nil
}

// templateOf reads how the Deployment starts, asks and stops the router.
func templateOf(rendered *unstructured.Unstructured) (template, error) {
	if rendered == nil {
		return template{}, errors.New("the chart renders no Deployment")
	}
	var deployment appsv1.Deployment
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered.Object, &deployment)
	if err != nil {
		return template{}, fmt.Errorf("the rendered Deployment: %w", err)
	}
	pod := deployment.Spec.Template.Spec
	if len(pod.Containers) == 0 || pod.Containers[0].ReadinessProbe == nil || pod.Containers[0].ReadinessProbe.HTTPGet == nil {
		return template{}, errors.New("the rendered Deployment has no container with a readiness probe by HTTP")
	}
	container := pod.Containers[0]
	t := template{args: container.Args, probe: *container.ReadinessProbe, grace: 30 * time.Second} // the default of a pod
	if pod.TerminationGracePeriodSeconds != nil {
		t.grace = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	}
	for i := range t.args {
		t.args[i] = strings.ReplaceAll(t.args[i], "$(POD_NAMESPACE)", charts.Name)
	}
	for _, variable := range container.Env {
		switch from := variable.ValueFrom; {
		case from == nil:
			t.env = append(t.env, variable.Name+"="+variable.Value)
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			t.env = append(t.env, variable.Name+"="+charts.Name)
		}
	}
	return t, nil
}

func (e *Environment) writePolicy(configMap *unstructured.Unstructured) error {
	policy, ok, err := unstructured.NestedString(configMap.Object, "data", "policy.yaml")
	if err != nil || !ok {
		return nil //nolint:nilerr // another ConfigMap
	}
	if err := os.WriteFile(filepath.Join(e.dir, "policy.yaml"), []byte(policy), 0o600); err != nil {
		return fmt.Errorf("writing the policy: %w", err)
	}
	return nil
}

// CallByURL replaces the Service of every webhook of a rendered configuration by a URL on this machine that begins
// with base, and keeps the path. A CA bundle is set where one is given.
func CallByURL(configuration *unstructured.Unstructured, base string, caBundle []byte) error {
	webhooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
	if err != nil {
		return fmt.Errorf("the rendered webhooks: %w", err)
	}
	for i := range webhooks {
		hook, _ := webhooks[i].(map[string]any)
		path, _, err := unstructured.NestedString(hook, "clientConfig", "service", "path")
		if err != nil {
			return fmt.Errorf("the rendered webhooks: %w", err)
		}
		config := map[string]any{"url": base + path}
		if caBundle != nil {
			config["caBundle"] = base64.StdEncoding.EncodeToString(caBundle)
		}
		hook["clientConfig"] = config
	}
	return unstructured.SetNestedSlice(configuration.Object, webhooks, "webhooks")
}

// routerKubeconfig gives the router the rights of its ServiceAccount and no others.
func (e *Environment) routerKubeconfig() (string, error) {
	user := fmt.Sprintf("system:serviceaccount:%s:%s", charts.Name, charts.Name)
	config, err := e.Cluster.ConfigFor(user, "system:serviceaccounts", "system:serviceaccounts:"+charts.Name)
	if err != nil {
		return "", fmt.Errorf("acting as %s: %w", user, err)
	}
	path := filepath.Join(e.dir, "router.kubeconfig")
	if err := clientcmd.WriteToFile(kubeconfigOf(config), path); err != nil {
		return "", fmt.Errorf("writing the router's kubeconfig: %w", err)
	}
	return path, nil
}

func kubeconfigOf(c *rest.Config) clientcmdapi.Config {
	const name = "local"
	return clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{name: {
			Server: c.Host, CertificateAuthorityData: c.CAData, CertificateAuthority: c.CAFile,
		}},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{name: {
			ClientCertificateData: c.CertData, ClientCertificate: c.CertFile,
			ClientKeyData: c.KeyData, ClientKey: c.KeyFile,
			Impersonate: c.Impersonate.UserName, ImpersonateGroups: c.Impersonate.Groups,
		}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	}
}

// freePorts finds ports that nothing listens on at this moment.
func freePorts(n int) ([]int, error) {
	var ports []int
	var listeners []net.Listener
	// All stay open until the end, so that no port is given twice.
	defer func() {
		for _, listener := range listeners {
			_ = listener.Close()
		}
	}()
	for range n {
		listener, err := net.Listen("tcp", loopback+":0") //nolint:noctx // returns at once
		if err != nil {
			return nil, fmt.Errorf("finding a free port: %w", err)
		}
		listeners = append(listeners, listener)
		address, _ := listener.Addr().(*net.TCPAddr)
		ports = append(ports, address.Port)
	}
	return ports, nil
}
