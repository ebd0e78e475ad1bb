package inventory_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func decode[T any](t *testing.T, raw []byte) *T {
	t.Helper()
	o := new(T)
	if err := json.Unmarshal(raw, o); err != nil {
		t.Fatal(err)
	}
	return o
}

func encode(t *testing.T, o any) []byte {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// recordedMesh holds the objects of a real cluster by kind.
type recordedMesh map[string][]json.RawMessage

func readMesh(t *testing.T, name string) recordedMesh {
	t.Helper()
	list := decode[struct{ Items []json.RawMessage }](t, readFile(t, name))
	mesh := recordedMesh{}
	for _, raw := range list.Items {
		kind := decode[metav1.TypeMeta](t, raw).Kind
		mesh[kind] = append(mesh[kind], raw)
	}
	return mesh
}

func convert[T, V any](t *testing.T, mesh recordedMesh, kind string, of func(*T) V) []V {
	t.Helper()
	var all []V
	for _, raw := range mesh[kind] {
		all = append(all, of(decode[T](t, raw)))
	}
	return all
}

// parts reads a whole recorded cluster, as the watches do.
func parts(t *testing.T, mesh recordedMesh) inventory.Parts {
	t.Helper()
	p := inventory.Parts{
		Istios:     convert(t, mesh, "Istio", inventory.Istio),
		Revisions:  convert(t, mesh, "IstioRevision", inventory.Revision),
		Tags:       convert(t, mesh, "IstioRevisionTag", (*sail.IstioRevisionTag).Tag),
		CNIs:       convert(t, mesh, "IstioCNI", inventory.CNI),
		ZTunnels:   convert(t, mesh, "ZTunnel", inventory.ZTunnel),
		Namespaces: convert(t, mesh, "Namespace", func(o *corev1.Namespace) skew.Namespace { return inventory.Namespace(&o.ObjectMeta) }),
	}
	for _, raw := range mesh["Deployment"] {
		r, ok := inventory.DeploymentRollout(decode[appsv1.Deployment](t, raw))
		if !ok {
			t.Fatal("an istiod Deployment is not known as one")
		}
		p.Rollouts = append(p.Rollouts, r)
	}
	for _, raw := range mesh["DaemonSet"] {
		r, ok := inventory.DaemonSetRollout(decode[appsv1.DaemonSet](t, raw))
		if !ok {
			t.Fatal("a DaemonSet of Istio is not known as one")
		}
		p.Rollouts = append(p.Rollouts, r)
	}
	return p
}

func done(version string) skew.Rollout {
	return skew.Rollout{Found: true, Version: version, Observed: true, Pods: 1, Updated: 1, Ready: 1}
}

// unread leaves out what routing's own tests cover.
func unread() cmp.Option { return cmpopts.IgnoreFields(routing.Revision{}, "Created", "UID") }

func TestRecordedAmbientMesh(t *testing.T) {
	got := parts(t, readMesh(t, "ambient-inplace.json")).Mesh()
	want := &skew.Mesh{
		Istios: []skew.Istio{{
			Name: "default", Namespace: "istio-system", Version: "v1.29.6", Strategy: skew.InPlace, Ambient: true,
			Active: "default", Observed: true,
		}},
		Revisions: []skew.Revision{{
			Revision: routing.Revision{
				Name: "default", Version: "v1.29.6", Namespace: "istio-system", Istio: "default", Origin: routing.Sail,
			},
			Ambient: true, Istiod: done("v1.29.6"), Ready: skew.Ready,
		}},
		CNI:     &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.29.6", Ambient: true, DaemonSet: done("v1.29.6")},
		ZTunnel: &skew.ZTunnel{Name: "default", Namespace: "ztunnel", Version: "v1.29.6", DaemonSet: done("v1.29.6")},
	}
	if diff := cmp.Diff(want, got, unread(), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(skew.Mesh{}, "Namespaces")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(got.Namespaces) != 12 {
		t.Errorf("%d namespaces, want 12", len(got.Namespaces))
	}
	for _, ns := range got.Namespaces {
		if ns.Labels["kubernetes.io/metadata.name"] != ns.Name || ns.Deleting {
			t.Errorf("namespace %+v lacks the label that every namespace has, or is being deleted", ns)
		}
	}
}

func TestRecordedMeshDuringAnUpdate(t *testing.T) {
	got := parts(t, readMesh(t, "revisionbased-during.json")).Mesh()
	revision := func(name, version string) skew.Revision {
		return skew.Revision{
			Revision: routing.Revision{Name: name, Version: version, Namespace: "istio-system", Istio: "default", Origin: routing.Sail},
			Istiod:   done(version), Ready: skew.Ready,
		}
	}
	want := &skew.Mesh{
		Istios: []skew.Istio{{
			Name: "default", Namespace: "istio-system", Version: "v1.30.3", Strategy: skew.RevisionBased,
			Active: "default-v1-30-3", Observed: true,
		}},
		Revisions: []skew.Revision{revision("default-v1-29-6", "v1.29.6"), revision("default-v1-30-3", "v1.30.3")},
		CNI:       &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.29.6", DaemonSet: done("v1.29.6")},
	}
	if diff := cmp.Diff(want, got, unread(), cmpopts.EquateEmpty(), cmpopts.IgnoreFields(skew.Mesh{}, "Namespaces", "Tags")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if len(got.Tags) != 2 {
		t.Errorf("the tags are %+v, want default and prod", got.Tags)
	}
}

// Pods of Istio's own charts run its components, whatever their containers are called: ZTunnel's is named as the
// proxy of a sidecar is.
func TestRecordedComponentsAreNoWorkloads(t *testing.T) {
	seen := map[inventory.Part]bool{}
	for _, file := range []string{"ambient-inplace.json", "revisionbased-during.json"} {
		mesh := readMesh(t, file)
		rollouts := parts(t, mesh).Rollouts
		templates := append(
			convert(t, mesh, "Deployment", func(o *appsv1.Deployment) corev1.Pod { return podOf(o.Namespace, o.Spec.Template) }),
			convert(t, mesh, "DaemonSet", func(o *appsv1.DaemonSet) corev1.Pod { return podOf(o.Namespace, o.Spec.Template) })...)
		for n, template := range templates {
			p := decode[inventory.Pod](t, encode(t, template))
			if w, ok := p.Workload(); ok {
				t.Errorf("%s: a pod of %+v is the workload %+v", file, rollouts[n].Component, w)
			}
			if r, ok := p.Running(); ok {
				t.Errorf("%s: a pod that is not ready serves as %+v", file, r)
			}
			p.Status.Conditions = []inventory.PodCondition{{Type: "PodScheduled", Status: "True"}, {Type: "Ready", Status: "True"}}
			want := inventory.Running{Component: rollouts[n].Component, Version: rollouts[n].Version}
			if r, ok := p.Running(); !ok || r != want {
				t.Errorf("%s: a ready pod runs %+v (%t), want %+v", file, r, ok, want)
			}
			p.DeletionTimestamp = new(metav1.Unix(1, 0))
			if r, ok := p.Running(); ok == (want.Component.Part == inventory.IstiodPart) {
				t.Errorf("%s: a ready pod that ends runs %+v (%t), want that of a DaemonSet alone", file, r, ok)
			}
			p.DeletionTimestamp = nil
			p.Status.Phase = "Failed"
			if r, ok := p.Running(); ok {
				t.Errorf("%s: a pod that has failed serves as %+v", file, r)
			}
			seen[rollouts[n].Component.Part] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("the recordings hold only %v", seen)
	}
}

func podOf(namespace string, template corev1.PodTemplateSpec) corev1.Pod {
	pod := corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Namespace, pod.Name = namespace, "some-pod"
	return pod
}

// injected is a recorded pod as an injector of Istio's left it.
func injected(t *testing.T, name string) []byte {
	t.Helper()
	type review struct {
		Request  struct{ Object json.RawMessage }
		Response struct{ Patch []byte }
	}
	object := decode[review](t, readFile(t, name+".request.json")).Request.Object
	patch, err := jsonpatch.DecodePatch(decode[review](t, readFile(t, name+".response.json")).Response.Patch)
	if err != nil {
		t.Fatal(err)
	}
	pod, err := patch.Apply(object)
	if err != nil {
		t.Fatal(err)
	}
	return pod
}

func TestRecordedInjectedPods(t *testing.T) {
	cases := map[string]skew.Workload{
		"bookinfo-productpage": {
			Namespace: "bookinfo", Kind: "Deployment", Name: "productpage-v1", Role: skew.Sidecar, Revision: "r128",
			Version: "v1.28.3", Pods: 1,
		},
		"gateway-image-auto": {
			Namespace: "bookinfo", Kind: "ReplicaSet", Name: "productpage-v1-7c4b6b857", Role: skew.GatewayProxy, Revision: "r128",
			Version: "v1.28.3", Pods: 1,
		},
	}
	for name, want := range cases {
		t.Run(name, func(t *testing.T) {
			p := decode[inventory.Pod](t, injected(t, name))
			got, ok := p.Workload()
			if diff := cmp.Diff(want, got); !ok || diff != "" {
				t.Errorf("of the mesh: %t (-want +got)\n%s", ok, diff)
			}
			copied, _ := p.DeepCopyObject().(*inventory.Pod)
			if diff := cmp.Diff(p, copied); diff != "" {
				t.Errorf("the copy differs:\n%s", diff)
			}
		})
	}
}
