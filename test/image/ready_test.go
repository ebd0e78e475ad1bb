package image

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
)

// patience is for a container on a busy machine.
const patience = 2 * time.Minute

// becomesReady packages the chart, installs the package on a real API server, and runs a container as the Deployment that
// Helm installed says: its arguments, its policy, and a token of its ServiceAccount where a pod finds it. What no
// API server without nodes does is done here: mounting, and the network of pods, for which the container has the host's.
func becomesReady(t *testing.T) {
	c := cluster.Shared(t)
	if err := cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	installPackage(t, c)
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	deployment, err := client.AppsV1().Deployments(charts.Name).Get(t.Context(), charts.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account, policy := t.TempDir(), t.TempDir()
	mountAccount(t, client, c, account)
	mountPolicy(t, client, deployment, policy)
	host, port, err := net.SplitHostPort(strings.TrimPrefix(c.Config().Host, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	health := freePort(t)
	args := slices.Concat(confined(), []string{
		"--detach", "--network=host", "--memory=256m",
		"--env=KUBERNETES_SERVICE_HOST=" + host, "--env=KUBERNETES_SERVICE_PORT=" + port,
		"--volume=" + account + ":/var/run/secrets/kubernetes.io/serviceaccount:ro", "--volume=" + policy + ":/etc/revision-router:ro",
		name,
	}, arguments(deployment), []string{
		// The rendered flags come first; what has to differ on the host's network wins.
		"--webhook-host=127.0.0.1", fmt.Sprintf("--webhook-port=%d", freePort(t)), fmt.Sprintf("--metrics-address=127.0.0.1:%d", freePort(t)),
		fmt.Sprintf("--health-address=127.0.0.1:%d", health), "--drain-delay=0s",
	})
	id := strings.TrimSpace(string(command(t, args...)))
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := exec.Command("docker", "logs", id).CombinedOutput() // the test's context is over
			t.Logf("log of the container:\n%s", log)
		}
		_ = exec.Command("docker", "rm", "--force", id).Run()
	})
	answer := waitReady(t, fmt.Sprintf("http://127.0.0.1:%d/readyz?verbose", health))
	t.Logf("/readyz of the container:\n%s", answer)
	if !strings.Contains(answer, "[+]snapshot ok") || !strings.Contains(answer, "[+]certificate ok") {
		t.Errorf("it is ready without a snapshot or a certificate:\n%s", answer)
	}
	hook, err := client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(t.Context(), "0-istio-revision-router", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range hook.Webhooks {
		if len(hook.Webhooks[i].ClientConfig.CABundle) == 0 {
			t.Errorf("the container wrote no CA bundle for %s", hook.Webhooks[i].Name)
		}
	}
}

func installPackage(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	helm, err := local.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	chart, err := charts.Unpack(home)
	if err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) {
		t.Helper()
		command(t, slices.Concat([]string{"env", "HELM_CONFIG_HOME=" + home, "HELM_CACHE_HOME=" + home, "HELM_DATA_HOME=" + home, helm}, args)...)
	}
	run("package", chart, "--destination", home)
	packages, err := filepath.Glob(filepath.Join(home, "*.tgz"))
	if err != nil || len(packages) != 1 {
		t.Fatalf("helm package made %v, %v", packages, err)
	}
	run("install", charts.Name, packages[0], "--namespace", charts.Name, "--create-namespace", "--kubeconfig", c.Kubeconfig(),
		"--set", "image.repository=revision-router", "--set", "image.tag=image-test")
}

// mountAccount writes what the kubelet puts into every container: a token that the API server issued, and its CA.
func mountAccount(t *testing.T, client kubernetes.Interface, c *cluster.Cluster, dir string) {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: new(int64(3600))}}
	token, err := client.CoreV1().ServiceAccounts(charts.Name).CreateToken(t.Context(), charts.Name, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	ca := c.Config().CAData
	if len(ca) == 0 {
		if ca, err = os.ReadFile(c.Config().CAFile); err != nil {
			t.Fatal(err)
		}
	}
	mount(t, dir, map[string]string{"token": token.Status.Token, "ca.crt": string(ca), "namespace": charts.Name})
}

// mountPolicy writes the ConfigMap that the Deployment mounts at /etc/revision-router.
func mountPolicy(t *testing.T, client kubernetes.Interface, deployment *appsv1.Deployment, dir string) {
	t.Helper()
	for _, volume := range deployment.Spec.Template.Spec.Volumes {
		if volume.Name != "policy" || volume.ConfigMap == nil {
			continue
		}
		found, err := client.CoreV1().ConfigMaps(charts.Name).Get(t.Context(), volume.ConfigMap.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		mount(t, dir, found.Data)
		return
	}
	t.Fatal("the Deployment mounts no policy")
}

func mount(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for file, text := range files {
		// The container's user is not the one that runs this test.
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// arguments are those of the installed Deployment, with what the kubelet fills in.
func arguments(deployment *appsv1.Deployment) []string {
	args := slices.Clone(deployment.Spec.Template.Spec.Containers[0].Args)
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "$(POD_NAMESPACE)", charts.Name)
	}
	return args
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("address %v", listener.Addr())
	}
	return address.Port
}

// waitReady asks until the answer is 200, and returns it.
func waitReady(t *testing.T, url string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	last := ""
	for {
		answer, status := get(ctx, url)
		if status == http.StatusOK {
			return answer
		}
		if answer != "" {
			last = answer
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			t.Fatalf("not ready after %s; the last answer was\n%s", patience, last)
		}
	}
}

func get(ctx context.Context, url string) (body string, status int) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err.Error(), 0
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", 0 // it does not listen yet
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return "", 0
	}
	return string(text), response.StatusCode
}
