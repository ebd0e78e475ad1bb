package sail_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

// realCRDs holds the Sail Operator's own definitions where they are at hand: they are too large to be kept here.
func realCRDs() string { return filepath.Join("..", "..", "..", "shared", "crds") }

func TestSamplesAreReadWhole(t *testing.T) {
	values := sail.Values{
		Revision: "default-v1-30-3", Profile: "remote", IstioNamespace: "istio-system", AutoInject: "disabled",
		OperatorManageWebhooks: true, EnableNamespacesByDefault: true,
		NeverInject:       []routing.Selector{{{Key: "job", Operator: routing.OpIn, Values: []string{"batch"}}}},
		AlwaysInject:      []routing.Selector{{{Key: "tier", Operator: routing.OpIn, Values: []string{"web"}}}},
		InjectionURL:      "https://istiod.example:443/inject",
		InjectionPath:     "/inject/cluster/c1",
		InjectionCABundle: "LS0t",
		EnableAmbient:     "true",
	}
	conditions := []sail.Condition{{Type: "Ready", Status: "False", Reason: "IstiodNotReady", Message: "not yet"}}
	common := sail.CommonStatus{ObservedGeneration: 2, Conditions: conditions}
	want := map[string]any{
		"Istio": &sail.Istio{
			Spec: sail.IstioSpec{
				Version: "v1.30-latest", Namespace: "istio-system", Profile: "ambient",
				UpdateStrategy: sail.UpdateStrategy{Type: "RevisionBased"}, Values: values,
			},
			Status: sail.IstioStatus{ActiveRevisionName: "default-v1-30-3", ObservedGeneration: 4, Conditions: conditions},
		},
		"IstioRevision": &sail.IstioRevision{
			Spec:   sail.IstioRevisionSpec{Version: "v1.30.3", Namespace: "istio-system", Values: values},
			Status: common,
		},
		"IstioRevisionTag": &sail.IstioRevisionTag{
			Spec: sail.IstioRevisionTagSpec{TargetRef: sail.TargetRef{Kind: "Istio", Name: "default"}},
			Status: sail.IstioRevisionTagStatus{
				IstioRevision: "default-v1-30-3", IstiodNamespace: "istio-system",
				ObservedGeneration: 2, Conditions: conditions,
			},
		},
		"IstioCNI": &sail.IstioCNI{
			Spec: sail.IstioCNISpec{
				Version: "v1.30.3", Namespace: "istio-cni", Profile: "ambient",
				Values: sail.CNIValues{Ambient: true},
			}, Status: common,
		},
		"ZTunnel": &sail.ZTunnel{
			Spec: sail.ZTunnelSpec{
				Version: "v1.30.3", Namespace: "ztunnel",
				TargetRef: sail.TargetRef{Kind: "IstioRevision", Name: "default-v1-30-3"},
				Values:    sail.ZTunnelValues{Revision: "default-v1-30-3", UpdateStrategy: "OnDelete", TerminationGracePeriodSeconds: 300},
			},
			Status: sail.ZTunnelStatus{IstioRevision: "default-v1-30-3", ObservedGeneration: 2, Conditions: conditions},
		},
	}
	samples := readSamples(t)
	if len(samples) != len(want) {
		t.Fatalf("%d samples, want one of each of %d kinds", len(samples), len(want))
	}
	for kind, wanted := range want {
		t.Run(kind, func(t *testing.T) {
			got := reflect.New(reflect.TypeOf(wanted).Elem()).Interface()
			raw, err := json.Marshal(samples[kind])
			if err != nil {
				t.Fatal(err)
			}
			decode(t, raw, got)
			opts := cmp.Options{
				cmpopts.IgnoreUnexported(sail.Values{}, sail.CNIValues{}, sail.ZTunnelValues{}), cmpopts.IgnoreFields(sail.Istio{}, "TypeMeta", "ObjectMeta"),
				cmpopts.IgnoreFields(sail.IstioRevision{}, "TypeMeta", "ObjectMeta"), cmpopts.IgnoreFields(sail.IstioRevisionTag{}, "TypeMeta", "ObjectMeta"),
				cmpopts.IgnoreFields(sail.IstioCNI{}, "TypeMeta", "ObjectMeta"), cmpopts.IgnoreFields(sail.ZTunnel{}, "TypeMeta", "ObjectMeta"),
			}
			if diff := cmp.Diff(wanted, got, opts); diff != "" {
				t.Errorf("object (-want +got):\n%s", diff)
			}
			checkNothingZero(t, kind, reflect.ValueOf(got).Elem())
		})
	}
}

