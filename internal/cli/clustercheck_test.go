package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

// patience bounds the waiting for a whole mesh to be known; it is no measure of anything.
const patience = time.Minute

// writes are changes of the mesh in testdata/check/cluster.yaml, each judged on its own.
func writes() map[string]string {
	sailed := func(kind, name, rest string) string {
		return "apiVersion: sailoperator.io/v1\nkind: " + kind + "\nmetadata: {name: " + name + "}\n" + rest
	}
	return map[string]string{
		"IstioCNI ahead":           sailed("IstioCNI", "default", "spec: {version: v1.30.3, namespace: check-mesh, profile: ambient}\n"),
		"IstioCNI as it is":        sailed("IstioCNI", "default", "spec: {version: v1.29.6, namespace: check-mesh, profile: ambient}\n"),
		"ZTunnel behind":           sailed("ZTunnel", "default", "spec: {version: v1.28.3, namespace: check-mesh}\n"),
		"Istio two minors further": sailed("Istio", "check", "spec: {version: v1.32.0, namespace: check-mesh, updateStrategy: {type: RevisionBased}}\n"),
		"Istio to in place":        sailed("Istio", "check", "spec: {version: v1.30.3, namespace: check-mesh}\n"),
		"tag to nothing":           sailed("IstioRevisionTag", "check-prod", "spec: {targetRef: {kind: IstioRevision, name: gone}}\n"),
		"another tag":              sailed("IstioRevisionTag", "check-next", "spec: {targetRef: {kind: Istio, name: check}}\n"),
		"unknown revision":         "apiVersion: v1\nkind: Namespace\nmetadata: {name: check-shop, labels: {istio.io/rev: typo}}\n",
		"another waypoint":         "apiVersion: v1\nkind: Namespace\nmetadata: {name: check-amb, labels: {istio.io/dataplane-mode: ambient, istio.io/use-waypoint: x}}\n",
		"Service with a waypoint":  "apiVersion: v1\nkind: Service\nmetadata: {name: plain, namespace: check-amb, labels: {istio.io/use-waypoint: x}}\n",
		"no waypoint any more": "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: gate, namespace: check-amb, labels: {istio.io/rev: check-v1-30-3}}\n" +
			"spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}\n",
	}
}

// TestCheckInACluster holds what check answers from a cluster, and from the same cluster saved to a file, against the
// rules over the mesh that the webhook follows.
func TestCheckInACluster(t *testing.T) {
	c := cluster.Shared(t)
	for _, crds := range []error{
		cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()), cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()),
	} {
		if crds != nil {
			t.Fatal(crds)
		}
	}
	createAll(t, c, "testdata/check/cluster.yaml")
	live := liveMesh(t, c)
	file := saved(t, c, manifest.ForSkew)

	for name, o := range map[string]sourceOptions{
		"cluster": {purpose: manifest.ForSkew, kubeconfig: c.Kubeconfig(), pageSize: 2},
		"file":    {purpose: manifest.ForSkew, files: []string{file}},
	} {
		set, err := o.read(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := differs(live, set.SkewMesh()); diff != "" {
			t.Errorf("the mesh of the %s (-followed +read):\n%s", name, diff)
		}
	}
	refused := 0
	for name, text := range writes() {
		for _, remove := range []bool{false, true} {
			args := []string{"--change", "-", "-o", "json"}
			if remove {
				name, args = "delete: "+name, append(args, "--delete")
			}
			t.Run(name, func(t *testing.T) {
				want := expected(t, c, live, text, remove)
				if !want.Allowed {
					refused++
				}
				for _, source := range [][]string{{"--kubeconfig", c.Kubeconfig()}, {"-f", file}} {
					got := ranCommand(t, "check", text, append(source, args...)...)
					var v verdict
					if err := json.Unmarshal([]byte(got.stdout), &v); err != nil {
						t.Fatalf("%v in %q, stderr %q", err, got.stdout, got.stderr)
					}
					if diff := cmp.Diff(want, v); diff != "" || (got.code == 0) != want.Allowed {
						t.Errorf("%s: exit code %d (-want +got):\n%s", source[0], got.code, diff)
					}
				}
			})
		}
	}
	if refused < 8 {
		t.Errorf("only %d of the writes are refused: the mesh is not what it should be", refused)
	}
}

