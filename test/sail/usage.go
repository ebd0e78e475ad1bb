package sail

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/routing"
)

// revisionUsed counts as the operator does (pkg/revision/references.go), with its faults: istio-injection=disabled does
// not stop istio.io/rev from being a reference, a pod that failed is one for ever, and ambient pods are none.
func (o *Operator) revisionUsed(ctx context.Context, revision *object) (condition, error) {
	all, err := o.list(ctx, tags)
	if err != nil {
		return condition{}, err
	}
	for _, tag := range all {
		if text(tag, "status", "istioRevision") == revision.GetName() {
			return used(true), nil
		}
	}
	if revision.GetName() == routing.DefaultRevision &&
		boolean(revision, "spec", "values", "sidecarInjectorWebhook", "enableNamespacesByDefault") {
		return used(true), nil
	}
	found, err := o.references(ctx, revision.GetName(), true)
	return used(found), err
}

// tagUsed is the same for a tag. The annotation of a pod holds its revision and never a tag.
func (o *Operator) tagUsed(ctx context.Context, tag *object, lost bool) (condition, error) {
	if lost {
		return condition{
			Type: inUse, Status: isUnknown, Reason: usageCheckFailed,
			Message: fmt.Sprintf("failed to determine if revision tag is in use: %s.%s %q not found",
				text(tag, "spec", "targetRef", "kind"), group, text(tag, "spec", "targetRef", "name")),
		}, nil
	}
	found, err := o.references(ctx, tag.GetName(), false)
	return used(found), err
}

func used(is bool) condition {
	if is {
		return condition{Type: inUse, Status: isTrue, Reason: referenced, Message: "Referenced by at least one pod or namespace"}
	}
	return condition{Type: inUse, Status: isFalse, Reason: notReferenced, Message: "Not referenced by any pod or namespace"}
}

// references reports whether a namespace or a pod names the revision or tag.
func (o *Operator) references(ctx context.Context, name string, annotations bool) (bool, error) {
	all, err := o.list(ctx, namespaces)
	if err != nil {
		return false, err
	}
	refers := map[string]bool{}
	for _, ns := range all {
		reference := referenceOf(ns.GetLabels(), routing.LabelInjection, "enabled")
		refers[ns.GetName()] = reference != ""
		if reference == name {
			return true, nil
		}
	}
	list, err := o.list(ctx, pods)
	if err != nil {
		return false, err
	}
	for _, pod := range list {
		if text(pod, "status", "phase") == string(corev1.PodSucceeded) {
			continue
		}
		if annotations && pod.GetAnnotations()[routing.LabelRevision] == name {
			return true, nil
		}
		// Else every istiod would keep itself in use: its pods have the label, and opt out of injection.
		optedOut := pod.GetLabels()[routing.LabelInject] == "false"
		if !optedOut && !refers[pod.GetNamespace()] && referenceOf(pod.GetLabels(), routing.LabelInject, "true") == name {
			return true, nil
		}
	}
	return false, nil
}

// referenceOf is what labels refer to: "default" by the switch, else the value of istio.io/rev.
func referenceOf(labels map[string]string, key, on string) string {
	if labels[key] == on {
		return routing.DefaultRevision
	}
	return labels[routing.LabelRevision]
}
