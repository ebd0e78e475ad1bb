package forward

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// istio is the name of the one Istio that all revisions but remote ones belong to.
const istio = "default"

func sailResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: plural}
}

// Install creates what all revisions have in common: the namespace of the control plane, and the Istio.
func (m *Mesh) Install(ctx context.Context) error {
	if err := m.namespace(ctx, ControlPlane); err != nil {
		return err
	}
	first := m.order[0]
	spec := map[string]any{
		"version": first.Version, "namespace": ControlPlane,
		"updateStrategy": map[string]any{"type": "RevisionBased"}, "values": manageWebhooks(nil),
	}
	_, err := m.create(ctx, "istios", "Istio", object{name: istio, spec: spec})
	return err
}

// InstallRevision does what the operator and Istio's charts do for a revision, and then istiod: the IstioRevision, the
// Service, the validating configuration with the CA bundle, and an EndpointSlice without an endpoint that is ready.
func (m *Mesh) InstallRevision(ctx context.Context, name string) error {
	s := m.revisions[name]
	o := object{name: name, spec: map[string]any{"version": s.Version, "namespace": s.Namespace, "values": manageWebhooks(s.values())}}
	if s.Remote {
		if err := m.namespace(ctx, s.Namespace); err != nil {
			return err
		}
	} else if err := m.own(ctx, &o); err != nil {
		return err
	}
	if _, err := m.create(ctx, "istiorevisions", "IstioRevision", o); err != nil || s.Remote {
		return err
	}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: s.serviceName(), Namespace: s.Namespace},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https-webhook", Port: 443}}},
	}
	_, err := m.kube.CoreV1().Services(s.Namespace).Create(ctx, service, metav1.CreateOptions{})
	if unlessThere(err) != nil {
		return fmt.Errorf("creating the Service of %s: %w", name, err)
	}
	_, err = m.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(ctx, s.validator(), metav1.CreateOptions{})
	if unlessThere(err) != nil {
		return fmt.Errorf("creating the validating configuration of %s: %w", name, err)
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.serviceName() + "-x2b7q", Namespace: s.Namespace,
			Labels: map[string]string{discoveryv1.LabelServiceName: s.serviceName()},
		},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{},
	}
	_, err = m.kube.DiscoveryV1().EndpointSlices(s.Namespace).Create(ctx, slice, metav1.CreateOptions{})
	if unlessThere(err) != nil {
		return fmt.Errorf("creating the EndpointSlice of %s: %w", name, err)
	}
	return nil
}

// SetReady says of the one endpoint of a revision's injector that it is there and ready, or that there is none.
func (m *Mesh) SetReady(ctx context.Context, name string, ready bool) error {
	s := m.revisions[name]
	endpoints := []discoveryv1.Endpoint{}
	if ready {
		endpoints = append(endpoints, discoveryv1.Endpoint{
			Addresses: []string{"10.128.0.7"}, Conditions: discoveryv1.EndpointConditions{Ready: new(true)},
		})
	}
	patch, err := json.Marshal(map[string]any{"endpoints": endpoints})
	if err != nil {
		return fmt.Errorf("the endpoints of %s: %w", name, err)
	}
	_, err = m.kube.DiscoveryV1().EndpointSlices(s.Namespace).
		Patch(ctx, s.serviceName()+"-x2b7q", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("changing the endpoints of %s: %w", name, err)
	}
	return nil
}

// DeleteRevision deletes the IstioRevision, whatever still refers to it.
func (m *Mesh) DeleteRevision(ctx context.Context, name string) error {
	return m.remove(ctx, "istiorevisions", name)
}

// PointTag makes a tag lead to a revision, or creates it. The status follows at once, as that which the operator writes
// does, whether the revision takes pods or not.
func (m *Mesh) PointTag(ctx context.Context, tag, revision string) error {
	target := map[string]any{"targetRef": map[string]any{"kind": "IstioRevision", "name": revision}}
	created, err := m.create(ctx, "istiorevisiontags", "IstioRevisionTag", object{name: tag, spec: target})
	if err != nil {
		return err
	}
	if !created {
		if err := m.patchTag(ctx, tag, map[string]any{"spec": target}); err != nil {
			return err
		}
	}
	status := map[string]any{"istioRevision": revision, "istiodNamespace": m.revisions[revision].Namespace}
	return m.patchTag(ctx, tag, map[string]any{"status": status}, "status")
}

// DeleteTag deletes a tag, whatever still refers to it.
func (m *Mesh) DeleteTag(ctx context.Context, tag string) error {
	return m.remove(ctx, "istiorevisiontags", tag)
}

