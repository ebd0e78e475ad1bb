package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
)

func awaitPhase(t *testing.T, s *mesh.Source, want mesh.Phase, kinds ...string) {
	t.Helper()
	eventually(t, func() string {
		for _, k := range s.Stats().Kinds {
			for _, kind := range kinds {
				if k.Name == kind && k.Phase != want {
					return fmt.Sprintf("%s is %s, want %s", k.Name, k.Phase, want)
				}
			}
		}
		return ""
	})
}

// role grants verbs on what a source reads, but for one verb on one resource.
func role(name, resource, without string) string {
	var rules []string
	for _, r := range []struct{ group, resource string }{
		{"sailoperator.io", "istios"},
		{"sailoperator.io", "istiorevisions"},
		{"sailoperator.io", "istiorevisiontags"},
		{"", "namespaces"},
		{"admissionregistration.k8s.io", "mutatingwebhookconfigurations"},
		{"apps", "deployments"},
	} {
		var verbs []string
		for _, verb := range []string{"list", "watch"} {
			if r.resource != resource || verb != without {
				verbs = append(verbs, `"`+verb+`"`)
			}
		}
		rules = append(rules, fmt.Sprintf(`{"apiGroups":[%q],"resources":[%q],"verbs":[%s]}`, r.group, r.resource, strings.Join(verbs, ",")))
	}
	rules = append(rules, `{"apiGroups":[""],"resources":["namespaces"],"verbs":["get"]}`)
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q},"rules":[%s]}`, name, strings.Join(rules, ","))
}

func binding(role, user string) string {
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":%q},
		"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":%q},
		"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":%q}]}`, role, role, user)
}

func TestForbidden(t *testing.T) {
	c := cluster.Shared(t)
	installCRDs(t, c.Config())
	// A list is a stream where watching is allowed, so a source that may only watch misses nothing.
	cases := map[string]struct{ resource, group, verb string }{
		"no watch on a kind of Sail's": {"istiorevisions", "sailoperator.io", "watch"},
		"no watch on namespaces":       {"namespaces", "", "watch"},
		"no watch on configurations":   {"mutatingwebhookconfigurations", "admissionregistration.k8s.io", "watch"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t, c.Config())
			user := "without-" + tc.verb + "-" + tc.resource
			config, err := c.ConfigFor(user)
			if err != nil {
				t.Fatal(err)
			}
			a.create(role(user, tc.resource, tc.verb))
			a.create(binding(user, user))
			s, log := run(t, mesh.Options{Config: config})
			eventually(t, func() string { return onlyForbidden(s.Ready(), tc.verb, tc.resource, tc.group) })
			if s.Mesh() != nil {
				t.Errorf("a snapshot was published without %s: %s", tc.resource, describe(s.Mesh()))
			}
			full := user + "-now-granted"
			a.create(role(full, "", ""))
			a.create(binding(full, user))
			awaitReady(t, s)
			if got := log.with("cannot be followed"); len(got) > 7 {
				t.Errorf("%d lines of log, want a few: %q", len(got), got)
			}
		})
	}
}

// onlyForbidden tells what is wrong with the error for a source that lacks just one permission.
func onlyForbidden(err error, verb, resource, group string) string {
	want := fmt.Sprintf("grant the verb %q on resource %q of API group %q", verb, resource, group)
	switch {
	case err == nil:
		return "Ready says nothing"
	case !apierrors.IsForbidden(err):
		return fmt.Sprintf("IsForbidden is false of: %v", err)
	case !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "grant the verb") != 1:
		return fmt.Sprintf("Ready says %q, want only %q", err, want)
	}
	return ""
}

func TestNothingIsGranted(t *testing.T) {
	config, err := cluster.Shared(t).ConfigFor("nobody")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := run(t, mesh.Options{Config: config})
	for _, resource := range []string{"istios", "istiorevisions", "istiorevisiontags", "namespaces", "mutatingwebhookconfigurations", "deployments"} {
		eventually(t, func() string {
			want := fmt.Sprintf("grant the verb %q on resource %q", "list", resource)
			if err := s.Ready(); err == nil || !strings.Contains(err.Error(), want) {
				return fmt.Sprintf("Ready says %v, want %q in it", err, want)
			}
			return ""
		})
	}
}

