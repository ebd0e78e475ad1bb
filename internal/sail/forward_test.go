package sail_test

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook/forward"
)

// bundle is a CA bundle, a new one with each call.
func bundle(t *testing.T) []byte {
	t.Helper()
	a, err := certs.NewAuthority(time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), 24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return certs.NewBundle(a.Certificate).PEM()
}

func ofSail(name, version string) routing.Revision {
	return routing.Revision{Name: name, Version: version, Namespace: "istio-system", Istio: "default", Origin: routing.Sail}
}

// forwarded is an inventory of one revision that takes pods.
func forwarded(r routing.Revision, ca []byte) sail.Inventory {
	return sail.Inventory{
		Mode:        routing.Forward,
		Revisions:   []routing.Revision{r},
		Reaches:     map[string]sail.Reach{},
		Endpoints:   []sail.Endpoints{{Namespace: r.Namespace, Service: r.Service(), Ready: true}},
		Authorities: []sail.Authority{{Namespace: r.Namespace, CABundle: ca}},
	}
}

func TestRoutability(t *testing.T) {
	ca := bundle(t)
	cases := map[string]struct {
		edit func(*sail.Inventory)
		want routing.Unroutable
	}{
		"a revision with a ready endpoint and a CA":    {func(*sail.Inventory) {}, ""},
		"it is being deleted":                          {func(i *sail.Inventory) { i.Revisions[0].Deleting = true }, routing.BeingDeleted},
		"it is older than 1.28":                        {func(i *sail.Inventory) { i.Revisions[0].Version = "v1.27.9" }, routing.TooOld},
		"it is 1.28 itself":                            {func(i *sail.Inventory) { i.Revisions[0].Version = "v1.28.0" }, ""},
		"it is a pre-release of 1.28":                  {func(i *sail.Inventory) { i.Revisions[0].Version = "v1.28.0-alpha.1" }, ""},
		"its version is not known":                     {func(i *sail.Inventory) { i.Revisions[0].Version = "master" }, ""},
		"deleted and too old: the first reason counts": {func(i *sail.Inventory) { i.Revisions[0].Deleting, i.Revisions[0].Version = true, "v1.20.0" }, routing.BeingDeleted},
		"no endpoint":                                  {func(i *sail.Inventory) { i.Endpoints = nil }, routing.NoEndpoints},
		"an endpoint that is not ready":                {func(i *sail.Inventory) { i.Endpoints[0].Ready = false }, routing.NoEndpoints},
		"the endpoint of another revision":             {func(i *sail.Inventory) { i.Endpoints[0].Service = "istiod" }, routing.NoEndpoints},
		"the endpoint of another namespace":            {func(i *sail.Inventory) { i.Endpoints[0].Namespace = "istio-other" }, routing.NoEndpoints},
		"nothing is known of endpoints, as from files": {func(i *sail.Inventory) { i.Endpoints, i.AssumeEndpoints = nil, true }, ""},
		"no CA":                                  {func(i *sail.Inventory) { i.Authorities = nil }, routing.NoCA},
		"the CA of another namespace":            {func(i *sail.Inventory) { i.Authorities[0].Namespace = "bookinfo" }, routing.NoCA},
		"nothing is known of CAs, as from files": {func(i *sail.Inventory) { i.Authorities, i.AssumeCA = nil, true }, ""},
		"a path that cannot be called":           {func(i *sail.Inventory) { i.Reaches["v30"] = sail.Reach{Path: "inject"} }, routing.NoInjector},
		"no namespace":                           {func(i *sail.Inventory) { i.Revisions[0].Namespace = "" }, routing.NoInjector},
		"a URL: what runs there has no endpoints here": {func(i *sail.Inventory) {
			i.Reaches["v30"], i.Endpoints = sail.Reach{URL: "https://istiod.example/inject"}, nil
		}, ""},
		"a URL without TLS":         {func(i *sail.Inventory) { i.Reaches["v30"] = sail.Reach{URL: "http://istiod.example/inject"} }, routing.NoInjector},
		"a URL with a query":        {func(i *sail.Inventory) { i.Reaches["v30"] = sail.Reach{URL: "https://istiod.example/inject?x=y"} }, routing.NoInjector},
		"a URL with a user":         {func(i *sail.Inventory) { i.Reaches["v30"] = sail.Reach{URL: "https://me@istiod.example/inject"} }, routing.NoInjector},
		"a URL that is none":        {func(i *sail.Inventory) { i.Reaches["v30"] = sail.Reach{URL: "https://["} }, routing.NoInjector},
		"guard knows of none of it": {func(i *sail.Inventory) { i.Mode, i.Endpoints, i.Revisions[0].Deleting = routing.Guard, nil, true }, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := forwarded(ofSail("v30", "v1.30.3"), ca)
			tc.edit(&in)
			if got := in.Objects().Revisions[0].Unroutable; got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

func TestTargets(t *testing.T) {
	own, published, explicit := bundle(t), bundle(t), bundle(t)
	encoded := base64.StdEncoding.EncodeToString(explicit)
	root := sail.Authority{Namespace: "istio-system", CABundle: published}
	validator := sail.Authority{Configuration: "istio-validator-v30-istio-system", Revision: "v30", CABundle: own}
	foreign := sail.Authority{Configuration: "istio-validator-v30-istio-system", Revision: "other", CABundle: explicit}
	service := forward.Injector{
		Revision: "v30", Address: "istiod-v30.istio-system.svc:443", ServerName: "istiod-v30.istio-system.svc", Path: "/inject",
	}
	with := func(i forward.Injector, path string, ca []byte) forward.Injector {
		i.Path, i.CABundle = path, ca
		return i
	}
	url := forward.Injector{Revision: "v30", Address: "istiod.example:15017", ServerName: "istiod.example"}
	cases := map[string]struct {
		reach       sail.Reach
		authorities []sail.Authority
		want        forward.Injector
	}{
		"the CA of the revision's own configuration comes first": {
			sail.Reach{CABundle: encoded}, []sail.Authority{root, validator}, with(service, "/inject", own),
		},
		"then what is published in the namespace": {sail.Reach{CABundle: encoded}, []sail.Authority{foreign, root}, with(service, "/inject", published)},
		"then what the values say":                {sail.Reach{CABundle: encoded}, nil, with(service, "/inject", explicit)},
		"the values hold PEM without base64":      {sail.Reach{CABundle: string(explicit)}, nil, with(service, "/inject", explicit)},
		"the path is the revision's": {
			sail.Reach{Path: "/inject/cluster/c1/net/n1"}, []sail.Authority{root}, with(service, "/inject/cluster/c1/net/n1", published),
		},
		"a URL is taken as it is, with the CA of the values": {
			sail.Reach{URL: "https://istiod.example:15017/inject/cluster/a%2Fb", Path: "/elsewhere", CABundle: encoded},
			[]sail.Authority{root, validator},
			with(url, "/inject/cluster/a%2Fb", explicit),
		},
		"a URL without a CA of its own": {
			sail.Reach{URL: "https://istiod.example:15017"}, []sail.Authority{validator}, with(url, "/", own),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := forwarded(ofSail("v30", "v1.30.3"), nil)
			in.Reaches["v30"], in.Authorities = tc.reach, tc.authorities
			if diff := cmp.Diff(map[string]forward.Injector{"v30": tc.want}, in.Targets()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheDefaultRevisionHasNoNameInItsObjects(t *testing.T) {
	ca := bundle(t)
	in := forwarded(ofSail("default", "v1.30.3"), nil)
	in.Authorities = []sail.Authority{{Configuration: "istio-validator-istio-system", Revision: "default", CABundle: ca}}
	want := forward.Injector{
		Revision: "default", Address: "istiod.istio-system.svc:443", ServerName: "istiod.istio-system.svc", Path: "/inject", CABundle: ca,
	}
	if diff := cmp.Diff(map[string]forward.Injector{"default": want}, in.Targets()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTargetsOfTags(t *testing.T) {
	in := sail.Inventory{
		Mode: routing.Forward, Active: map[string]string{"default": "default-v1-30-3"},
		Tags: []routing.Tag{
			{Name: "a", Origin: routing.Sail, TargetKind: "Istio", TargetName: "default", Revision: "default-v1-29-6"},
			{Name: "b", Origin: routing.Sail, TargetKind: "IstioRevision", TargetName: "x"},
			{Name: "c", Origin: routing.Sail, TargetKind: "Istio", TargetName: "gone"},
		},
	}
	want := map[string]string{"a": "default-v1-30-3", "b": "x", "c": ""}
	got := map[string]string{}
	for _, tag := range in.Objects().Tags {
		got[tag.Name] = tag.Target
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOrderOfVersions(t *testing.T) {
	in := sail.Inventory{Mode: routing.Forward}
	for _, v := range []string{"v1.30.3", "v1.29.6", "v1.30.3-rc.0", "master", "v1.30.10", "v1.29.6"} {
		r := ofSail("r"+v, v)
		in.Revisions = append(in.Revisions, r)
	}
	in.Injectors = []sail.Injector{{Revision: "plain", Namespace: "istio-plain"}}
	var got []int
	for _, r := range in.Objects().Revisions {
		got = append(got, r.Order)
	}
	if diff := cmp.Diff([]int{3, 1, 2, 0, 4, 1, 0}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRolloutOfATag(t *testing.T) {
	o := sail.IstioRevisionTag{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{routing.AnnotationRollout: "v30=10"}}}
	if got, want := o.Tag().Rollout, (routing.Rollout{Revision: "v30", Percent: 10}); got != want || o.Problem() != nil {
		t.Errorf("%+v, problem %v, want %+v", got, o.Problem(), want)
	}
	o.Annotations[routing.AnnotationRollout] = "v30"
	if got := o.Tag().Rollout; got.Set() || o.Problem() == nil {
		t.Errorf("%+v, problem %v, want none and a problem", got, o.Problem())
	}
	o.Annotations = nil
	if got := o.Tag().Rollout; got.Set() || o.Problem() != nil {
		t.Errorf("%+v, problem %v, want neither", got, o.Problem())
	}
}

func TestEndpointsOf(t *testing.T) {
	yes, no := true, false
	endpoint := func(ready *bool, addresses ...string) discoveryv1.Endpoint {
		return discoveryv1.Endpoint{Addresses: addresses, Conditions: discoveryv1.EndpointConditions{Ready: ready}}
	}
	cases := map[string]struct {
		endpoints []discoveryv1.Endpoint
		want      bool
	}{
		"none":                      {nil, false},
		"one is ready":              {[]discoveryv1.Endpoint{endpoint(&no, "10.0.0.1"), endpoint(&yes, "10.0.0.2")}, true},
		"none is ready":             {[]discoveryv1.Endpoint{endpoint(&no, "10.0.0.1")}, false},
		"not known counts as ready": {[]discoveryv1.Endpoint{endpoint(nil, "10.0.0.1")}, true},
		"one without an address":    {[]discoveryv1.Endpoint{endpoint(&yes)}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := sail.EndpointsOf(&discoveryv1.EndpointSlice{
				ObjectMeta: metav1.ObjectMeta{
					Namespace: "istio-system", Name: "istiod-abc", Labels: map[string]string{"kubernetes.io/service-name": "istiod"},
				},
				Endpoints: tc.endpoints,
			})
			if want := (sail.Endpoints{Namespace: "istio-system", Service: "istiod", Ready: tc.want}); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
		})
	}
}

func TestAuthorities(t *testing.T) {
	ca := bundle(t)
	configuration := &admissionregistrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "istio-validator-istio-system", Labels: map[string]string{"istio.io/rev": "default"}},
		Webhooks:   []admissionregistrationv1.ValidatingWebhook{{}, {ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: ca}}},
	}
	want := sail.Authority{Configuration: "istio-validator-istio-system", Revision: "default", CABundle: ca}
	if got, ok := sail.FromValidatingConfiguration(configuration); !ok || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	configuration.Webhooks = configuration.Webhooks[:1]
	if got, ok := sail.FromValidatingConfiguration(configuration); ok {
		t.Errorf("%+v of a configuration that istiod has not filled in", got)
	}
	published := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "istio-system", Name: sail.RootCertificates}, Data: map[string]string{"root-cert.pem": string(ca)},
	}
	want = sail.Authority{Namespace: "istio-system", CABundle: ca}
	if got, ok := sail.FromRootCertificates(published); !ok || !cmp.Equal(got, want) {
		t.Errorf("%+v, %v, want %+v", got, ok, want)
	}
	for name, edit := range map[string]func(){
		"another name": func() { published.Name = "kube-root-ca.crt" },
		"no certificate": func() {
			published.Name, published.Data = sail.RootCertificates, map[string]string{"root-cert.pem": "x"}
		},
	} {
		if edit(); true {
			if got, ok := sail.FromRootCertificates(published); ok {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}
