package secretca_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/certs/secretca"
)

// permission is one +kubebuilder:rbac marker of this package.
type permission struct {
	namespaced bool
	rule       rbacv1.PolicyRule
}

var marker = regexp.MustCompile(`(?m)^// \+kubebuilder:rbac:(.*)$`)

// permissions reads the markers, with the names of the chart's objects replaced by those of the test.
func (e *environment) permissions() []permission {
	e.t.Helper()
	names := map[string]string{
		"0-istio-revision-router": e.mutating, "istio-revision-router": e.validating, secretName: secretName,
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		e.t.Fatal(err)
	}
	var all []permission
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			e.t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, match := range marker.FindAllStringSubmatch(string(source), -1) {
			all = append(all, parseMarker(e.t, match[1], names))
		}
	}
	if len(all) < 4 {
		e.t.Fatalf("%d markers found", len(all))
	}
	return all
}

func parseMarker(t *testing.T, text string, names map[string]string) permission {
	t.Helper()
	var p permission
	for pair := range strings.SplitSeq(text, ",") {
		key, value, _ := strings.Cut(pair, "=")
		values := strings.Split(strings.Trim(value, `"`), ";")
		switch key {
		case "groups":
			p.rule.APIGroups = values
		case "resources":
			p.rule.Resources = values
		case "verbs":
			p.rule.Verbs = values
		case "namespace":
			p.namespaced = true
		case "resourceNames":
			for _, v := range values {
				name, ok := names[v]
				if !ok {
					t.Fatalf("marker names %q, which the chart does not", v)
				}
				p.rule.ResourceNames = append(p.rule.ResourceNames, name)
			}
		default:
			t.Fatalf("marker has %q", key)
		}
	}
	return p
}

// clientFor makes a user who may do what the permissions say, and nothing else.
func (e *environment) clientFor(t *testing.T, permissions []permission) kubernetes.Interface {
	t.Helper()
	user := fmt.Sprintf("%s-%d", e.namespace, len(t.Name()))
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	var local, global []rbacv1.PolicyRule
	for _, p := range permissions {
		if p.namespaced {
			local = append(local, p.rule)
		} else {
			global = append(global, p.rule)
		}
	}
	rbac, ctx, meta := e.client.RbacV1(), t.Context(), metav1.ObjectMeta{Name: user}
	_, err1 := rbac.Roles(e.namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: local}, metav1.CreateOptions{})
	_, err2 := rbac.RoleBindings(e.namespace).Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
	}, metav1.CreateOptions{})
	_, err3 := rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: global}, metav1.CreateOptions{})
	_, err4 := rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	}, metav1.CreateOptions{})
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_ = rbac.ClusterRoleBindings().Delete(ctx, user, metav1.DeleteOptions{})
		_ = rbac.ClusterRoles().Delete(ctx, user, metav1.DeleteOptions{})
	})
	config, err := e.cluster.ConfigFor(user)
	if err != nil {
		t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// clientWithout makes a user who lacks one verb on one kind of object.
func (e *environment) clientWithout(t *testing.T, resource, verb string) kubernetes.Interface {
	t.Helper()
	permissions := e.permissions()
	for i := range permissions {
		if slices.Contains(permissions[i].rule.Resources, resource) {
			permissions[i].rule.Verbs = slices.DeleteFunc(permissions[i].rule.Verbs, func(v string) bool { return v == verb })
		}
	}
	return e.clientFor(t, slices.DeleteFunc(permissions, func(p permission) bool { return len(p.rule.Verbs) == 0 }))
}

func TestThePermissionsInTheMarkersAreEnough(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	e.createValidating("b.example.com")
	o := e.options()
	o.Client = e.clientFor(t, e.permissions())
	m, _ := e.start(o)
	e.waitReady(m)
	before := e.secret().Data["tls.crt"]
	if err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.waitForNewCA(before, []*secretca.Manager{m})
	e.waitHealed()
	if log := e.log.String(); strings.Contains(log, "forbidden") {
		t.Errorf("something was forbidden:\n%s", log)
	}
}

func TestWithoutAPermissionTheReplicaSaysWhatItLacks(t *testing.T) {
	cases := map[string]struct{ resource, verb, want string }{
		"it may not read configurations":  {"mutatingwebhookconfigurations", "get", "mutatingwebhookconfigurations"},
		"it may not patch configurations": {"mutatingwebhookconfigurations", "patch", "patch"},
		"it may not read the Secret":      {"secrets", "get", "secrets"},
		"it may not create the Secret":    {"secrets", "create", "create"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.createMutating(e.idleWebhook("a.example.com"))
			o := e.options()
			o.Client = e.clientWithout(t, tc.resource, tc.verb)
			m, _ := e.start(o)
			e.waitFor("the log to tell", func() error {
				if log := e.log.String(); !strings.Contains(log, "forbidden") || !strings.Contains(log, tc.want) {
					return fmt.Errorf("the log does not name %s", tc.want)
				}
				return nil
			})
			e.waitFor("Ready to tell", func() error {
				if err := m.Ready(); err == nil || !strings.Contains(err.Error(), tc.want) {
					return fmt.Errorf("Ready returned %w, want it to name %s", err, tc.want)
				}
				return nil
			})
		})
	}
}

func TestWithoutWatchesTheReplicaStillLooks(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	o := e.options()
	o.Client = e.clientWithout(t, "mutatingwebhookconfigurations", "watch")
	m, _ := e.start(o)
	e.waitReady(m)
	if err := e.patchMutating("application/json-patch+json", `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`); err != nil {
		t.Fatal(err)
	}
	e.waitFor("the bundle to be mended", func() error {
		e.clock.tick()
		return e.holdsBundle()
	})
}
