package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

func TestMain(m *testing.M) {
	if os.Getenv(victimVariable) != "" {
		os.Exit(beVictim())
	}
	os.Exit(Main(m))
}

func TestServerReportsTheVersionThatTheModulePins(t *testing.T) {
	if os.Getenv(assetsVariable) != "" {
		t.Skipf("%s is set: the module decides nothing", assetsVariable)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	versions, err := readVersions(filepath.Join(root, controlPlaneModule))
	if err != nil {
		t.Fatal(err)
	}
	got, err := clientFor(t, Shared(t).Config()).Discovery().ServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	if want := versions["k8s.io/kubernetes"]; got.GitVersion != want || want == "" {
		t.Errorf("version is %q, want %q", got.GitVersion, want)
	}
	// Clients such as Helm hand these two to templates.
	if short := fmt.Sprintf("v%s.%s.", got.Major, got.Minor); !strings.HasPrefix(got.GitVersion, short) {
		t.Errorf("major and minor make %s, want the start of %s", short, got.GitVersion)
	}
}

func TestPodsNeedNoServiceAccountObject(t *testing.T) {
	client := clientFor(t, Shared(t).Config())
	for name, namespace := range map[string]string{
		"in a namespace that is there from the start": metav1.NamespaceDefault,
		"in a namespace just created":                 createNamespace(t, client, nil),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := client.CoreV1().Pods(namespace).Create(t.Context(), pod(), metav1.CreateOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// Admission plugins that need no controller stay on: a cluster that admits too much proves nothing.
func TestNamespacesAndPodSecurityAreEnforced(t *testing.T) {
	client := clientFor(t, Shared(t).Config())
	restricted := createNamespace(t, client, map[string]string{"pod-security.kubernetes.io/enforce": "restricted"})
	cases := map[string]struct {
		namespace string
		refused   func(error) bool
	}{
		"a pod in a namespace that is not there":      {namespace: "no-such-namespace", refused: apierrors.IsNotFound},
		"a pod below the namespace's pod security":    {namespace: restricted, refused: apierrors.IsForbidden},
		"a pod in a namespace without pod security":   {namespace: createNamespace(t, client, nil), refused: isNil},
		"a pod in the namespace default without rule": {namespace: metav1.NamespaceDefault, refused: isNil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := client.CoreV1().Pods(tc.namespace).Create(t.Context(), pod(), metav1.CreateOptions{})
			if !tc.refused(err) {
				t.Errorf("not the answer that is wanted: %v", err)
			}
		})
	}
}

func TestConfigForActsAsTheUserAndIsBoundByRBAC(t *testing.T) {
	admin := clientFor(t, Shared(t).Config())
	namespace := createNamespace(t, admin, nil)
	config, err := Shared(t).ConfigFor("jane", "testers")
	if err != nil {
		t.Fatal(err)
	}
	jane := clientFor(t, config)

	review, err := jane.AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := review.Status.UserInfo
	if diff := cmp.Diff(authenticationv1.UserInfo{
		Username: "jane", Groups: []string{"testers", "system:authenticated"},
	}, authenticationv1.UserInfo{Username: got.Username, Groups: got.Groups}); diff != "" {
		t.Errorf("who the API server sees (-want +got):\n%s", diff)
	}

	list := func(ctx context.Context) error {
		_, err := jane.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		return err
	}
	if err := list(t.Context()); !apierrors.IsForbidden(err) {
		t.Fatalf("listing pods without any role: %v, want a refusal by RBAC", err)
	}
	role := &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "pod-reader"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list"}}},
	}
	if _, err := admin.RbacV1().Roles(namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "testers-read-pods"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "testers"}},
	}
	if _, err := admin.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a group with a role that lists pods may do so", list)
}

func TestConfigForRefusesAnEmptyName(t *testing.T) {
	if config, err := Shared(t).ConfigFor(""); err == nil {
		t.Errorf("got %v, which is the administrator", config.Impersonate)
	}
}

func TestKubeconfigFileReachesTheCluster(t *testing.T) {
	config, err := clientcmd.BuildConfigFromFlags("", Shared(t).Kubeconfig())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := clientFor(t, config).CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{}); err != nil {
		t.Errorf("listing Secrets with the kubeconfig: %v", err)
	}
}

func TestConfigsAreIndependent(t *testing.T) {
	c := Shared(t)
	config := c.Config()
	config.Host, config.CAData[0] = "https://example.invalid", 'x'
	if got := c.Config(); got.Host == config.Host || got.CAData[0] == 'x' {
		t.Error("changing one configuration changed the next one")
	}
}

func TestWithoutMainNobodyGetsTheSharedCluster(t *testing.T) {
	var s sharedCluster
	if c, err := s.get(t.Context()); err == nil {
		t.Error(errors.Join(errors.New("a cluster was started that nobody would stop"), c.Stop()))
	}
}

func clientFor(t *testing.T, config *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func createNamespace(t *testing.T, client kubernetes.Interface, labels map[string]string) string {
	t.Helper()
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "test-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return namespace.Name
}

func pod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "pod-"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app:1"}}},
	}
}

func isNil(err error) bool { return err == nil }

// eventually waits until try succeeds: for what the API server learns from a watch, or a process that ends.
func eventually(t *testing.T, what string, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%s: still not after a minute: %v", what, last)
		case <-ticker.C:
			last = err
		}
	}
}
