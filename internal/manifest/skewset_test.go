package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func skewSet(t *testing.T, text string) *Set {
	t.Helper()
	set, err := Read(t.Context(), Options{Paths: []string{Stdin}, Input: strings.NewReader(text), Purpose: ForSkew})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func changesOf(t *testing.T, text string) *Set {
	t.Helper()
	set, err := ReadChanges(t.Context(), Options{Paths: []string{Stdin}, Input: strings.NewReader(text)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Every kind that the webhook judges is read here, and means the same.
func TestAnObjectOfAFileIsWhatTheWebhookSees(t *testing.T) {
	t.Parallel()
	const meta = "metadata: {name: default, namespace: shop, labels: {kubernetes.io/metadata.name: default, istio.io/use-waypoint: w, istio.io/rev: r}, " +
		"creationTimestamp: \"2026-11-01T12:00:00Z\", uid: u, generation: 2}\n"
	for kind, tc := range map[schema.GroupKind]string{
		{Group: "sailoperator.io", Kind: "Istio"}:                 "spec: {version: v1.30.3, profile: ambient, updateStrategy: {type: RevisionBased}}\nstatus: {activeRevisionName: a, observedGeneration: 2}\n",
		{Group: "sailoperator.io", Kind: "IstioRevision"}:         "spec: {version: v1.30.3, values: {profile: ambient}}\nstatus: {observedGeneration: 2, conditions: [{type: Ready, status: \"True\"}]}\n",
		{Group: "sailoperator.io", Kind: "IstioRevisionTag"}:      "spec: {targetRef: {kind: Istio, name: default}}\nstatus: {istioRevision: a}\n",
		{Group: "sailoperator.io", Kind: "IstioCNI"}:              "spec: {version: v1.30.3, values: {cni: {ambient: {enabled: true}}}}\n",
		{Group: "sailoperator.io", Kind: "ZTunnel"}:               "spec: {version: v1.30.3, targetRef: {kind: Istio, name: default}, values: {ztunnel: {terminationGracePeriodSeconds: 300}}}\n",
		{Group: "gateway.networking.k8s.io", Kind: "Gateway"}:     "spec: {gatewayClassName: istio-waypoint, listeners: [{port: 15008, protocol: HBONE, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {a: b}}}}}]}\n",
		{Kind: "Namespace"}:                                       "spec: {}\n",
		{Kind: "Service"}:                                         "spec: {}\n",
		{Group: "gateway.networking.k8s.io", Kind: "HTTPRoute"}:   "spec: {parentRefs: [{kind: Service, group: \"\", name: s}]}\n",
		{Group: "security.istio.io", Kind: "AuthorizationPolicy"}: "spec: {targetRefs: [{kind: Service, name: s}]}\n",
		{Group: "networking.istio.io", Kind: "ServiceEntry"}:      "spec: {}\n",
		{Group: "networking.istio.io", Kind: "WorkloadEntry"}:     "spec: {}\n",
	} {
		if !inventory.Knows(kind) {
			t.Errorf("the webhook judges no %s", kind)
			continue
		}
		text := "apiVersion: " + kind.Group + "/v1\nkind: " + kind.Kind + "\n" + meta + tc
		if kind.Group == "" {
			text = strings.Replace(text, "/v1", "v1", 1)
		}
		raw, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		want, err := inventory.Decode(kind, raw)
		if err != nil {
			t.Fatal(err)
		}
		set := skewSet(t, text)
		if len(set.Objects) != 1 {
			t.Fatalf("%s: read %d objects", kind, len(set.Objects))
		}
		if diff := cmp.Diff(want, set.Objects[0].Skew()); diff != "" {
			t.Errorf("%s (-webhook +file):\n%s", kind, diff)
		}
	}
}

func TestSkewMeshOfARecordedCluster(t *testing.T) {
	t.Parallel()
	set, err := Read(t.Context(), Options{Paths: []string{filepath.Join("testdata", "meshes", "ambient-inplace.json")}, Purpose: ForSkew})
	if err != nil {
		t.Fatal(err)
	}
	running := skew.Rollout{Found: true, Version: "v1.29.6", Observed: true, Pods: 1, Updated: 1, Ready: 1}
	want := &skew.Mesh{
		Istios: []skew.Istio{{
			Name: "default", Namespace: "istio-system", Version: "v1.29.6", Strategy: skew.InPlace, Ambient: true,
			Active: "default", Observed: true,
		}},
		Revisions: []skew.Revision{{
			Revision: routing.Revision{
				Name: "default", Version: "v1.29.6", Namespace: "istio-system", Istio: "default", Origin: routing.Sail,
			},
			Ambient: true, Istiod: running, Ready: skew.Ready,
		}},
		CNI:     &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.29.6", Ambient: true, DaemonSet: running},
		ZTunnel: &skew.ZTunnel{Name: "default", Namespace: "ztunnel", Version: "v1.29.6", DaemonSet: running},
	}
	got := set.SkewMesh()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(skew.Mesh{}, "Namespaces"),
		cmpopts.IgnoreFields(routing.Revision{}, "Created", "UID")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Namespaces) != 12 || len(set.Warnings) != 0 {
		t.Errorf("%d namespaces, want 12; warnings %q", len(got.Namespaces), set.Warnings)
	}
}

func TestOnlyPodsThatRunAreWorkloads(t *testing.T) {
	t.Parallel()
	pod := func(name, rest string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n  annotations: {istio.io/rev: r}\n  labels: {istio.io/use-waypoint: w}\n" +
			"  ownerReferences: [{apiVersion: apps/v1, kind: StatefulSet, name: db, uid: u, controller: true}]\n" +
			"spec: {containers: [{name: istio-proxy, image: \"proxyv2:1.29.6\"}]}\n" + rest + "---\n"
	}
	set := skewSet(t, pod("db-0", "")+pod("db-1", "status: {phase: Running}\n")+pod("db-2", "status: {phase: Failed}\n")+
		strings.NewReplacer("kind: Pod", "kind: StatefulSet", "v1\n", "apps/v1\n").Replace(pod("db", "")))
	m := set.SkewMesh()
	want := []skew.Workload{{
		Namespace: "default", Kind: "StatefulSet", Name: "db", Role: skew.Sidecar, Revision: "r", Version: "v1.29.6", Pods: 2,
	}}
	if diff := cmp.Diff(want, m.Workloads); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(m.Consumers) != 2 {
		t.Errorf("the consumers are %+v, want the two pods that run", m.Consumers)
	}
}

func TestANamespaceHasTheLabelThatTheAPIServerGives(t *testing.T) {
	t.Parallel()
	set := skewSet(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
	want := []skew.Namespace{{Name: "shop", Labels: map[string]string{"kubernetes.io/metadata.name": "shop"}}}
	if diff := cmp.Diff(want, set.SkewMesh().Namespaces); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValuesThatMeanNothingAreWarnedOf(t *testing.T) {
	t.Parallel()
	const text = "apiVersion: sailoperator.io/v1\nkind: ZTunnel\nmetadata: {name: default}\n" +
		"spec: {version: v1.30.3, values: {ztunnel: {terminationGracePeriodSeconds: long}}}\n"
	for name, set := range map[string]*Set{"mesh": skewSet(t, text), "change": changesOf(t, text)} {
		if len(set.Warnings) != 1 || !strings.HasPrefix(set.Warnings[0], "-:1: ZTunnel default: ") {
			t.Errorf("%s: the warnings are %q", name, set.Warnings)
		}
	}
}

func TestChangesAreInOrderAndOfEveryKind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long := strings.Repeat("{\"apiVersion\":\"v1\",\"kind\":\"Namespace\",\"metadata\":{\"name\":\"many\"}},", 20_000)
	for name, text := range map[string]string{
		"1.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: z}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: why}\n" +
			"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: z}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\n",
		"2.json": `{"apiVersion":"v1","kind":"List","items":[` + long + `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"a"}}]}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set, err := ReadChanges(t.Context(), Options{Paths: []string{dir}, Namespace: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range set.Objects {
		if o := &set.Objects[i]; o.Name != "many" {
			got = append(got, o.Kind+" "+o.Namespace+"/"+o.Name)
		}
	}
	want := []string{"Namespace /z", "ConfigMap why/c", "Namespace /z", "Service x/s", "Namespace /a"}
	if diff := cmp.Diff(want, got); diff != "" || len(set.Objects) != 20_005 || set.Objects[20_004].Name != "a" {
		t.Errorf("%d objects (-want +got):\n%s", len(set.Objects), diff)
	}
	if _, err := ReadChanges(t.Context(), Options{Paths: []string{Stdin}, Input: strings.NewReader("apiVersion: v1\nkind: ConfigMap\n")}); err == nil ||
		err.Error() != "-:1: metadata.name is missing" {
		t.Errorf("an object without a name: %v", err)
	}
}

//nolint:tparallel // the cases share one set, which numbers what is written to it
func TestWrittenKeepsWhatOnlyTheAPIServerSets(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: sailoperator.io/v1\nkind: Istio\nmetadata: {name: default"
	set := skewSet(t, head+", uid: u, generation: 4, creationTimestamp: \"2026-11-01T12:00:00Z\"}\n"+
		"spec: {version: v1.29.6}\nstatus: {activeRevisionName: default, observedGeneration: 4}\n")
	for name, tc := range map[string]struct {
		text     string
		want     skew.Istio
		existing bool
	}{
		"another version": {
			head + "}\nspec: {version: v1.30.3}\nstatus: {activeRevisionName: x, observedGeneration: 5}\n",
			skew.Istio{Name: "default", Namespace: "istio-system", Version: "v1.30.3", Active: "default"},
			true,
		},
		"another label": {
			head + ", labels: {a: b}, deletionTimestamp: \"2026-11-01T12:00:00Z\"}\nspec: {version: v1.29.6}\n",
			skew.Istio{Name: "default", Namespace: "istio-system", Version: "v1.29.6", Active: "default", Observed: true},
			true,
		},
		"a new one": {
			strings.Replace(head, "name: default", "name: other", 1) + "}\nspec: {version: v1.30.3}\nstatus: {activeRevisionName: x}\n",
			skew.Istio{Name: "other", Namespace: "istio-system", Version: "v1.30.3"},
			false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := &changesOf(t, tc.text).Objects[0]
			old := set.Written(o)
			if diff := cmp.Diff(tc.want, o.Skew()); diff != "" || (old != nil) != tc.existing {
				t.Errorf("there was one: %t (-want +got):\n%s", old != nil, diff)
			}
		})
	}
}

// Of two objects with one name the older one counts, so that a new one must not look old.
func TestANewObjectIsTheYoungest(t *testing.T) {
	t.Parallel()
	set := skewSet(t, "apiVersion: sailoperator.io/v1\nkind: IstioRevision\nmetadata: {name: r, creationTimestamp: \"2026-11-01T12:00:00Z\"}\nspec: {version: v1.29.6}\n")
	tag := &changesOf(t, "apiVersion: sailoperator.io/v1\nkind: IstioRevisionTag\nmetadata: {name: r, creationTimestamp: \"2020-01-01T00:00:00Z\"}\n"+
		"spec: {targetRef: {kind: IstioRevision, name: r}}\n").Objects[0]
	set.Written(tag)
	set.Put(*tag)
	m := set.SkewMesh()
	if len(m.Tags) != 1 || !m.Tags[0].Created.After(m.Revisions[0].Created) {
		t.Errorf("the tag is of %v, the revision of %v", m.Tags, m.Revisions)
	}
}

func TestPutAndRemove(t *testing.T) {
	t.Parallel()
	const space = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	const gateway = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: shop}\nspec: {gatewayClassName: istio}\n"
	set := skewSet(t, space+gateway)
	changed := &changesOf(t, strings.Replace(gateway[4:], "Name: istio", "Name: other", 1)).Objects[0]
	other := &changesOf(t, strings.Replace(gateway[4:], "name: g,", "name: h,", 1)).Objects[0]
	for _, o := range []*Object{changed, other} {
		set.Written(o)
		set.Put(*o)
	}
	if m := set.SkewMesh(); len(m.Gateways) != 2 || len(set.Objects) != 3 || m.Gateways[0].Class != "other" {
		t.Errorf("after two writes there are %+v", m.Gateways)
	}
	set.Remove(other)
	if m := set.SkewMesh(); len(m.Gateways) != 1 || m.Gateways[0].Name != "g" {
		t.Errorf("after a deletion there are %+v", m.Gateways)
	}
	set.Remove(set.Find(&changesOf(t, space).Objects[0]))
	if m := set.SkewMesh(); len(m.Gateways)+len(m.Namespaces) != 0 {
		t.Errorf("the namespace is gone, and there are %+v", m)
	}
}

func TestSkewResourcesAreThoseThatAreNeeded(t *testing.T) {
	t.Parallel()
	for _, r := range Resources(ForSkew) {
		switch r.Kind {
		case "Deployment", "DaemonSet", "Service", "ServiceEntry", "WorkloadEntry":
			if len(r.Selectors) == 0 {
				t.Errorf("all objects of kind %s would be listed", r.Kind)
			}
		case "ReplicaSet", "StatefulSet", "Job":
			t.Errorf("nothing needs %s", r.Kind)
		}
	}
}
