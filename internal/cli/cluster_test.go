package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
)

// podsInCluster is more than a few pages of the size that the test asks for.
const podsInCluster = 7

// TestResolveInACluster reads a real API server.
func TestResolveInACluster(t *testing.T) {
	c := cluster.Shared(t)
	fill(t, c)

	t.Run("a namespace", func(t *testing.T) {
		got := ran(t, "", "--kubeconfig", c.Kubeconfig(), "-n", "resolve-shop", "-o", "json")
		if got.code != 0 || got.stderr != "" {
			t.Fatalf("got exit code %d and stderr %q", got.code, got.stderr)
		}
		rows := rowsOf(t, got.stdout)
		if len(rows) != podsInCluster {
			t.Fatalf("got %d rows, want %d:\n%s", len(rows), podsInCluster, got.stdout)
		}
		want := row{
			Kind: "Pod", Namespace: "resolve-shop", Name: "web-0", Action: "Inject", Reason: "NamespaceRevision",
			Revision: "resolve-v1", Tag: "resolve-prod", Version: "v1.30.3",
		}
		rows[0].Warnings = nil
		if diff := cmp.Diff(want, rows[0], cmp.AllowUnexported(row{})); diff != "" {
			t.Errorf("first row (-want +got):\n%s", diff)
		}
	})
	t.Run("everything", func(t *testing.T) {
		got := ran(t, "", "--kubeconfig", c.Kubeconfig())
		if got.code != ExitRefused {
			t.Errorf("got exit code %d, want %d; stderr:\n%s", got.code, ExitRefused, got.stderr)
		}
		for _, part := range []string{
			"resolve-typo   Deployment", "UnknownRevision: a pod of Deployment \"web\" in namespace resolve-typo is refused",
			"resolve-shop   Pod",
		} {
			if !strings.Contains(got.stdout, part) {
				t.Errorf("there is no %q in\n%s", part, got.stdout)
			}
		}
		if strings.Contains(got.stderr, "is in none of the files") {
			t.Errorf("a cluster has no files, but stderr says\n%s", got.stderr)
		}
	})
	t.Run("page by page", func(t *testing.T) {
		whole := sourceOptions{kubeconfig: c.Kubeconfig()}
		paged := sourceOptions{kubeconfig: c.Kubeconfig(), pageSize: 2}
		want, got := listedBy(t, whole), listedBy(t, paged)
		if diff := cmp.Diff(want, got); diff != "" || len(got) < podsInCluster {
			t.Errorf("%d objects (-one page +pages):\n%s", len(got), diff)
		}
	})
	t.Run("saved by kubectl and read as a file", func(t *testing.T) {
		file := saved(t, c, manifest.ForRouting)
		got := ran(t, "", "-f", file, "-o", "json")
		want := ran(t, "", "--kubeconfig", c.Kubeconfig(), "-o", "json")
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("(-cluster +file):\n%s", diff)
		}
	})
	t.Run("where the router injects", func(t *testing.T) { testResolveForward(t, c) })
	t.Run("somebody who may list nothing", func(t *testing.T) {
		got := ran(t, "", "--kubeconfig", kubeconfigFor(t, c, "nobody"))
		if got.code != ExitUsage || !strings.Contains(got.stderr, "kubectl auth can-i list") ||
			!strings.Contains(got.stderr, `User "nobody" cannot list resource`) || got.stdout != "" {
			t.Errorf("got exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
		}
	})
}

// fill makes a mesh, a namespace whose pods find their revision, and one whose pods do not.
func fill(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx := t.Context()
	if err := cluster.InstallCRDs(ctx, c.Config(), sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	client := kubernetes.NewForConfigOrDie(c.Config())
	sails := dynamic.NewForConfigOrDie(c.Config())
	create := func(plural, text string) {
		t.Helper()
		var o unstructured.Unstructured
		if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
			t.Fatal(err)
		}
		resource := sails.Resource(schema.GroupVersionResource{Group: sail.Group, Version: "v1", Resource: plural})
		made, err := resource.Create(ctx, &o, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if status := o.Object["status"]; status != nil {
			made.Object["status"] = status
			if _, err := resource.UpdateStatus(ctx, made, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	create("istiorevisions", "apiVersion: sailoperator.io/v1\nkind: IstioRevision\nmetadata: {name: resolve-v1}\n"+
		"spec: {version: v1.30.3, namespace: istio-system, values: {revision: resolve-v1, global: {istioNamespace: istio-system}}}\n")
	create("istiorevisiontags", "apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: resolve-prod}\n"+
		"spec: {targetRef: {kind: IstioRevision, name: resolve-v1}}\nstatus: {istioRevision: resolve-v1, istiodNamespace: istio-system}\n")
	for name, revision := range map[string]string{"resolve-shop": "resolve-prod", "resolve-typo": "resolve-prdo"} {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"istio.io/rev": revision}}}
		if _, err := client.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range podsInCluster {
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web-" + string(rune('0'+i))}}
		pod.Spec.Containers = []corev1.Container{{Name: "web", Image: "web:1"}}
		noToken := false
		pod.Spec.AutomountServiceAccountToken = &noToken
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}
		if i == 0 {
			// There is no controller that makes it.
			if _, err := client.CoreV1().ServiceAccounts("resolve-shop").Create(ctx, account, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := client.CoreV1().Pods("resolve-shop").Create(ctx, pod, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	deployment := map[string]any{}
	text := "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: resolve-typo}\nspec: {selector: {matchLabels: {app: web}}, " +
		"template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: \"web:1\"}]}}}\n"
	if err := yaml.Unmarshal([]byte(text), &deployment); err != nil {
		t.Fatal(err)
	}
	resource := sails.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}).Namespace("resolve-typo")
	if _, err := resource.Create(ctx, &unstructured.Unstructured{Object: deployment}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func rowsOf(t *testing.T, stdout string) []row {
	t.Helper()
	var rows []row
	for line := range strings.Lines(stdout) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		rows = append(rows, r)
	}
	return rows
}

// listedBy returns kind, namespace and name of everything that is read.
func listedBy(t *testing.T, o sourceOptions) []string {
	t.Helper()
	set, err := o.read(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, object := range set.Objects {
		out = append(out, object.Kind+" "+object.Namespace+"/"+object.Name)
	}
	return out
}

// saved writes everything as one list, as kubectl get -o json does.
func saved(t *testing.T, c *cluster.Cluster, purpose manifest.Purpose) string {
	t.Helper()
	client, err := (&sourceOptions{kubeconfig: c.Kubeconfig()}).client()
	if err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	for _, r := range manifest.Resources(purpose) {
		raw, err := client.Get().AbsPath(r.Path("")).Do(t.Context()).Raw()
		if err != nil {
			continue // a kind that this cluster does not have
		}
		all.Write(raw)
		all.WriteByte('\n')
	}
	file := filepath.Join(t.TempDir(), "saved.json")
	if err := os.WriteFile(file, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// kubeconfigFor is the cluster's kubeconfig, used as another user.
func kubeconfigFor(t *testing.T, c *cluster.Cluster, user string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	for _, auth := range config.AuthInfos {
		auth.Impersonate = user
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		t.Fatal(err)
	}
	return file
}
