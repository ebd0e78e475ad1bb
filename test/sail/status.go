package sail

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The types, statuses and reasons of conditions, and with them the states.
const (
	reconciled   = "Reconciled"
	ready        = "Ready"
	dependencies = "DependenciesHealthy"
	inUse        = "InUse"

	isTrue, isFalse, isUnknown = "True", "False", "Unknown"

	healthy                = "Healthy"
	reconcileError         = "ReconcileError"
	activeRevisionNotFound = "ActiveRevisionNotFound"
	istiodNotReady         = "IstiodNotReady"
	daemonSetNotReady      = "DaemonSetNotReady"
	zTunnelNotFound        = "ZTunnelNotFound"
	zTunnelNotHealthy      = "ZTunnelNotHealthy"
	cniNotFound            = "IstioCNINotFound"
	cniNotHealthy          = "IstioCNINotHealthy"
	referenced             = "ReferencedByWorkloads"
	notReferenced          = "NotReferencedByAnything"
	usageCheckFailed       = "UsageCheckFailed"
	refNotFound            = "RefNotFound"
	nameAlreadyExists      = "NameAlreadyExists"
)

// condition is one entry of status.conditions.
type condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
	Since   string `json:"lastTransitionTime"`
}

func good(kind string) condition { return condition{Type: kind, Status: isTrue, Reason: kind} }

// failed are the conditions after an error.
func failed(err error) (condition, condition) {
	return condition{Type: reconciled, Status: isFalse, Reason: reconcileError, Message: err.Error()},
		condition{Type: ready, Status: isUnknown, Reason: reconcileError, Message: "cannot determine readiness due to reconciliation error"}
}

func conditionsOf(o *object) []condition {
	list, _, _ := unstructured.NestedSlice(o.Object, "status", "conditions")
	raw, err := json.Marshal(list)
	if err != nil {
		return nil
	}
	var conditions []condition
	if json.Unmarshal(raw, &conditions) != nil {
		return nil
	}
	return conditions
}

// conditionOf returns a condition with the status Unknown where there is none.
func conditionOf(o *object, kind string) condition {
	for _, c := range conditionsOf(o) {
		if c.Type == kind {
			return c
		}
	}
	return condition{Type: kind, Status: isUnknown}
}

// merge sets conditions, keeps those that are not named, and keeps the time of those whose status stays.
func merge(old []condition, set ...condition) []condition {
	merged := append([]condition(nil), old...)
	now := time.Now().UTC().Format(time.RFC3339)
	for _, c := range set {
		c.Since = now
		found := false
		for i := range merged {
			if merged[i].Type == c.Type {
				found = true
				if merged[i].Status == c.Status {
					c.Since = merged[i].Since
				}
				merged[i] = c
			}
		}
		if !found {
			merged = append(merged, c)
		}
	}
	return merged
}

// resourceOf is the resource of an object of the operator's kinds, all of which form their plural regularly.
func resourceOf(item *object) resource {
	return item.GroupVersionKind().GroupVersion().WithResource(strings.ToLower(item.GetKind()) + "s")
}

// stateOf is the reason of the first condition of these that is not true.
func stateOf(conditions []condition, kinds ...string) string {
	for _, kind := range kinds {
		for _, c := range conditions {
			if c.Type == kind && c.Status != isTrue {
				return c.Reason
			}
		}
	}
	return healthy
}

// report writes the status, unless it is what stands there.
func (o *Operator) report(ctx context.Context, item *object, conditions []condition, fields map[string]any) error {
	status := map[string]any{"observedGeneration": item.GetGeneration()}
	for name, value := range fields {
		if value != "" {
			status[name] = value
		}
	}
	list := make([]any, len(conditions))
	for i, c := range conditions {
		content := map[string]any{"type": c.Type, "status": c.Status, "lastTransitionTime": c.Since}
		if c.Reason != "" {
			content["reason"] = c.Reason
		}
		if c.Message != "" {
			content["message"] = c.Message
		}
		list[i] = content
	}
	status["conditions"] = list
	if reflect.DeepEqual(item.Object["status"], any(status)) {
		return nil
	}
	item.Object["status"] = status
	updated, err := o.client.Resource(resourceOf(item)).UpdateStatus(ctx, item, metav1.UpdateOptions{})
	if err == nil {
		*item = *updated
	}
	return err
}
