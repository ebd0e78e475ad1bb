package charts_test

import (
	"bytes"
	"context"
	"io/fs"
	"testing"
	"testing/fstest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
)

// sailCRDs serves ZTunnel in both of its versions, as operators do that still know the older one.
func sailCRDs(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	names, err := fs.Glob(sail.CRDs(), "crds/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := fs.ReadFile(sail.CRDs(), name)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("name: ztunnels.sailoperator.io")) {
			data = withOlderVersion(t, data)
		}
		files[name] = &fstest.MapFile{Data: data}
	}
	return files
}

func withOlderVersion(t *testing.T, definition []byte) []byte {
	t.Helper()
	crd := map[string]any{}
	if err := yaml.Unmarshal(definition, &crd); err != nil {
		t.Fatal(err)
	}
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	if err != nil || len(versions) != 1 {
		t.Fatalf("versions %v: %v", versions, err)
	}
	only, isMap := versions[0].(map[string]any)
	if !isMap {
		t.Fatalf("version %v", versions[0])
	}
	older := runtime.DeepCopyJSON(only)
	older["name"], older["storage"] = "v1alpha1", false
	if err := unstructured.SetNestedSlice(crd, append(versions, older), "spec", "versions"); err != nil {
		t.Fatal(err)
	}
	data, err := yaml.Marshal(crd)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// meshCase is one object of the mesh, named default.
type meshCase struct {
	version, resource, kind, namespace, spec, want string
}

func meshCases() map[string]meshCase {
	const (
		sailV1, sailAlpha     = "sailoperator.io/v1", "sailoperator.io/v1alpha1"
		gatewayV1, gatewayOld = "gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1"

		component = "{namespace: istio-system, version: v1.30.3}"
		gateway   = "{gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}"
	)
	return map[string]meshCase{
		"Istio":              {sailV1, "istios", "Istio", "", component, meshChanges},
		"IstioRevision":      {sailV1, "istiorevisions", "IstioRevision", "", component, meshChanges},
		"IstioRevisionTag":   {sailV1, "istiorevisiontags", "IstioRevisionTag", "", "{targetRef: {kind: Istio, name: default}}", meshChanges},
		"IstioCNI":           {sailV1, "istiocnis", "IstioCNI", "", component, meshChanges},
		"ZTunnel":            {sailV1, "ztunnels", "ZTunnel", "", component, meshChanges},
		"an older ZTunnel":   {sailAlpha, "ztunnels", "ZTunnel", "", component, meshChanges},
		"Gateway":            {gatewayV1, "gateways", "Gateway", "default", gateway, gatewayChanges},
		"an older Gateway":   {gatewayOld, "gateways", "Gateway", "default", gateway, gatewayChanges},
		"beside istiod":      {gatewayV1, "gateways", "Gateway", "istio-system", gateway, gatewayChanges},
		"beside the router":  {gatewayV1, "gateways", "Gateway", home, gateway, gatewayChanges},
		"in kube-system":     {gatewayV1, "gateways", "Gateway", "kube-system", gateway, ""},
		"what nobody judges": {gatewayV1, "gatewayclasses", "GatewayClass", "", "{controllerName: istio.io/gateway-controller}", ""},
	}
}

func TestServerSendsChangesOfTheMesh(t *testing.T) {
	tr := newTrial(t)
	for _, definitions := range []fs.FS{sailCRDs(t), inventory.CRDs()} {
		if err := cluster.InstallCRDs(t.Context(), cluster.Shared(t).Config(), definitions); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{home, "istio-system"} {
		tr.server.createNamespace(t, name)
	}
	for _, tc := range meshCases() {
		tr.createForReal(tc)
	}
	tr.begin()
	for name, tc := range meshCases() {
		t.Run(name, func(t *testing.T) { trial{t: t, server: tr.server}.write(tc) })
	}
}

func (tr trial) resource(tc meshCase) dynamic.ResourceInterface {
	tr.t.Helper()
	version, err := schema.ParseGroupVersion(tc.version)
	if err != nil {
		tr.t.Fatal(err)
	}
	resource := tr.server.dynamic.Resource(version.WithResource(tc.resource))
	if tc.namespace == "" {
		return resource
	}
	return resource.Namespace(tc.namespace)
}

func (tc meshCase) object(t *testing.T) *unstructured.Unstructured {
	t.Helper()
	spec := map[string]any{}
	if err := yaml.Unmarshal([]byte(tc.spec), &spec); err != nil {
		t.Fatal(err)
	}
	object := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	object.SetAPIVersion(tc.version)
	object.SetKind(tc.kind)
	object.SetName("default")
	return object
}

func (tr trial) createForReal(tc meshCase) { tr.createNamed(tc, "default", nil) }

// createNamed waits for a resource that is defined and not yet served.
func (tr trial) createNamed(tc meshCase, name string, labels map[string]string) {
	tr.t.Helper()
	object, resource := tc.object(tr.t), tr.resource(tc)
	object.SetName(name)
	object.SetLabels(labels)
	err := wait.PollUntilContextTimeout(tr.t.Context(), 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := resource.Create(ctx, object, metav1.CreateOptions{})
		if apierrors.IsNotFound(err) {
			return false, nil
		}
		return err == nil || apierrors.IsAlreadyExists(err), err
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		tr.t.Fatalf("%s %s: %v", tc.version, tc.kind, err)
	}
}

// write tries every kind of write of an object that exists.
func (tr trial) write(tc meshCase) {
	tr.t.Helper()
	object, resource := tc.object(tr.t), tr.resource(tc)
	_, err := resource.Create(tr.t.Context(), object, metav1.CreateOptions{DryRun: dryRun()})
	if apierrors.IsAlreadyExists(err) {
		err = nil // admitted: the API server asks webhooks before it looks whether the name is free
	}
	tr.expect(tc.want, err)

	current, err := resource.Get(tr.t.Context(), "default", metav1.GetOptions{})
	if err != nil {
		tr.t.Fatal(err)
	}
	current.SetAnnotations(map[string]string{"example.com/changed": "true"})
	_, err = resource.Update(tr.t.Context(), current, metav1.UpdateOptions{DryRun: dryRun()})
	tr.expect(tc.want, err)
	tr.expect(tc.want, resource.Delete(tr.t.Context(), "default", metav1.DeleteOptions{DryRun: dryRun()}))

	if tc.kind == "GatewayClass" {
		return // has no status to write
	}
	_, err = resource.UpdateStatus(tr.t.Context(), current, metav1.UpdateOptions{DryRun: dryRun()})
	tr.expect("", err)
}