func TestPlainIstio(t *testing.T) {
	config := cluster.Shared(t).Config()
	a := newAPI(t, config)
	s, _ := run(t, mesh.Options{Config: config})
	awaitReady(t, s)
	awaitMesh(t, s, "")
	own := a.create(injector("istio-sidecar-injector-canary", `{"istio.io/rev":"canary"}`))
	awaitMesh(t, s, "canary@")
	a.create(istiod("istiod-canary", "canary", "1.30.3"))
	awaitMesh(t, s, "canary@v1.30.3")
	// A Deployment of a gateway has the label istio.io/rev as well, and lags behind after an update.
	gateway := strings.Replace(istiod("gateway", "canary", "1.29.6"), `"app":"istiod"`, `"app":"gateway"`, 1)
	a.create(gateway)
	a.create(injector("istio-revision-tag-prod", `{"istio.io/rev":"canary","istio.io/tag":"prod"}`))
	awaitMesh(t, s, "canary@v1.30.3 prod->canary")
	if r := s.Mesh().Revisions()[0]; r.Origin != routing.Webhook || r.Namespace != "kube-system" {
		t.Errorf("the revision is %+v, want one of a webhook in kube-system", r)
	}
	// The router's own configuration is one of those without the label.
	a.patch(own, `{"metadata":{"labels":{"istio.io/rev":null}}}`)
	awaitMesh(t, s, "prod->canary")
}

func injector(name, labels string) string {
	return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration",
		"metadata":{"name":%q,"labels":%s},"webhooks":[{"name":"rev.namespace.sidecar-injector.istio.io",
		"admissionReviewVersions":["v1"],"sideEffects":"None","failurePolicy":"Ignore",
		"namespaceSelector":{"matchLabels":{"istio.io/rev":"nobody"}},
		"clientConfig":{"service":{"namespace":"kube-system","name":"istiod"}}}]}`, name, labels)
}

func istiod(name, revision, version string) string {
	return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":"Deployment",
		"metadata":{"name":%q,"namespace":"kube-system","labels":{"app":"istiod","istio.io/rev":%q,"app.kubernetes.io/version":%q}},
		"spec":{"selector":{"matchLabels":{"app":"x"}},"template":{"metadata":{"labels":{"app":"x"}},
		"spec":{"containers":[{"name":"discovery","image":"pilot"}]}}}}`, name, revision, version)
}

func TestLiveRead(t *testing.T) {
	config := cluster.Shared(t).Config()
	a := newAPI(t, config)
	s, err := mesh.New(mesh.Options{Config: config, ReadTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	// Nothing is followed: a live read needs no snapshot.
	if _, err := s.Namespace(t.Context(), "not-yet"); !apierrors.IsNotFound(err) {
		t.Errorf("a namespace that does not exist: %v, want an error of which IsNotFound is true", err)
	}
	made := a.create(namespace("live", `{"istio.io/rev":"canary"}`))
	want := routing.NamespaceOf("live", map[string]string{"istio.io/rev": "canary"})
	if got, err := s.Namespace(t.Context(), "live"); err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	a.patch(made, `{"metadata":{"labels":{"istio.io/rev":null,"istio-injection":"enabled"}}}`)
	want = routing.NamespaceOf("live", map[string]string{"istio-injection": "enabled"})
	if got, err := s.Namespace(t.Context(), "live"); err != nil || got != want {
		t.Errorf("after a change: got %+v, %v; want %+v", got, err, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Namespace(ended, "live"); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
}

// Intercept holds one kind back, so that a test can see what a watch that lags does.
func TestIntercept(t *testing.T) {
	config := cluster.Shared(t).Config()
	a := newAPI(t, config)
	hold, held, release := make(chan struct{}), make(chan struct{}, 100), make(chan struct{})
	s, _ := run(t, mesh.Options{Config: config, Intercept: func(kind string) {
		select {
		case <-hold:
			if kind == "namespaces" {
				held <- struct{}{}
				<-release
			}
		default:
		}
	}})
	awaitReady(t, s)
	close(hold)
	a.create(namespace("held-back", `{"istio-injection":"enabled"}`))
	<-held
	a.create(istiod("istiod-other", "other", "1.30.3"))
	a.create(injector("istio-sidecar-injector-other", `{"istio.io/rev":"other"}`))
	awaitMesh(t, s, "other@v1.30.3")
	if _, ok := s.Mesh().Namespace("held-back"); ok {
		t.Error("the namespace came through")
	}
	if ns, err := s.Namespace(t.Context(), "held-back"); err != nil || !ns.Injection.Is("enabled") {
		t.Errorf("the live read says %+v, %v", ns, err)
	}
	close(release)
	awaitNamespace(t, s, "held-back")
}

func awaitNamespace(t *testing.T, s *mesh.Source, name string) {
	t.Helper()
	eventually(t, func() string {
		if _, ok := s.Mesh().Namespace(name); !ok {
			return "namespace " + name + " does not come through"
		}
		return ""
	})
}

func TestStartTwice(t *testing.T) {
	s, _ := run(t, mesh.Options{Config: cluster.Shared(t).Config()})
	awaitReady(t, s)
	if err := s.Start(t.Context()); err == nil {
		t.Error("the second Start returned no error")
	}
}

func TestOptions(t *testing.T) {
	if _, err := mesh.New(mesh.Options{}); err == nil {
		t.Error("no Config, and no error")
	}
	if _, err := mesh.New(mesh.Options{Config: cluster.Shared(t).Config(), Interval: -time.Second}); err == nil {
		t.Error("a negative interval, and no error")
	}
}
