package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
)

const (
	resetInterval = 500 * time.Millisecond
	resetLimit    = 5 * time.Minute
)

// Reset makes the cluster what it was when it was created, but for CustomResourceDefinitions: the router is uninstalled, the
// objects of the Sail Operator go whether an operator runs or not, with what belongs to them, and so do all namespaces that
// are not the cluster's own.
func (c *Chart) Reset(ctx context.Context) error {
	// Without waiting for routers that end in order: their namespace goes, too.
	if err := again(ctx, func(ctx context.Context) error { return c.uninstall(ctx) }); err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(c.cluster.config)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	for _, plural := range []string{"istiorevisiontags", "ztunnels", "istiocnis", "istios", "istiorevisions"} {
		kind := client.Resource(schema.GroupVersionResource{Group: "sailoperator.io", Version: "v1", Resource: plural})
		if err := removeAll(ctx, kind, func(string) bool { return true }); err != nil {
			return fmt.Errorf("removing %s: %w", plural, err)
		}
	}
	namespaces := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "namespaces"})
	others := func(name string) bool {
		return !strings.HasPrefix(name, "kube-") && !slices.Contains([]string{metav1.NamespaceDefault, "local-path-storage"}, name)
	}
	if err := again(ctx, func(ctx context.Context) error { return endPods(ctx, client, namespaces, others) }); err != nil {
		return fmt.Errorf("ending pods: %w", err)
	}
	if err := removeAll(ctx, namespaces, others); err != nil {
		return fmt.Errorf("removing namespaces: %w", err)
	}
	return nil
}

// endPods gives pods a second to end, and is an error as long as there are any. The namespace controller would give them what they
// ask for, and look again after half of that.
func endPods(ctx context.Context, client dynamic.Interface, namespaces dynamic.ResourceInterface, which func(name string) bool) error {
	list, err := namespaces.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	left := 0
	for i := range list.Items {
		namespace := list.Items[i].GetName()
		if !which(namespace) {
			continue
		}
		for _, plural := range []string{"deployments", "daemonsets", "replicasets"} { // which would replace them
			kind := client.Resource(schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: plural}).Namespace(namespace)
			if err := kind.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
				return err
			}
		}
		pods := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "pods"}).Namespace(namespace)
		if err := pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: new(int64(1))}, metav1.ListOptions{}); err != nil {
			return err
		}
		there, err := pods.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		left += len(there.Items)
	}
	if left > 0 {
		return fmt.Errorf("%d pods are still there", left)
	}
	return nil
}

// again tries until it works. The cluster may be so busy with what is going that its API server does not answer, or starts again.
func again(ctx context.Context, do func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, resetInterval, resetLimit, true, func(ctx context.Context) (bool, error) {
		err := do(ctx)
		if err != nil && (ctx.Err() == nil || last == nil) { // what is cut short says less than what went wrong before
			last = err
		}
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("%w: %w", err, last)
	}
	return nil
}

// removeAll deletes objects, without waiting for whoever has put a finalizer on them, and waits until they are gone. A kind that
// is not served has none.
func removeAll(ctx context.Context, kind dynamic.NamespaceableResourceInterface, which func(name string) bool) error {
	return again(ctx, func(ctx context.Context) error {
		list, err := kind.List(ctx, metav1.ListOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		var left []string
		for i := range list.Items {
			item := &list.Items[i]
			if !which(item.GetName()) {
				continue
			}
			left = append(left, item.GetName())
			if err := remove(ctx, kind, item.GetName(), len(item.GetFinalizers()) > 0); err != nil {
				return err
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%s are still there", strings.Join(left, ", "))
		}
		return nil
	})
}

func remove(ctx context.Context, kind dynamic.ResourceInterface, name string, finalizers bool) error {
	err := kind.Delete(ctx, name, metav1.DeleteOptions{})
	if finalizers && err == nil {
		_, err = kind.Patch(ctx, name, types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
	}
	if apierrors.IsNotFound(err) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
