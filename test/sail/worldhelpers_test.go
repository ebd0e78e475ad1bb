package sail

import (
	"context"
	"fmt"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// await waits until an object of the operator's kinds is as wanted.
func (w *world) await(kind resource, name, what string, wanted func(*object) bool) {
	w.t.Helper()
	w.eventually(what, func(ctx context.Context) error {
		found, err := w.client.Resource(kind).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if !wanted(found) {
			return fmt.Errorf("it is %v", found.Object)
		}
		return nil
	})
}

// awaitImage waits until a Deployment of bookinfo has rolled out with an image that ends so.
func (w *world) awaitImage(deployment, suffix string) {
	w.t.Helper()
	w.eventually(deployment+" has "+suffix, func(ctx context.Context) error {
		d, err := w.kube.AppsV1().Deployments("bookinfo").Get(ctx, deployment, metav1.GetOptions{})
		if err != nil {
			return err
		}
		image := d.Spec.Template.Spec.Containers[0].Image
		if !strings.HasSuffix(image, suffix) || d.Status.ObservedGeneration != d.Generation || d.Status.UpdatedReplicas != 1 ||
			d.Status.ReadyReplicas != 1 || d.Status.Replicas != 1 {
			return fmt.Errorf("it has %s and status %+v", image, d.Status)
		}
		return nil
	})
}

// gateway makes a waypoint in bookinfo.
func (w *world) gateway(name string, labels map[string]string) error {
	g := &object{Object: map[string]any{"spec": map[string]any{
		"gatewayClassName": "istio-waypoint",
		"listeners":        []any{map[string]any{"name": "mesh", "port": int64(15008), "protocol": "HBONE"}},
	}}}
	g.SetAPIVersion(gateways.GroupVersion().String())
	g.SetKind("Gateway")
	g.SetName(name)
	g.SetLabels(labels)
	_, err := w.client.Resource(gateways).Namespace("bookinfo").Create(w.t.Context(), g, metav1.CreateOptions{})
	return err
}

// serviceEntry asks the API server whether it would accept a resource of Istio's.
func (w *world) serviceEntry(ctx context.Context) error {
	kind := resource{Group: "networking.istio.io", Version: "v1", Resource: "serviceentries"}
	e := &object{Object: map[string]any{"spec": map[string]any{"hosts": []any{"a.example"}}}}
	e.SetAPIVersion(kind.GroupVersion().String())
	e.SetKind("ServiceEntry")
	e.SetName("a")
	_, err := w.client.Resource(kind).Namespace("bookinfo").Create(ctx, e, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// refuse lets the API server refuse writes of IstioRevisions that do not satisfy an expression.
func (w *world) refuse(name string, operation admissionregistrationv1.OperationType, unless string) error {
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{
					RuleWithOperations: admissionregistrationv1.RuleWithOperations{
						Operations: []admissionregistrationv1.OperationType{operation},
						Rule: admissionregistrationv1.Rule{
							APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{revisions.Resource},
						},
					},
				}},
			},
			Validations: []admissionregistrationv1.Validation{{Expression: unless}},
		},
	}
	client := w.kube.AdmissionregistrationV1()
	if _, err := client.ValidatingAdmissionPolicies().Create(w.t.Context(), policy, metav1.CreateOptions{}); err != nil {
		return err
	}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}
	_, err := client.ValidatingAdmissionPolicyBindings().Create(w.t.Context(), binding, metav1.CreateOptions{})
	return err
}

func policyBindings() resource {
	return resource{Group: mutating.Group, Version: "v1", Resource: "validatingadmissionpolicybindings"}
}

// rolledOut fails while a pod is being replaced.
func (w *world) rolledOut(ctx context.Context) error {
	all, err := w.client.Resource(deployments).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range all.Items {
		if !rolledOut(&all.Items[i]) {
			return fmt.Errorf("Deployment %s has not rolled out", all.Items[i].GetName())
		}
	}
	if all, err = w.client.Resource(daemonSets).List(ctx, metav1.ListOptions{}); err != nil {
		return err
	}
	for i := range all.Items {
		set := &all.Items[i]
		wanted := number(set, 0, "status", "desiredNumberScheduled")
		if number(set, 0, "status", "observedGeneration") != set.GetGeneration() ||
			number(set, 0, "status", "updatedNumberScheduled") != wanted || number(set, 0, "status", "numberAvailable") != wanted {
			return fmt.Errorf("DaemonSet %s has not rolled out", set.GetName())
		}
	}
	return nil
}

// caughtUp fails while an object differs from what was last seen of it.
func (w *world) caughtUp(ctx context.Context) error {
	for _, kind := range []resource{istios, revisions, tags, cnis, ztunnels} {
		all, err := w.client.Resource(kind).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range all.Items {
			e := eventOf("", &all.Items[i])
			w.mu.Lock()
			seen := w.last[e.who]
			w.mu.Unlock()
			if seen != e.state {
				return fmt.Errorf("%s is %s, seen as %s", e.who, e.state, seen)
			}
		}
	}
	return nil
}
