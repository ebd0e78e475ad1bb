package mesh_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/webhook/forward"
)

// ca is a CA bundle, a new one with each call.
func ca(t *testing.T) []byte {
	t.Helper()
	a, err := certs.NewAuthority(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return certs.NewBundle(a.Certificate).PEM()
}

func revisionIn(name, namespace string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevision","metadata":{"name":%q},
		"spec":{"version":"v1.30.3","namespace":%q}}`, name, namespace)
}

func endpointSlice(namespace, service string, ready bool) string {
	return fmt.Sprintf(`{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","addressType":"IPv4",
		"metadata":{"namespace":%q,"name":%q,"labels":{"kubernetes.io/service-name":%q}},
		"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":%t}}]}`, namespace, service+"-abc", service, ready)
}

func rootCertificates(t *testing.T, namespace string, bundle []byte) string {
	t.Helper()
	data, err := json.Marshal(map[string]string{"root-cert.pem": string(bundle)})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":%q,"name":"istio-ca-root-cert"},"data":%s}`, namespace, data)
}

func validator(revision, namespace string, bundle []byte) string {
	name := "istio-validator-" + revision + "-" + namespace
	return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration",
		"metadata":{"name":%q,"labels":{"istio.io/rev":%q}},"webhooks":[{"name":"rev.validation.istio.io","sideEffects":"None",
		"admissionReviewVersions":["v1"],"failurePolicy":"Ignore","clientConfig":{"url":"https://127.0.0.1:1/","caBundle":%q}}]}`,
		name, revision, base64.StdEncoding.EncodeToString(bundle))
}

// meaning is what a name leads to, in short.
func meaning(m *routing.Mesh, name string) string {
	r := m.Resolve(name)
	switch {
	case r.Revision != nil:
		return strings.TrimSuffix(r.Revision.Name+" "+string(r.Followed), " ")
	case r.Meant != nil:
		return string(r.Reason) + " " + string(r.Meant.Unroutable)
	}
	return string(r.Reason)
}

func awaitMeaning(t *testing.T, s *mesh.Source, name, want string) {
	t.Helper()
	eventually(t, func() string {
		if got := meaning(s.Mesh(), name); got != want {
			return fmt.Sprintf("%s means %q, want %q", name, got, want)
		}
		return ""
	})
}

// TestForwardFollowsWhatInjectorsNeed goes through the life of a revision, as an API server tells it.
func TestForwardFollowsWhatInjectorsNeed(t *testing.T) {
	c := cluster.Shared(t)
	installCRDs(t, c.Config())
	a := newAPI(t, c.Config())
	for _, name := range []string{"istio-a", "istio-b"} {
		a.create(namespace(name, `{}`))
	}
	s, _ := run(t, mesh.Options{Config: c.Config(), Mode: routing.Forward})
	awaitReady(t, s)
	if s.Mesh().Mode() != routing.Forward {
		t.Errorf("the mesh is in mode %s", s.Mesh().Mode())
	}

	a.create(revisionIn("fwd-one", "istio-a"))
	awaitMeaning(t, s, "fwd-one", "NotRoutable NoCA")
	published, own := ca(t), ca(t)
	root := a.create(rootCertificates(t, "istio-a", published))
	awaitMeaning(t, s, "fwd-one", "NotRoutable NoEndpoints")
	slice := a.create(endpointSlice("istio-a", "istiod-fwd-one", false))
	a.patch(slice, `{"endpoints":[{"addresses":["10.0.0.1"],"conditions":{"ready":true}}]}`)
	awaitMeaning(t, s, "fwd-one", "fwd-one")
	want := forward.Injector{
		Revision: "fwd-one", Address: "istiod-fwd-one.istio-a.svc:443", ServerName: "istiod-fwd-one.istio-a.svc", Path: "/inject", CABundle: published,
	}
	if got, ok := s.Injector("fwd-one"); !ok || !cmp.Equal(got, want) {
		t.Errorf("%+v, %t, want %+v", got, ok, want)
	}
	a.create(validator("fwd-one", "istio-a", own))
	eventually(t, func() string {
		got, _ := s.Injector("fwd-one")
		return cmp.Diff(string(own), string(got.CABundle))
	})

	// A second control plane appears in a namespace that nothing was followed in.
	a.create(tag("fwd-tag", "fwd-two"))
	second := a.create(revisionIn("fwd-two", "istio-b"))
	a.create(rootCertificates(t, "istio-b", published))
	a.create(endpointSlice("istio-b", "istiod-fwd-two", true))
	awaitMeaning(t, s, "fwd-tag", "fwd-two")
	kinds := func() string { return fmt.Sprint(s.Stats().Kinds) }
	if got := kinds(); !strings.Contains(got, "endpointslices.discovery.k8s.io of namespace istio-b") {
		t.Errorf("not followed in the new namespace: %s", got)
	}
	a.delete(second)
	awaitMeaning(t, s, "fwd-tag", "DanglingTag")
	if got := kinds(); strings.Contains(got, "istio-b") || !strings.Contains(got, "istio-a") {
		t.Errorf("after the revision has gone, followed are %s", got)
	}

	// The last endpoint goes, and everything that is known of the CA.
	a.delete(slice)
	awaitMeaning(t, s, "fwd-one", "NotRoutable NoEndpoints")
	a.delete(root)
	a.create(ownInjector("fwd-one"))
	eventually(t, func() string {
		if got := s.Overlaps(); len(got) != 1 || got[0].Wanted != "fwd-one" || got[0].Configuration != "istio-sidecar-injector-fwd-one" {
			return fmt.Sprintf("overlaps %+v, want the configuration", got)
		}
		return ""
	})
}

func ownInjector(revision string) string {
	return fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration",
		"metadata":{"name":%q,"labels":{"istio.io/rev":%q},
			"ownerReferences":[{"apiVersion":"sailoperator.io/v1","kind":"IstioRevision","name":%q,"uid":"1"}]},
		"webhooks":[{"name":"rev.namespace.sidecar-injector.istio.io","sideEffects":"None","admissionReviewVersions":["v1"],
			"failurePolicy":"Ignore","clientConfig":{"url":"https://127.0.0.1:1/"},
			"namespaceSelector":{"matchLabels":{"istio.io/rev":%q}},
			"rules":[{"operations":["CREATE"],"apiGroups":[""],"apiVersions":["v1"],"resources":["pods"]}]}]}`,
		"istio-sidecar-injector-"+revision, revision, revision, revision)
}

