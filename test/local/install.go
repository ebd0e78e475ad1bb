package local

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/revision-router/revision-router/charts"
)

// loopback is the only address that anything here listens on or talks to.
const loopback = "127.0.0.1"

// install applies the rendered objects and starts the router as the rendered Deployment would.
func (e *Environment) install(ctx context.Context, binary string, objects []*unstructured.Unstructured) error {
	ports, err := freePorts(3)
	if err != nil {
		return err
	}
	webhookPort, healthPort, metricsPort := ports[0], ports[1], ports[2]
	e.Health = fmt.Sprintf("http://%s:%d", loopback, healthPort)
	e.Metrics = fmt.Sprintf("http://%s:%d/metrics", loopback, metricsPort)

	var args []string
	for _, object := range objects {
		switch object.GetKind() {
		case "Deployment":
			if args, err = containerArgs(object); err != nil {
				return err
			}
		case "ConfigMap":
			if err := e.writePolicy(object); err != nil {
				return err
			}
		case "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration":
			base := fmt.Sprintf("https://%s:%d", loopback, webhookPort)
			if err := CallByURL(object, base, nil); err != nil {
				return err
			}
		}
	}
	if err := e.apply(ctx, objects); err != nil {
		return err
	}
	kubeconfig, err := e.routerKubeconfig()
	if err != nil {
		return err
	}
	// The rendered flags first; what has to differ on this machine comes later and wins.
	args = append(args, "--kubeconfig="+kubeconfig, "--policy="+filepath.Join(e.dir, "policy.yaml"),
		"--webhook-host="+loopback, "--webhook-port="+strconv.Itoa(webhookPort), "--tls-san="+loopback,
		fmt.Sprintf("--health-address=%s:%d", loopback, healthPort),
		fmt.Sprintf("--metrics-address=%s:%d", loopback, metricsPort), "--drain-delay=0s")
	if e.router, err = startProcess(binary, args, e.RouterLog()); err != nil {
		return err
	}
	return e.router.waitReady(ctx, e.Health+"/readyz?verbose")
}

// apply creates the rendered objects that mean something without nodes. The Deployment and what belongs to its pods
// are left out: nothing would run them.
func (e *Environment) apply(ctx context.Context, objects []*unstructured.Unstructured) error {
	config := e.Cluster.Config()
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: charts.Name}}
	if _, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", charts.Name, err)
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

// containerArgs returns the router's arguments as the Deployment states them.
func containerArgs(deployment *unstructured.Unstructured) ([]string, error) {
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil || len(containers) == 0 {
		return nil, fmt.Errorf("the rendered Deployment has no container: %w", err)
	}
	container, _ := containers[0].(map[string]any)
	args, _, err := unstructured.NestedStringSlice(container, "args")
	if err != nil {
		return nil, fmt.Errorf("the rendered container's args: %w", err)
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "$(POD_NAMESPACE)", charts.Name)
	}
	return args, nil
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
