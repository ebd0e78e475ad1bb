package sail_test

import (
	"slices"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

const suffix = "sidecar-injector.istio.io"

func requirement(key string, op metav1.LabelSelectorOperator, values ...string) metav1.LabelSelectorRequirement {
	return metav1.LabelSelectorRequirement{Key: key, Operator: op, Values: values}
}

func selector(all ...metav1.LabelSelectorRequirement) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: all}
}

// injectors is a configuration as Istio's chart renders it for a revision or tag of that name.
func injectors(name string) *admissionregistrationv1.MutatingWebhookConfiguration {
	const injection, rev, inject = "istio-injection", "istio.io/rev", "sidecar.istio.io/inject"
	in, notIn, absent := metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn, metav1.LabelSelectorOpDoesNotExist
	c := &admissionregistrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "istio-sidecar-injector-" + name, Labels: map[string]string{rev: name}},
		Webhooks: []admissionregistrationv1.MutatingWebhook{
			{
				Name:              "rev.namespace." + suffix,
				NamespaceSelector: selector(requirement(rev, in, name), requirement(injection, absent)),
				ObjectSelector:    selector(requirement(inject, notIn, "false")),
			},
			{
				Name:              "rev.object." + suffix,
				NamespaceSelector: selector(requirement(rev, absent), requirement(injection, absent)),
				ObjectSelector:    selector(requirement(inject, notIn, "false"), requirement(rev, in, name)),
			},
		},
	}
	if name != routing.DefaultRevision {
		return c
	}
	c.Webhooks = append(c.Webhooks,
		admissionregistrationv1.MutatingWebhook{
			Name:              "namespace." + suffix,
			NamespaceSelector: selector(requirement(injection, in, "enabled")),
			ObjectSelector:    selector(requirement(inject, notIn, "false")),
		},
		admissionregistrationv1.MutatingWebhook{
			Name:              "object." + suffix,
			NamespaceSelector: selector(requirement(injection, absent), requirement(rev, absent)),
			ObjectSelector:    selector(requirement(inject, in, "true"), requirement(rev, absent)),
		},
		admissionregistrationv1.MutatingWebhook{
			Name: "auto." + suffix,
			NamespaceSelector: selector(requirement(injection, absent), requirement(rev, absent),
				requirement("kubernetes.io/metadata.name", notIn, "kube-system", "kube-public")),
			ObjectSelector: selector(requirement(inject, absent), requirement(rev, absent)),
		})
	return c
}

// each is what the webhook names are in short.
func each(c *admissionregistrationv1.MutatingWebhookConfiguration) []string {
	var names []string
	for _, w := range c.Webhooks {
		names = append(names, w.Name)
	}
	slices.Sort(names)
	return names
}