// In guard none of it is followed, whatever revisions there are: the permissions for it are not needed.
func TestGuardFollowsNothingOfInjectors(t *testing.T) {
	c := cluster.Shared(t)
	installCRDs(t, c.Config())
	a := newAPI(t, c.Config())
	user := "guard-only"
	config, err := c.ConfigFor(user)
	if err != nil {
		t.Fatal(err)
	}
	a.create(role(user, "", ""))
	a.create(binding(user, user))
	a.create(revisionIn("guarded", "istio-system"))
	s, log := run(t, mesh.Options{Config: config})
	awaitReady(t, s)
	awaitMeaning(t, s, "guarded", "guarded")
	if got := len(s.Stats().Kinds); got != 6 {
		t.Errorf("%d kinds are followed, want 6: %v", got, s.Stats().Kinds)
	}
	if lines := log.with("cannot be followed"); len(lines) > 0 {
		t.Errorf("something is followed that may not be: %q", lines)
	}
	if _, ok := s.Injector("guarded"); ok || s.Overlaps() != nil {
		t.Error("guard knows of an injector or an overlap")
	}
}

// A namespace that cannot be read holds up the first snapshot, with the permission that is missing, and no later one.
func TestForwardInANamespaceThatCannotBeRead(t *testing.T) {
	c := cluster.Shared(t)
	installCRDs(t, c.Config())
	a := newAPI(t, c.Config())
	user := "forward-without-endpoints"
	config, err := c.ConfigFor(user)
	if err != nil {
		t.Fatal(err)
	}
	a.create(role(user, "", ""))
	a.create(binding(user, user))
	s, _ := run(t, mesh.Options{Config: config, Mode: routing.Forward})
	eventually(t, func() string {
		return onlyForbidden(s.Ready(), "watch", "validatingwebhookconfigurations", "admissionregistration.k8s.io")
	})
	rule := `{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q},"rules":[
		{"apiGroups":[%q],"resources":[%q],"verbs":["list","watch"]}]}`
	a.create(fmt.Sprintf(rule, user+"-validating", "admissionregistration.k8s.io", "validatingwebhookconfigurations"))
	a.create(binding(user+"-validating", user))
	awaitReady(t, s)

	a.create(revisionIn("unread", "istio-unread"))
	awaitMeaning(t, s, "unread", "NotRoutable NoCA")
	a.create(revisionIn("unread-too", "istio-unread"))
	awaitMeaning(t, s, "unread-too", "NotRoutable NoCA")
	eventually(t, func() string {
		if s.Stats().StaleSince.IsZero() {
			return "nothing says that a kind cannot be followed"
		}
		return ""
	})

	late, _ := run(t, mesh.Options{Config: config, Mode: routing.Forward})
	eventually(t, func() string {
		err := late.Ready()
		if err == nil || !strings.Contains(err.Error(), "of namespace istio-unread") {
			return fmt.Sprintf("Ready says %v, want the namespace", err)
		}
		return ""
	})
}

func TestSetPrecedence(t *testing.T) {
	c := cluster.Shared(t)
	installCRDs(t, c.Config())
	a := newAPI(t, c.Config())
	a.create(namespace("precedence-a", `{"team":"a"}`))
	a.create(namespace("precedence-b", `{"team":"b"}`))
	teamIs := func(team string) routing.Precedence {
		return routing.Precedence{{
			Selector: routing.Selector{{Key: "team", Operator: routing.OpIn, Values: []string{team}}}, PodFirst: true,
		}}
	}
	for _, mode := range routing.Modes() {
		t.Run(string(mode), func(t *testing.T) {
			s, _ := run(t, mesh.Options{Config: c.Config(), Mode: mode, Precedence: teamIs("a")})
			awaitReady(t, s)
			for _, team := range []string{"a", "b", "nobody", "a"} {
				s.SetPrecedence(teamIs(team))
				eventually(t, func() string {
					for _, name := range []string{"a", "b"} {
						want := mode == routing.Forward && name == team
						ns, _ := s.Mesh().Namespace("precedence-" + name)
						live, err := s.Namespace(t.Context(), "precedence-"+name)
						if err != nil || ns.PodFirst != want || live.PodFirst != want {
							return fmt.Sprintf("%s: in the snapshot %t, live %t (%v), want %t", name, ns.PodFirst, live.PodFirst, err, want)
						}
					}
					return ""
				})
			}
		})
	}
}
