//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// written are the kinds that users write, in the order in which they are put back: what refers to others comes later. The
// operator writes the IstioRevisions, but only those that are active: one that is still used would not come back by itself.
func written() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		{Version: "v1", Resource: "namespaces"},
		sailKind("istios"), revisions(), sailKind("istiorevisiontags"), sailKind("istiocnis"),
		sailKind("ztunnels"),
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "gateways"},
		{Version: "v1", Resource: "services"},
		{Group: "gateway.networking.k8s.io", Version: "v1", Resource: "httproutes"},
		{Group: "security.istio.io", Version: "v1", Resource: "authorizationpolicies"},
		{Group: "apps", Version: "v1", Resource: "deployments"},
	}
}

func revisions() schema.GroupVersionResource { return sailKind("istiorevisions") }

func sailKind(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: plural}
}

// snapshot is what users have written, by kind, namespace and name.
type snapshot map[schema.GroupVersionResource]map[string]*unstructured.Unstructured

func (w *world) snapshot() snapshot {
	w.t.Helper()
	taken := snapshot{}
	for _, kind := range written() {
		list, err := w.client.Resource(kind).List(w.t.Context(), metav1.ListOptions{})
		w.must(err)
		taken[kind] = map[string]*unstructured.Unstructured{}
		for i := range list.Items {
			o := &list.Items[i]
			if (len(o.GetOwnerReferences()) == 0 || kind == revisions()) && o.GetDeletionTimestamp() == nil {
				taken[kind][o.GetNamespace()+"/"+o.GetName()] = o
			}
		}
	}
	return taken
}

// restore puts back what has changed since, once the case that should have been stopped by the router was not.
func (w *world) restore(before snapshot) {
	w.t.Helper()
	after := w.snapshot()
	for _, kind := range written() {
		if kind == revisions() {
			w.revisionsBack(before[kind])
			continue
		}
		for key, o := range before[kind] {
			if err := w.putBack(kind, o, after[kind][key]); err != nil {
				w.t.Errorf("putting %s %s back: %v", kind.Resource, key, err)
			}
		}
		for key, o := range after[kind] {
			if before[kind][key] != nil {
				continue
			}
			if err := w.remove(kind, o); err != nil {
				w.t.Errorf("deleting %s %s: %v", kind.Resource, key, err)
			}
		}
		if kind.Resource == "namespaces" {
			after = w.snapshot() // what was in one that was ending may have been there a moment ago
		}
	}
	if w.hangs {
		return
	}
	if err := awaitRest(w.t.Context(), w.atRest); err != nil {
		w.t.Errorf("putting things back: %v", err)
	}
}

// revisionsBack creates the revisions that were deleted. Those that have come since the operator deletes by itself.
func (w *world) revisionsBack(were map[string]*unstructured.Unstructured) {
	w.t.Helper()
	client := w.client.Resource(revisions())
	for _, was := range were {
		err := awaitRest(w.t.Context(), func(ctx context.Context) error {
			is, err := client.Get(ctx, was.GetName(), metav1.GetOptions{})
			switch {
			case err == nil && is.GetDeletionTimestamp() != nil:
				return errors.New("it is still being deleted")
			case err == nil && !w.hangs && healthy(was) && !healthy(is):
				return errors.New("it is not healthy again")
			case err == nil:
				return nil
			case !apierrors.IsNotFound(err):
				return err
			}
			owners := was.GetOwnerReferences()
			for i := range owners {
				istio, err := w.client.Resource(sailKind("istios")).Get(ctx, owners[i].Name, metav1.GetOptions{})
				if err != nil {
					return err
				}
				owners[i].UID = istio.GetUID() // which may be another by now
			}
			o := fresh(was)
			o.SetOwnerReferences(owners)
			_, err = client.Create(ctx, o, metav1.CreateOptions{})
			return err
		})
		if err != nil {
			w.t.Errorf("putting revision %s back: %v", was.GetName(), err)
		}
	}
}

// awaitRest is for what goes on by itself between the commands of a case, or after them: it may take its time, and more of it in kind.
func awaitRest(ctx context.Context, holds func(context.Context) error) error {
	return awaitEvery(ctx, pollRest, slower(patience), holds)
}

func healthy(o *unstructured.Unstructured) bool {
	state, _, _ := unstructured.NestedString(o.Object, "status", "state")
	return state == "Healthy"
}

// fresh is an object as it can be created again.
func fresh(was *unstructured.Unstructured) *unstructured.Unstructured {
	o := was.DeepCopy()
	o.SetResourceVersion("")
	o.SetUID("")
	o.SetFinalizers(nil)
	unstructured.RemoveNestedField(o.Object, "status")
	return o
}

// remove deletes an object and waits until it is gone: nothing can be created in a namespace that is still ending.
func (w *world) remove(kind schema.GroupVersionResource, o *unstructured.Unstructured) error {
	client := resourceOf(w.client, kind, o.GetNamespace())
	err := client.Delete(w.t.Context(), o.GetName(), metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil // it went with its namespace
	} else if err != nil {
		return err
	}
	return awaitRest(w.t.Context(), func(ctx context.Context) error {
		_, err := client.Get(ctx, o.GetName(), metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case err != nil:
			return err
		}
		return errors.New("it is still being deleted")
	})
}

func resourceOf(client dynamic.Interface, kind schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	if namespace == "" {
		return client.Resource(kind)
	}
	return client.Resource(kind).Namespace(namespace)
}

// putBack writes labels, annotations and spec of an object as they were.
func (w *world) putBack(kind schema.GroupVersionResource, was, is *unstructured.Unstructured) error {
	client := resourceOf(w.client, kind, was.GetNamespace())
	if is == nil {
		return awaitRest(w.t.Context(), func(ctx context.Context) error {
			_, err := client.Create(ctx, fresh(was), metav1.CreateOptions{})
			if apierrors.IsAlreadyExists(err) {
				return fmt.Errorf("it is still being deleted: %w", err)
			}
			return err
		})
	}
	if reflect.DeepEqual(was.GetLabels(), is.GetLabels()) && reflect.DeepEqual(was.GetAnnotations(), is.GetAnnotations()) &&
		reflect.DeepEqual(was.Object["spec"], is.Object["spec"]) {
		return nil
	}
	return awaitRest(w.t.Context(), func(ctx context.Context) error {
		o, err := client.Get(ctx, was.GetName(), metav1.GetOptions{})
		if err != nil {
			return err
		}
		o.SetLabels(was.GetLabels())
		o.SetAnnotations(was.GetAnnotations())
		o.Object["spec"] = was.Object["spec"]
		_, err = client.Update(ctx, o, metav1.UpdateOptions{}) // again, if a controller has written it meanwhile
		return err
	})
}
