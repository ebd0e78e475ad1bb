package cli

import (
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/test/cluster"
)

// testMigrate asks for restarts on an API server without injectors and controllers: everything that keeps a restart from
// being begun can be seen there. What happens once it has begun is tested end to end.
func testMigrate(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	client := kubernetes.NewForConfigOrDie(c.Config())
	createCart(t, client)
	grantReading(t, client, "reader")
	for name, tc := range map[string]struct {
		user string
		args []string
		code int
		want []string
	}{
		"it would come out without its sidecar": {
			args: []string{"-n", "shop", "--dry-run"}, code: ExitRefused, want: []string{
				"1 workload (1 pod) waits for a restart. This would be done:",
				"waits: Deployment shop/cart: a new pod would come out with no sidecar and not with default-v1-30-3 v1.30.3",
				"0 workloads would be restarted in 0 waves, 1 left. Nothing was changed.",
			},
		},
		"it is not under way for ever": {
			args: []string{"-A", "--timeout", "1ms"}, code: ExitRefused, want: []string{"left: Deployment shop/cart: a new pod would", "0 of 1 workload"},
		},
		"nothing in the namespace of the context": {want: []string{"in namespace default waits for a restart. 1 other does; to see it: router migrate -A --dry-run"}},
		"nothing from that version":               {args: []string{"-A", "--from", "v1.28.5"}, want: []string{"No selected workload in any namespace waits"}},
		"nothing with that label":                 {args: []string{"-A", "-l", "team=pay"}, want: []string{"No selected workload in any namespace waits"}},
		"a namespace that is not there":           {args: []string{"-n", "shopp"}, code: ExitUsage, want: []string{"namespace shopp does not exist"}},
		"a tag that is not there":                 {args: []string{"-A", "--tag", "prdo"}, code: ExitUsage, want: []string{"there is no revision tag prdo; the mesh has prod"}},
		"somebody who may only look": {user: "reader", args: []string{"-A"}, code: ExitUsage, want: []string{
			"in namespace shop you may not create pods, patch deployments.apps", "nothing was restarted", "kubectl auth can-i --list -n shop",
		}},
		"somebody who may not even look": {user: "nobody", args: []string{"-A"}, code: ExitUsage, want: []string{"kubectl auth can-i list"}},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig := c.Kubeconfig()
			if tc.user != "" {
				kubeconfig = kubeconfigFor(t, c, tc.user)
			}
			got := ranCommand(t, "migrate", "", append([]string{"--kubeconfig", kubeconfig}, tc.args...)...)
			if got.code != tc.code {
				t.Errorf("got exit code %d, want %d", got.code, tc.code)
			}
			for _, want := range tc.want {
				if !strings.Contains(got.stdout+got.stderr, want) {
					t.Errorf("there is no %q in\n%s\n%s", want, got.stdout, got.stderr)
				}
			}
		})
	}
	after, err := client.AppsV1().Deployments("shop").Get(t.Context(), "cart", metav1.GetOptions{})
	if err != nil || after.Generation != 1 {
		t.Errorf("it was touched: %+v, %v", after, err)
	}
	if err := client.AppsV1().Deployments("shop").Delete(t.Context(), "cart", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
}

// createCart makes the Deployment of the pod that waits for a restart, as its controller would leave it.
func createCart(t *testing.T, client kubernetes.Interface) {
	t.Helper()
	app := map[string]string{"app": "cart"}
	deployments := client.AppsV1().Deployments("shop")
	d, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "cart", Labels: app},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: app},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}, Spec: corev1.PodSpec{
				AutomountServiceAccountToken: new(false), Containers: []corev1.Container{{Name: "cart", Image: "i"}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1}
	if _, err := deployments.UpdateStatus(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// grantReading lets a user see everything and change nothing.
func grantReading(t *testing.T, client kubernetes.Interface, user string) {
	t.Helper()
	rbac := client.RbacV1()
	_, err := rbac.ClusterRoles().Create(t.Context(), &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"get", "list"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = rbac.ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, Name: user}},
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
