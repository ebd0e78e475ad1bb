package injector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/routing"
)

// WriteBundles is istiod's webhookpatch.go and its controller of validating configurations: an istiod writes its CA bundle
// into the webhooks of its revision that have none. Until then the API server trusts no istiod, and refuses pods and
// Istio's own resources.
func WriteBundles(ctx context.Context, client dynamic.Interface, revision string, bundle []byte) error {
	var errs []error
	for _, plural := range []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} {
		kind := client.Resource(schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: plural})
		list, err := kind.List(ctx, metav1.ListOptions{LabelSelector: routing.LabelRevision + "=" + revision})
		if err != nil {
			return fmt.Errorf("list the webhooks of %s: %w", revision, err)
		}
		for n := range list.Items {
			errs = append(errs, writeBundle(ctx, kind, &list.Items[n], bundle))
		}
	}
	return errors.Join(errs...)
}

// writeBundle leaves out the entries of a mutating configuration that are no injector's, and those that have one.
func writeBundle(ctx context.Context, client dynamic.ResourceInterface, c *unstructured.Unstructured, bundle []byte) error {
	hooks, _, err := unstructured.NestedSlice(c.Object, "webhooks")
	if err != nil {
		return err
	}
	var patch []operation
	for i, hook := range hooks {
		content, _ := hook.(map[string]any)
		name, _ := content["name"].(string)
		has, _, _ := unstructured.NestedString(content, "clientConfig", "caBundle")
		if has != "" || c.GetKind() == "MutatingWebhookConfiguration" && !strings.HasSuffix(name, suffix) {
			continue
		}
		patch = append(patch,
			operation{"test", fmt.Sprintf("/webhooks/%d/name", i), name},
			operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), bundle})
	}
	if len(patch) == 0 {
		return nil
	}
	raw, err := json.Marshal(patch)
	if err != nil {
		return err
	}
	if _, err = client.Patch(ctx, c.GetName(), types.JSONPatchType, raw, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("write the CA bundle of %s: %w", c.GetName(), err)
	}
	return nil
}