// checkNothingZero keeps the samples honest: a field that is added to a type must be added to its sample, and with
// that to the comparison with the real definitions.
func checkNothingZero(t *testing.T, path string, v reflect.Value) {
	t.Helper()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if !field.IsExported() || field.Name == "ObjectMeta" || field.Name == "TypeMeta" {
			continue
		}
		if v.Field(i).IsZero() {
			t.Errorf("%s.%s is not in the sample", path, field.Name)
		}
		if v.Field(i).Kind() == reflect.Struct {
			checkNothingZero(t, path+"."+field.Name, v.Field(i))
		}
	}
}

func TestOurDefinitionsAcceptTheSamples(t *testing.T) {
	checkSamples(t, readCRDs(t, sail.CRDs(), "crds"))
}

// The types read what the real API accepts: every field of the samples exists there, with that type, and the stand-ins
// look like the real definitions to a client.
func TestRealDefinitions(t *testing.T) {
	dir := realCRDs()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("the Sail Operator's own definitions are not at hand in %s: nothing to compare with", dir)
	}
	theirs := readCRDs(t, os.DirFS(dir), ".")
	checkSamples(t, theirs)
	for kind, ours := range readCRDs(t, sail.CRDs(), "crds") {
		wanted := theirs[kind]
		if diff := cmp.Diff(wanted.Spec.Names, ours.Spec.Names); diff != "" {
			t.Errorf("names of %s (-real +ours):\n%s", kind, diff)
		}
		if wanted.Name != ours.Name || wanted.Spec.Group != ours.Spec.Group || wanted.Spec.Scope != ours.Spec.Scope {
			t.Errorf("%s is %s in %s, %s; want %s in %s, %s", kind, ours.Name, ours.Spec.Group, ours.Spec.Scope,
				wanted.Name, wanted.Spec.Group, wanted.Spec.Scope)
		}
		columns := cmpopts.IgnoreFields(apiextensionsv1.CustomResourceColumnDefinition{}, "Description")
		if diff := cmp.Diff(v1(t, wanted).AdditionalPrinterColumns, v1(t, ours).AdditionalPrinterColumns, columns); diff != "" {
			t.Errorf("columns of %s (-real +ours):\n%s", kind, diff)
		}
		if v1(t, ours).Subresources == nil || v1(t, ours).Subresources.Status == nil {
			t.Errorf("%s has no status subresource", kind)
		}
	}
}

// checkSamples validates each sample and makes sure that nothing of it is pruned.
func checkSamples(t *testing.T, crds map[string]*apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	for kind, sample := range readSamples(t) {
		crd := crds[kind]
		if crd == nil {
			t.Errorf("there is no definition of %s", kind)
			continue
		}
		var internal apiextensions.JSONSchemaProps
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v1(t, crd).Schema.OpenAPIV3Schema, &internal, nil); err != nil {
			t.Fatal(err)
		}
		validator, _, err := validation.NewSchemaValidator(&internal)
		if err != nil {
			t.Fatal(err)
		}
		if errs := validation.ValidateCustomResource(nil, sample, validator); len(errs) > 0 {
			t.Errorf("the sample of %s is not valid: %v", kind, errs.ToAggregate())
		}
		structural, err := structuralschema.NewStructural(&internal)
		if err != nil {
			t.Fatal(err)
		}
		pruned := runtime.DeepCopyJSON(sample)
		pruning.Prune(pruned, structural, true)
		if diff := cmp.Diff(sample, pruned); diff != "" {
			t.Errorf("fields of %s that the definition does not have (-sample +kept):\n%s", kind, diff)
		}
	}
}

func v1(t *testing.T, crd *apiextensionsv1.CustomResourceDefinition) *apiextensionsv1.CustomResourceDefinitionVersion {
	t.Helper()
	for i := range crd.Spec.Versions {
		if v := &crd.Spec.Versions[i]; v.Name == "v1" && v.Served {
			return v
		}
	}
	t.Fatalf("%s does not serve v1", crd.Name)
	return nil
}

func readCRDs(t *testing.T, files fs.FS, dir string) map[string]*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	names, err := fs.Glob(files, filepath.ToSlash(filepath.Join(dir, "*.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	crds := map[string]*apiextensionsv1.CustomResourceDefinition{}
	for _, name := range names {
		data, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(data, &crd); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		crds[crd.Spec.Names.Kind] = &crd
	}
	return crds
}

func readSamples(t *testing.T) map[string]map[string]any {
	t.Helper()
	data, err := os.ReadFile("testdata/samples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	samples := map[string]map[string]any{}
	for document := range strings.SplitSeq(string(data), "\n---\n") {
		asJSON, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			t.Fatal(err)
		}
		var sample map[string]any
		if err := utiljson.Unmarshal(asJSON, &sample); err != nil { // keeps integers apart from floats
			t.Fatal(err)
		}
		kind, ok := sample["kind"].(string)
		if !ok {
			t.Fatalf("a sample has no kind: %s", document)
		}
		samples[kind] = sample
	}
	return samples
}
