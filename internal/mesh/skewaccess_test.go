package mesh_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/test/cluster"
)

// skewRules are what [mesh.Skew] needs, and all that it needs.
var skewRules = []struct {
	group     string
	resources []string
	verbs     []string
}{
	{"sailoperator.io", []string{"istios", "istiorevisions", "istiorevisiontags", "istiocnis", "ztunnels"}, []string{"list", "watch"}},
	{"admissionregistration.k8s.io", []string{"mutatingwebhookconfigurations"}, []string{"list", "watch"}},
	{"apps", []string{"deployments", "daemonsets"}, []string{"list", "watch"}},
	{"", []string{"namespaces"}, []string{"get", "list", "watch"}},
	{"", []string{"services", "pods"}, []string{"list", "watch"}},
	{"gateway.networking.k8s.io", []string{"gateways"}, []string{"get", "list", "watch"}},
	{"gateway.networking.k8s.io", []string{"gatewayclasses", "httproutes"}, []string{"list", "watch"}},
	{"networking.istio.io", []string{"serviceentries", "workloadentries"}, []string{"list", "watch"}},
	{"security.istio.io", []string{"authorizationpolicies"}, []string{"list", "watch"}},
}

// skewRole grants all that is needed, but for one resource.
func skewRole(name, without string) string {
	var rules []string
	for _, r := range skewRules {
		for _, resource := range r.resources {
			if resource != without {
				rules = append(rules, fmt.Sprintf(`{"apiGroups":[%q],"resources":[%q],"verbs":[%s]}`,
					r.group, resource, `"`+strings.Join(r.verbs, `","`)+`"`))
			}
		}
	}
	return fmt.Sprintf(`{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":%q},"rules":[%s]}`,
		name, strings.Join(rules, ","))
}

// Where the router may not list pods the rules have nothing to look at, and say why; pods are routed all the same.
func TestSkewWithoutPermissionLeavesRoutingAlone(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	for _, missing := range []struct{ resource, group string }{{"pods", ""}, {"gateways", "gateway.networking.k8s.io"}} {
		t.Run(missing.resource, func(t *testing.T) {
			a := newAPI(t, c.Config())
			user := "skew-without-" + missing.resource
			config, err := c.ConfigFor(user)
			if err != nil {
				t.Fatal(err)
			}
			a.create(skewRole(user, missing.resource))
			a.create(binding(user, user))
			source, _ := run(t, mesh.Options{Config: config})
			s, _ := runSkew(t, mesh.SkewOptions{Config: config})
			awaitReady(t, source)
			want := fmt.Sprintf("grant the verb %q on resource %q of API group %q", "list", missing.resource, missing.group)
			eventually(t, func() string {
				if err := s.Ready(); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
					return fmt.Sprintf("Ready says %v, want %q in it", err, want)
				}
				return ""
			})
			if s.SkewMesh() != nil {
				t.Error("a snapshot was published")
			}
			if _, err := s.LiveSkewMesh(t.Context()); !apierrors.IsForbidden(err) {
				t.Errorf("a live read says %v, want what is forbidden", err)
			}
			if err := source.Ready(); err != nil {
				t.Errorf("the source for routing is not ready: %v", err)
			}
			a.create(skewRole(user+"-now-granted", ""))
			a.create(binding(user+"-now-granted", user))
			awaitSkew(t, s)
			useAll(t, s)
		})
	}
}

// useAll reads everything that can be read.
func useAll(t *testing.T, s *mesh.Skew) {
	t.Helper()
	if _, err := s.LiveSkewMesh(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := s.LiveGateways(t.Context(), "default"); err != nil {
		t.Error(err)
	}
	if _, err := s.LiveGateway(t.Context(), "default", "missing"); !apierrors.IsNotFound(err) {
		t.Error(err)
	}
	if _, err := s.LiveNamespace(t.Context(), "default"); err != nil {
		t.Error(err)
	}
}

// A cluster without the Gateway API, or without Istio's own kinds, has no such objects, until they are installed.
func TestSkewWithoutOptionalKinds(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	a := newAPI(t, c.Config())
	populate(a)
	var wire faulty
	wire.begin(func(path string) int {
		if strings.Contains(path, "/gateway.networking.k8s.io/") || strings.Contains(path, "/networking.istio.io/") {
			return http.StatusNotFound
		}
		return 0
	})
	s, log := runSkew(t, mesh.SkewOptions{Config: wire.config(c.Config())})
	want := populated()
	want.Gateways, want.GatewayClasses, want.Consumers = nil, nil, want.Consumers[:4]
	want.Attachments = want.Attachments[1:] // the policy stays
	awaitSkewMesh(t, s, want)
	if diff := differs(want, live(t, s)); diff != "" {
		t.Errorf("live (-want +got)\n%s", diff)
	}
	if all, err := s.LiveGateways(t.Context(), "default"); err != nil || len(all) != 0 {
		t.Errorf("the Gateways are %+v, %v; want none", all, err)
	}
	if got := log.with("Kind is not installed"); len(got) != 5 {
		t.Errorf("%d lines say that a kind is not installed, want 5: %q", len(got), got)
	}
	wire.begin(nil)
	awaitSkewMesh(t, s, populated())
	if all, err := s.LiveGateways(t.Context(), "default"); err != nil || len(all) != 1 {
		t.Errorf("the Gateways are %+v, %v; want one", all, err)
	}
}

// older is an API server that cannot stream a list.
type older struct {
	next http.RoundTripper

	mu sync.Mutex
	// lists tells the limit and the resource version of each list, by resource.
	lists map[string][]string
}

func (o *older) RoundTrip(r *http.Request) (*http.Response, error) {
	query := r.URL.Query()
	if query.Get("sendInitialEvents") != "" {
		return &http.Response{
			StatusCode: http.StatusUnprocessableEntity, Request: r, ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(bytes.NewReader([]byte(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422,
				"message":"sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"}`))),
		}, nil
	}
	if query.Get("watch") == "" {
		resource := path.Base(r.URL.Path)
		o.mu.Lock()
		o.lists[resource] = append(o.lists[resource], query.Get("limit")+" at "+query.Get("resourceVersion"))
		o.mu.Unlock()
	}
	return o.next.RoundTrip(r)
}

func TestSkewOfAnOlderAPIServer(t *testing.T) {
	c := cluster.Shared(t)
	installAllCRDs(t, c)
	a := newAPI(t, c.Config())
	populate(a)
	wire := &older{lists: map[string][]string{}}
	config := rest.CopyConfig(c.Config())
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		wire.next = next
		return wire
	})
	s, _ := runSkew(t, mesh.SkewOptions{Config: config})
	awaitSkewMesh(t, s, populated())
	a.create(proxied("db-9", "proxyv2:1.29.6"))
	eventually(t, func() string {
		if got := s.Stats().Pods; got != 4 {
			return fmt.Sprintf("%d pods are counted, want 4", got)
		}
		return ""
	})
	wire.mu.Lock()
	defer wire.mu.Unlock()
	for _, resource := range []string{"pods", "httproutes", "authorizationpolicies"} {
		for _, list := range wire.lists[resource] {
			if list != "500 at " {
				t.Errorf("%s were listed with limit and resource version %q, want a page of 500", resource, list)
			}
		}
		if len(wire.lists[resource]) == 0 {
			t.Errorf("%s were not listed", resource)
		}
	}
}