func TestOverlaps(t *testing.T) {
	plain := routing.Revision{Name: "plain", Origin: routing.Webhook, Namespace: "istio-plain"}
	v30, def := ofSail("v30", "v1.30.3"), ofSail("default", "v1.30.3")
	away := v30
	away.Unroutable = routing.TooOld
	prod := routing.Tag{Name: "prod", Revision: "v30", Target: "v30", Origin: routing.Sail}
	byDefault := def
	byDefault.Injection.EnableNamespacesByDefault = true
	forward := func(o routing.Objects) *routing.Mesh {
		o.Mode = routing.Forward
		return routing.NewMesh(o)
	}
	one := func(r ...routing.Revision) *routing.Mesh { return forward(routing.Objects{Revisions: r}) }
	only := func(c *admissionregistrationv1.MutatingWebhookConfiguration, s *metav1.LabelSelector) *admissionregistrationv1.MutatingWebhookConfiguration {
		for i := range c.Webhooks {
			c.Webhooks[i].NamespaceSelector.MatchExpressions = append(c.Webhooks[i].NamespaceSelector.MatchExpressions, s.MatchExpressions...)
		}
		return c
	}
	deactivated := injectors("v30")
	for i := range deactivated.Webhooks {
		deactivated.Webhooks[i].NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"istio.io/deactivated": "never-match"}}
	}
	everything := injectors("v30")
	everything.Webhooks = everything.Webhooks[:1]
	everything.Webhooks[0].NamespaceSelector, everything.Webhooks[0].ObjectSelector = nil, nil
	anyRevision := injectors("v30")
	anyRevision.Webhooks = anyRevision.Webhooks[:1]
	anyRevision.Webhooks[0].NamespaceSelector = selector(requirement("istio.io/rev", metav1.LabelSelectorOpExists),
		requirement("istio.io/rev", metav1.LabelSelectorOpNotIn, "aaa", "v30"))
	all := each(injectors("v30"))
	cases := map[string]struct {
		mesh *routing.Mesh
		of   *admissionregistrationv1.MutatingWebhookConfiguration
		want []string
	}{
		"the configuration of a revision that the router forwards to": {one(v30), injectors("v30"), all},
		"that of a tag that the router follows":                       {forward(routing.Objects{Revisions: []routing.Revision{v30}, Tags: []routing.Tag{prod}}), injectors("prod"), all},
		"that of the default revision":                                {one(byDefault), injectors("default"), each(injectors("default"))},
		"of the default revision, where pods without labels are left alone": {
			one(def), injectors("default"), slices.DeleteFunc(each(injectors("default")), func(n string) bool { return n == "auto."+suffix }),
		},
		"plain Istio's default beside a revision that is not it":     {one(v30), injectors("default"), nil},
		"that of plain Istio's own revision":                         {one(v30, plain), injectors("plain"), nil},
		"that of a revision that is not there":                       {one(v30), injectors("v29"), nil},
		"that of a revision that takes no pods yet":                  {one(away), injectors("v30"), all},
		"a configuration that is deactivated":                        {one(v30), deactivated, nil},
		"a webhook that matches everything":                          {one(v30), everything, each(everything)},
		"a webhook for every other revision, of which there is none": {one(v30), anyRevision, nil},
		"a webhook for every other revision, of which there is one":  {one(v30, ofSail("v31", "v1.31.0")), anyRevision, each(anyRevision)},
		"in namespaces that the router leaves out": {
			one(v30), only(injectors("v30"), selector(requirement("kubernetes.io/metadata.name", metav1.LabelSelectorOpIn, "istio-system", "kube-system"))), nil,
		},
		"in one namespace that it does not leave out": {
			one(v30), only(injectors("v30"), selector(requirement("kubernetes.io/metadata.name", metav1.LabelSelectorOpIn, "istio-system", "bookinfo"))), all,
		},
		"in namespaces of a label that nobody knows": {
			one(v30), only(injectors("v30"), selector(requirement("team", metav1.LabelSelectorOpIn, "a"))), all,
		},
		"no revision of Sail's": {one(plain), injectors("plain"), nil},
		"in guard":              {routing.NewMesh(routing.Objects{Revisions: []routing.Revision{v30}}), injectors("v30"), nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, o := range sail.Overlaps(tc.mesh, sail.Webhooks(tc.of), []string{"istio-system", "revision-router"}) {
				if o.Configuration != tc.of.Name || o.Wanted == "" {
					t.Errorf("%+v", o)
				}
				got = append(got, o.Webhook)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
}

// A pod can beat its namespace where the policy says so: a webhook that selects it by its namespace still calls.
func TestOverlapsCountPrecedence(t *testing.T) {
	plain := routing.Revision{Name: "plain", Origin: routing.Webhook}
	m := routing.NewMesh(routing.Objects{Mode: routing.Forward, Revisions: []routing.Revision{ofSail("v30", "v1.30.3"), plain}})
	c := injectors("plain")
	c.Webhooks[0].ObjectSelector = nil
	got := sail.Overlaps(m, sail.Webhooks(c), nil)
	if len(got) != 0 {
		t.Errorf("%+v although no namespace lets the pod win", got)
	}
	m = routing.NewMesh(routing.Objects{
		Mode: routing.Forward, Revisions: []routing.Revision{ofSail("v30", "v1.30.3"), plain},
		Namespaces: []routing.Namespace{{Name: "a", PodFirst: true}},
	})
	got = sail.Overlaps(m, sail.Webhooks(c), nil)
	if len(got) != 1 || got[0].Webhook != "rev.namespace."+suffix || got[0].Wanted != "v30" {
		t.Errorf("%+v, want the webhook for namespaces", got)
	}
}
