package sail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

type (
	object   = unstructured.Unstructured
	resource = schema.GroupVersionResource
)

const (
	group     = "sailoperator.io"
	finalizer = "sailoperator.io/sail-operator"
)

// What the operator reads and writes.
//
//nolint:gochecknoglobals // constants, which Go does not have for structs
var (
	istios      = resource{Group: group, Version: "v1", Resource: "istios"}
	revisions   = resource{Group: group, Version: "v1", Resource: "istiorevisions"}
	tags        = resource{Group: group, Version: "v1", Resource: "istiorevisiontags"}
	cnis        = resource{Group: group, Version: "v1", Resource: "istiocnis"}
	ztunnels    = resource{Group: group, Version: "v1", Resource: "ztunnels"}
	namespaces  = resource{Version: "v1", Resource: "namespaces"}
	pods        = resource{Version: "v1", Resource: "pods"}
	services    = resource{Version: "v1", Resource: "services"}
	accounts    = resource{Version: "v1", Resource: "serviceaccounts"}
	deployments = resource{Group: "apps", Version: "v1", Resource: "deployments"}
	daemonSets  = resource{Group: "apps", Version: "v1", Resource: "daemonsets"}
	budgets     = resource{Group: "policy", Version: "v1", Resource: "poddisruptionbudgets"}
	mutating    = resource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	validating  = resource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
	bindings    = resource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "clusterrolebindings"}
	gateways    = resource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"}
	classes     = resource{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gatewayclasses"}
)

// rendered is an object of a chart.
type rendered struct {
	kind   resource
	object *object
}

// render converts a typed object for server-side apply, which takes every field that is there for a wish.
func render(kind resource, gvk schema.GroupVersionKind, typed any) rendered {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		panic(fmt.Sprintf("an object of our own cannot be converted: %v", err))
	}
	delete(content, "status")
	o := &object{Object: content}
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(content, "spec", "template", "metadata", "creationTimestamp")
	o.SetGroupVersionKind(gvk)
	return rendered{kind: kind, object: o}
}

func (o *Operator) list(ctx context.Context, kind resource) ([]*object, error) {
	list, err := o.client.Resource(kind).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.Resource, err)
	}
	items := make([]*object, len(list.Items))
	for i := range list.Items {
		items[i] = &list.Items[i]
	}
	return items, nil
}

// get returns nil for an object that is not there.
func (o *Operator) get(ctx context.Context, kind resource, namespace, name string) (*object, error) {
	found, err := at(o.client, kind, namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return found, err
}

// served reports whether the API server has the kind.
func (o *Operator) served(ctx context.Context, kind resource) (bool, error) {
	_, err := o.client.Resource(kind).List(ctx, metav1.ListOptions{Limit: 1})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

func at(client dynamic.Interface, kind resource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return client.Resource(kind)
	}
	return client.Resource(kind).Namespace(namespace)
}

// install applies the objects of a chart, as the property of owner. Those that are as they were left are not written.
func (o *Operator) install(ctx context.Context, owner *object, chart []rendered) error {
	for _, r := range chart {
		r.object.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(owner, owner.GroupVersionKind())})
		raw, err := json.Marshal(r.object)
		if err != nil {
			return err
		}
		key := r.kind.Resource + "/" + r.object.GetNamespace() + "/" + r.object.GetName()
		live, err := o.get(ctx, r.kind, r.object.GetNamespace(), r.object.GetName())
		if err != nil {
			return err
		}
		if live != nil && o.applied[key] == string(raw) {
			continue
		}
		options := metav1.ApplyOptions{FieldManager: operatorName, Force: true}
		if _, err := at(o.client, r.kind, r.object.GetNamespace()).Apply(ctx, r.object.GetName(), r.object, options); err != nil {
			return fmt.Errorf("install %s: %w", key, err)
		}
		o.applied[key] = string(raw)
	}
	return nil
}

// uninstall deletes the objects of a chart that belong to owner.
func (o *Operator) uninstall(ctx context.Context, owner *object, chart []rendered) error {
	var errs []error
	for _, r := range chart {
		live, err := o.get(ctx, r.kind, r.object.GetNamespace(), r.object.GetName())
		if err == nil && live != nil && metav1.IsControlledBy(live, owner) {
			err = at(o.client, r.kind, live.GetNamespace()).Delete(ctx, live.GetName(),
				metav1.DeleteOptions{PropagationPolicy: new(metav1.DeletePropagationBackground)})
		}
		if !apierrors.IsNotFound(err) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// adopt adds the operator's finalizer, or releases the object from it once it is deleted and its chart is gone.
func (o *Operator) adopt(ctx context.Context, kind resource, item *object, chart []rendered) (gone bool, err error) {
	has := slices.Contains(item.GetFinalizers(), finalizer)
	if item.GetDeletionTimestamp() == nil {
		if has {
			return false, nil
		}
		item.SetFinalizers(append(item.GetFinalizers(), finalizer))
		updated, err := o.client.Resource(kind).Update(ctx, item, metav1.UpdateOptions{})
		if err != nil {
			return false, err
		}
		*item = *updated
		return false, nil
	}
	if !has {
		return true, nil
	}
	if err := o.uninstall(ctx, item, chart); err != nil {
		return true, err
	}
	kept := slices.DeleteFunc(item.GetFinalizers(), func(f string) bool { return f == finalizer })
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"finalizers": kept}})
	if err != nil {
		return true, err
	}
	_, err = o.client.Resource(kind).Patch(ctx, item.GetName(), types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		err = nil
	}
	return true, err
}

func text(o *object, path ...string) string {
	s, _, _ := unstructured.NestedString(o.Object, path...)
	return s
}

func boolean(o *object, path ...string) bool {
	b, _, _ := unstructured.NestedBool(o.Object, path...)
	return b
}

func number(o *object, missing int64, path ...string) int64 {
	n, ok, _ := unstructured.NestedInt64(o.Object, path...)
	if !ok {
		return missing
	}
	return n
}

func textMap(o *object, path ...string) map[string]string {
	m, _, _ := unstructured.NestedStringMap(o.Object, path...)
	return m
}

// unlessNotServed takes it for no error that the API server does not have a kind.
func unlessNotServed(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
