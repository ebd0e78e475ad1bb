package sail

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

const (
	rightsInterval = 25 * time.Millisecond
	rightsLimit    = 30 * time.Second
)

// istiodRole is what every istiod may do of what is stood in for here.
const istiodRole = "istiod-stand-in"

// grant makes the operator's ServiceAccount and both roles, as the operator's own chart does, unless they are there.
func grant(ctx context.Context, config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	_, err = client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}, metav1.CreateOptions{})
	if err := unlessExists(err); err != nil {
		return err
	}
	_, err = client.CoreV1().ServiceAccounts(operatorNamespace).Create(ctx,
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: operatorName}}, metav1.CreateOptions{})
	if err := unlessExists(err); err != nil {
		return err
	}
	for name, rules := range map[string][]rbacv1.PolicyRule{operatorName: operatorRules(), istiodRole: istiodRules()} {
		_, err = client.RbacV1().ClusterRoles().Create(ctx,
			&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}, metav1.CreateOptions{})
		if err := unlessExists(err); err != nil {
			return err
		}
	}
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, binding(operatorName, operatorName, operatorNamespace, operatorName),
		metav1.CreateOptions{})
	return unlessExists(err)
}

// awaitRights waits until the API server knows the rights that were just granted, and tells whether it serves Gateways.
func (o *Operator) awaitRights(ctx context.Context) (gatewaysServed bool, err error) {
	err = wait.PollUntilContextTimeout(ctx, rightsInterval, rightsLimit, true, func(ctx context.Context) (bool, error) {
		gatewaysServed, err = o.served(ctx, gateways)
		if apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return false, fmt.Errorf("wait until %s has its rights: %w", User, err)
	}
	return gatewaysServed, nil
}

func unlessExists(err error) error {
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func operatorRules() []rbacv1.PolicyRule {
	all, read := []string{"*"}, []string{"get", "list", "watch"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{group}, Resources: all, Verbs: all},
		{APIGroups: []string{""}, Resources: []string{"services", "serviceaccounts"}, Verbs: all},
		{APIGroups: []string{""}, Resources: []string{"namespaces", "pods"}, Verbs: read},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments", "daemonsets"}, Verbs: all},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: all},
		{APIGroups: []string{mutating.Group}, Resources: []string{mutating.Resource, validating.Resource}, Verbs: all},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterrolebindings"}, Verbs: all},
		{APIGroups: []string{rbacv1.GroupName}, Resources: []string{"clusterroles"}, ResourceNames: []string{istiodRole}, Verbs: []string{"bind"}},
		{APIGroups: []string{gateways.Group}, Resources: []string{gateways.Resource, classes.Resource}, Verbs: read},
	}
}

func istiodRules() []rbacv1.PolicyRule {
	all := []string{"*"}
	return []rbacv1.PolicyRule{
		{APIGroups: []string{mutating.Group}, Resources: []string{mutating.Resource, validating.Resource}, Verbs: []string{"get", "list", "watch", "update", "patch"}},
		{APIGroups: []string{gateways.Group}, Resources: all, Verbs: all},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: all},
		{APIGroups: []string{""}, Resources: []string{"services", "serviceaccounts"}, Verbs: all},
		// Its CA, which all istiods of a namespace share.
		{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "create"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
	}
}

// istiodRights is the part of the chart istio-discovery by which istiod may do its work.
func istiodRights(namespace, revision string, r release) rendered {
	b := binding("istiod-clusterrole"+suffixOf(revision)+"-"+namespace, istiodRole, namespace, istiodOf(revision))
	b.Labels = r.labels(nil)
	return render(bindings, rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"), b)
}

func binding(name, role, namespace, account string) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace, Name: account}},
	}
}
