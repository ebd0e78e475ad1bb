package migrate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// permission is one that a restart needs.
type permission struct{ verb, group, resource string }

func (p permission) String() string {
	if p.group == "" {
		return p.verb + " " + p.resource
	}
	return p.verb + " " + p.resource + "." + p.group
}

// needed are the permissions for the kinds: to see what is rolling out, what the budgets say, and whether a pod would be
// admitted, and to restart.
func needed(due []Due) []permission {
	list := []permission{
		{"list", "", "pods"}, {"create", "", "pods"}, {"list", "policy", "poddisruptionbudgets"},
	}
	for _, kind := range kinds() {
		resource := strings.ToLower(kind) + "s"
		list = append(list, permission{"list", "apps", resource})
		if slices.ContainsFunc(due, func(d Due) bool { return d.Kind == kind }) {
			list = append(list, permission{"get", "apps", resource}, permission{"patch", "apps", resource})
		}
	}
	return list
}

// DeniedError lists what the caller may not do.
type DeniedError struct {
	Namespace string
	Missing   []string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("in namespace %s you may not %s, which a restart needs; nothing was restarted; to see what you may do, "+
		"kubectl auth can-i --list -n %s", e.Namespace, strings.Join(e.Missing, ", "), e.Namespace)
}

// Allowed returns a [DeniedError] if the caller lacks a permission in a namespace of the workloads.
func (c *Cluster) Allowed(ctx context.Context, due []Due) error {
	list := needed(due)
	namespaces := namespacesOf(due)
	if len(namespaces) > 1 {
		missing, err := c.missing(ctx, "", list)
		if err != nil || len(missing) == 0 {
			return err
		}
		list = missing // the others are granted everywhere
	}
	for _, name := range namespaces {
		missing, err := c.missing(ctx, name, list)
		if err != nil {
			return err
		}
		if len(missing) > 0 {
			e := &DeniedError{Namespace: name}
			for _, p := range missing {
				e.Missing = append(e.Missing, p.String())
			}
			return e
		}
	}
	return nil
}

// missing are the permissions that the caller does not have in a namespace; empty means all namespaces.
func (c *Cluster) missing(ctx context.Context, namespace string, list []permission) ([]permission, error) {
	var out []permission
	for _, p := range list {
		review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: namespace, Verb: p.verb, Group: p.group, Resource: p.resource,
			},
		}}
		answer, err := c.Client.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("asking whether you may %s: %w", p, err)
		}
		if !answer.Status.Allowed {
			out = append(out, p)
		}
	}
	return out, nil
}

// namespacesOf are those of the workloads, in order.
func namespacesOf(due []Due) []string {
	var names []string
	for i := range due {
		names = append(names, due[i].Namespace)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}