// Rollout sends a share of the workloads that ask for a tag to a revision; an empty one ends it.
func (m *Mesh) Rollout(ctx context.Context, tag string, to routing.Rollout) error {
	var value any
	if to.Set() {
		value = fmt.Sprintf("%s=%d", to.Revision, to.Percent)
	}
	return m.patchTag(ctx, tag, map[string]any{"metadata": map[string]any{"annotations": map[string]any{routing.AnnotationRollout: value}}})
}

func (m *Mesh) patchTag(ctx context.Context, tag string, change map[string]any, sub ...string) error {
	patch, err := json.Marshal(change)
	if err != nil {
		return fmt.Errorf("changing the tag %s: %w", tag, err)
	}
	_, err = m.dyn.Resource(sailResource("istiorevisiontags")).
		Patch(ctx, tag, types.MergePatchType, patch, metav1.PatchOptions{}, sub...)
	if err != nil {
		return fmt.Errorf("changing the tag %s: %w", tag, err)
	}
	return nil
}

// object is one of the Sail Operator's.
type object struct {
	name   string
	spec   map[string]any
	owners []metav1.OwnerReference
}

// create tells whether the object was not there before.
func (m *Mesh) create(ctx context.Context, plural, kind string, o object) (created bool, err error) {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": o.spec}}
	u.SetAPIVersion("sailoperator.io/v1")
	u.SetKind(kind)
	u.SetName(o.name)
	u.SetOwnerReferences(o.owners)
	_, err = m.dyn.Resource(sailResource(plural)).Create(ctx, u, metav1.CreateOptions{})
	if unlessThere(err) != nil {
		return false, fmt.Errorf("creating %s %s: %w", kind, o.name, err)
	}
	return err == nil, nil
}

// own makes the Istio the owner: revisions of one Istio may stand in for each other.
func (m *Mesh) own(ctx context.Context, o *object) error {
	owner, err := m.dyn.Resource(sailResource("istios")).Get(ctx, istio, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading the Istio %s: %w", istio, err)
	}
	o.owners = []metav1.OwnerReference{*metav1.NewControllerRef(owner, owner.GroupVersionKind())}
	return nil
}

// remove deletes what the router would keep for those that use it.
func (m *Mesh) remove(ctx context.Context, plural, name string) error {
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:"a test"}}}`, skew.AnnotationOverride)
	client := m.dyn.Resource(sailResource(plural))
	if _, err := client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("deleting %s %s: %w", plural, name, err)
	}
	if err := client.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
		return fmt.Errorf("deleting %s %s: %w", plural, name, err)
	}
	return nil
}

func (m *Mesh) namespace(ctx context.Context, name string) error {
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
	_, err := m.kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{})
	if unlessThere(err) != nil {
		return fmt.Errorf("creating namespace %s: %w", name, err)
	}
	return nil
}

// manageWebhooks adds global.operatorManageWebhooks to Helm values.
func manageWebhooks(values map[string]any) map[string]any {
	all := map[string]any{"global": map[string]any{"operatorManageWebhooks": true}}
	maps.Copy(all, values)
	return all
}

// values are the revision's own, and where its injector is.
func (s *standIn) values() map[string]any {
	values := maps.Clone(s.Values)
	if !s.Remote {
		return values
	}
	if values == nil {
		values = map[string]any{}
	}
	values["profile"] = "remote"
	values["istiodRemote"] = map[string]any{
		"injectionURL":      "https://" + s.host() + s.istiod.Path(),
		"injectionCABundle": base64.StdEncoding.EncodeToString(s.istiod.CABundle()),
	}
	return values
}

func (s *standIn) serviceName() string {
	name, _, _ := strings.Cut(s.istiod.ServerName(), ".")
	return name
}

// validator is the configuration into which istiod writes its CA bundle. It validates what no test here writes.
func (s *standIn) validator() *admissionregistrationv1.ValidatingWebhookConfiguration {
	name := "istio-validator"
	if s.Name != routing.DefaultRevision {
		name += "-" + s.Name
	}
	return &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + s.Namespace, Labels: map[string]string{routing.LabelRevision: s.Name}},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "rev.validation.istio.io",
			ClientConfig: admissionregistrationv1.WebhookClientConfig{
				Service:  &admissionregistrationv1.ServiceReference{Namespace: s.Namespace, Name: s.serviceName(), Path: new("/validate")},
				CABundle: s.istiod.CABundle(),
			},
			Rules: []admissionregistrationv1.RuleWithOperations{{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule: admissionregistrationv1.Rule{
					APIGroups: []string{"networking.istio.io"}, APIVersions: []string{"*"}, Resources: []string{"*"},
				},
			}},
			FailurePolicy: new(admissionregistrationv1.Fail), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
			AdmissionReviewVersions: []string{"v1"},
		}},
	}
}

// unlessThere takes it for no error that an object exists.
func unlessThere(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