// expected is what the rules say, with both objects read as the webhook reads them.
//
//nolint:revive // one test calls it, with all that there is
func expected(t *testing.T, c *cluster.Cluster, live *skew.Mesh, text string, remove bool) verdict {
	t.Helper()
	o := parsed(t, text)
	gk := o.GroupVersionKind().GroupKind()
	change := skew.Change{Operation: skew.Create}
	if there, err := resourceOf(t, c, o).Get(t.Context(), o.GetName(), metav1.GetOptions{}); err == nil {
		change.Operation, change.Old = skew.Update, decoded(t, gk, there)
		// What a request of kubectl replace holds, once the API server has filled it in.
		o.SetOwnerReferences(there.GetOwnerReferences())
	}
	switch {
	case remove && change.Old == nil:
		return verdict{Allowed: true, Findings: []finding{}}
	case remove:
		change.Operation = skew.Delete
	default:
		change.New = decoded(t, gk, o)
	}
	return answer{findings: skew.Check(live, change, skew.DefaultPolicy())}.verdict()
}

func decoded(t *testing.T, gk schema.GroupKind, o *unstructured.Unstructured) skew.Object {
	t.Helper()
	raw, err := o.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	object, err := inventory.Decode(gk, raw)
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func parsed(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	o := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &o.Object); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return o
}

func resourceOf(t *testing.T, c *cluster.Cluster, o *unstructured.Unstructured) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	resource, _ := meta.UnsafeGuessKindToResource(o.GroupVersionKind())
	resource.Resource = strings.Replace(resource.Resource, "gatewaies", "gateways", 1)
	if o.GetNamespace() == "" {
		return client.Resource(resource)
	}
	return client.Resource(resource).Namespace(o.GetNamespace())
}

// createAll creates the objects of a file with their status.
func createAll(t *testing.T, c *cluster.Cluster, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		o := parsed(t, document)
		resource := resourceOf(t, c, o)
		made, err := resource.Create(t.Context(), o, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("%v for\n%s", err, document)
		}
		if status := o.Object["status"]; status != nil {
			made.Object["status"] = status
			if _, err := resource.UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
				t.Fatalf("%v for\n%s", err, document)
			}
		}
	}
}

// liveMesh is what the webhook would look at.
func liveMesh(t *testing.T, c *cluster.Cluster) *skew.Mesh {
	t.Helper()
	s, err := mesh.NewSkew(mesh.SkewOptions{Config: c.Config(), Log: logr.Discard(), LiveTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v", err)
		}
	})
	err = wait.PollUntilContextTimeout(t.Context(), 5*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		return s.Ready() == nil, nil
	})
	if err != nil {
		t.Fatalf("%v: %v", err, s.Ready())
	}
	m, err := s.LiveSkewMesh(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// differs compares meshes, whatever the order of what they hold.
func differs(want, got *skew.Mesh) string {
	text := func(v any) string {
		var b bytes.Buffer
		if err := json.NewEncoder(&b).Encode(v); err != nil {
			return err.Error()
		}
		return b.String()
	}
	return cmp.Diff(want, got, cmpopts.EquateEmpty(),
		cmpopts.SortSlices(func(a, b skew.Namespace) bool { return text(a) < text(b) }),
		cmpopts.SortSlices(func(a, b skew.Revision) bool { return text(a) < text(b) }),
		cmpopts.SortSlices(func(a, b skew.Gateway) bool { return text(a) < text(b) }),
		cmpopts.SortSlices(func(a, b skew.Consumer) bool { return text(a) < text(b) }),
		cmpopts.SortSlices(func(a, b skew.Workload) bool { return text(a) < text(b) }))
}
