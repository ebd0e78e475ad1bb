package charts_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/cluster"
)

var update = flag.Bool("update", false, "rewrite the chart's README.md")

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

func helm(t testing.TB) string {
	t.Helper()
	binary, err := cluster.Tool(t.Context(), "tools/helm", "helm.sh/helm/v4/cmd/helm")
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// runHelm runs a command of Helm that charts.Render does not cover and returns all of its output.
func runHelm(t testing.TB, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), helm(t), args...)
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CONFIG_HOME="+home, "HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// unpack returns the folder of the chart as it is embedded.
func unpack(t testing.TB) string {
	t.Helper()
	chart, err := charts.Unpack(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return chart
}

// set turns pairs such as replicaCount=1 into arguments of helm.
func set(pairs ...string) []string {
	var args []string
	for _, pair := range pairs {
		args = append(args, "--set", pair)
	}
	return args
}

// render renders the default release with further arguments of helm template.
func render(t testing.TB, args ...string) release {
	t.Helper()
	return renderAs(t, charts.Options{Args: args})
}

func renderAs(t testing.TB, o charts.Options) release {
	t.Helper()
	o.Helm = helm(t)
	manifest, err := charts.Render(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := charts.Decode(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if o.Namespace == "" {
		o.Namespace = charts.Name
	}
	return release{manifest: manifest, namespace: o.Namespace, objects: objects, typed: decodeTyped(t, objects)}
}

// refusal renders values that are wrong and returns what Helm says about them.
func refusal(t testing.TB, args ...string) string {
	t.Helper()
	_, err := charts.Render(t.Context(), charts.Options{Helm: helm(t), Args: args})
	if err == nil {
		t.Fatalf("helm template %s: rendered, want an error", strings.Join(args, " "))
	}
	return err.Error()
}

// release is one rendering of the chart.
type release struct {
	manifest  []byte
	namespace string
	objects   []*unstructured.Unstructured
	typed     []runtime.Object
}

// serviceMonitor has the fields of the Prometheus Operator's type that the chart sets.
type serviceMonitor struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`
	Spec              struct {
		Selector          metav1.LabelSelector `json:"selector"`
		NamespaceSelector struct {
			MatchNames []string `json:"matchNames"`
		} `json:"namespaceSelector"`
		Endpoints []struct {
			Port          string `json:"port"`
			Path          string `json:"path"`
			Interval      string `json:"interval"`
			ScrapeTimeout string `json:"scrapeTimeout"`

			Relabelings       []map[string]any `json:"relabelings,omitempty"`
			MetricRelabelings []map[string]any `json:"metricRelabelings,omitempty"`
		} `json:"endpoints"`
	} `json:"spec"`
}

func (s *serviceMonitor) DeepCopyObject() runtime.Object { c := *s; return &c }

// prometheusRule has the fields of the Prometheus Operator's type that the chart sets.
type prometheusRule struct {
	metav1.TypeMeta
	metav1.ObjectMeta `json:"metadata"`
	Spec              ruleFile `json:"spec"`
}

func (r *prometheusRule) DeepCopyObject() runtime.Object { c := *r; return &c }

// ofPrometheusOperator returns an empty object of its types, which have no Go package here; nil for all others.
func ofPrometheusOperator(gvk schema.GroupVersionKind) runtime.Object {
	switch gvk {
	case schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}:
		return &prometheusRule{}
	case schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "ServiceMonitor"}:
		return &serviceMonitor{}
	}
	return nil
}

// decodeTyped decodes every object strictly: a field that its type does not have fails the test.
func decodeTyped(t testing.TB, objects []*unstructured.Unstructured) []runtime.Object {
	t.Helper()
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), cmapi.AddToScheme(types)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	var typed []runtime.Object
	for _, object := range objects {
		if operators := ofPrometheusOperator(object.GroupVersionKind()); operators != nil {
			err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, operators, true)
			if err != nil {
				t.Errorf("%s: %v", object.GetKind(), err)
			}
			typed = append(typed, operators)
			continue
		}
		data, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		decoded, _, err := decoder.Decode(data, nil, nil)
		if err != nil {
			t.Errorf("%s %s: %v", object.GetKind(), object.GetName(), err)
			continue
		}
		typed = append(typed, decoded)
	}
	return typed
}

// all returns the objects of one type.
func all[T runtime.Object](r release) []T {
	var found []T
	for _, object := range r.typed {
		if match, ok := object.(T); ok {
			found = append(found, match)
		}
	}
	return found
}

// one returns the only object of a type.
func one[T runtime.Object](t testing.TB, r release) T {
	t.Helper()
	found := all[T](r)
	if len(found) != 1 {
		var zero T
		t.Fatalf("%d objects of type %T, want one", len(found), zero)
	}
	return found[0]
}

// matrix returns the files of values in ci/ by name, each with the arguments that choose it.
func matrix(t *testing.T) map[string][]string {
	t.Helper()
	files, err := fs.Glob(charts.FS(), path.Join(charts.Name, "ci", "*-values.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no values to render: %v", err)
	}
	values := map[string][]string{}
	for _, file := range files {
		values[strings.TrimSuffix(path.Base(file), "-values.yaml")] = []string{"--values", filepath.FromSlash(file)}
	}
	return values
}
