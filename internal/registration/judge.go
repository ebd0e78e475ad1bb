package registration

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"

	"github.com/revision-router/revision-router/routing"
)

// injectorSuffix ends the name of every injector webhook of Istio's (istiod, pkg/webhooks/webhookpatch.go).
const injectorSuffix = "sidecar-injector.istio.io"

// Problem is what can be wrong. The set is closed, so that it can be a metric label.
type Problem string

// The problems.
const (
	// Missing: the router's configuration does not exist, so that the API server never calls it.
	Missing Problem = "missing"
	// Order: an injector is called before the router.
	Order Problem = "order"
	// IstioLabel: the router's configuration has a label of Istio's, by which istiod takes it for its own and overwrites
	// the CA bundle.
	IstioLabel Problem = "istio_label"
	// NoBundle: a webhook of the router's has no CA bundle, so that the API server cannot call it.
	NoBundle Problem = "no_ca_bundle"
	// NoInjector: a revision has no injector webhook. In guard mode nothing injects the pods that it stands for.
	NoInjector Problem = "no_injector"
)

// Problems lists every problem.
func Problems() []Problem { return []Problem{Missing, Order, IstioLabel, NoBundle, NoInjector} }

// Finding is one problem with what there is to say.
type Finding struct {
	Problem Problem
	Message string
}

// Facts are what is judged.
type Facts struct {
	// Own are the names of the router's configurations.
	Own []string
	// All are the MutatingWebhookConfigurations that there are.
	All []admissionregistrationv1.MutatingWebhookConfiguration
	// Revisions are the names of those that injector webhooks are expected for.
	Revisions []string
}

// Judge finds what is wrong, in a fixed order.
func Judge(f Facts) []Finding {
	var found []Finding
	add := func(p Problem, format string, values ...any) {
		found = append(found, Finding{p, fmt.Sprintf(format, values...)})
	}
	for _, name := range f.Own {
		i := slices.IndexFunc(f.All, func(c admissionregistrationv1.MutatingWebhookConfiguration) bool { return c.Name == name })
		if i < 0 {
			add(Missing, "MutatingWebhookConfiguration %s does not exist, so that the router is not called; install the chart again", name)
			continue
		}
		own := &f.All[i]
		for _, key := range []string{routing.LabelRevision, routing.LabelTag} {
			if _, ok := own.Labels[key]; ok {
				add(IstioLabel, "MutatingWebhookConfiguration %s has the label %s, by which istiod takes it for its own and overwrites "+
					"its CA bundle; remove it: kubectl label mutatingwebhookconfiguration %s %s-", name, key, name, key)
			}
		}
		for j := range own.Webhooks {
			if len(own.Webhooks[j].ClientConfig.CABundle) == 0 {
				add(NoBundle, "webhook %s of %s has no CA bundle yet", own.Webhooks[j].Name, name)
			}
		}
		if before := injectorsBefore(f.All, name); len(before) > 0 {
			add(Order, "mutating webhooks are called in the order of their configurations' names, and these inject before %s is asked: %s; "+
				"give the router's configuration a name that sorts first", name, strings.Join(before, ", "))
		}
	}
	for _, revision := range f.Revisions {
		if !slices.ContainsFunc(f.All, func(c admissionregistrationv1.MutatingWebhookConfiguration) bool {
			return isInjector(&c) && c.Labels[routing.LabelRevision] == revision
		}) {
			add(NoInjector, "revision %s has no injector webhook, so that nothing injects its pods in guard mode; look for "+
				"global.operatorManageWebhooks in the values of its Istio", revision)
		}
	}
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(slices.Index(Problems(), a.Problem), slices.Index(Problems(), b.Problem)), cmp.Compare(a.Message, b.Message))
	})
	return found
}

// injectorsBefore are the names of injector configurations that sort before a name, as the API server sorts them
// (apiserver, pkg/admission/configuration: by name).
func injectorsBefore(all []admissionregistrationv1.MutatingWebhookConfiguration, name string) []string {
	var before []string
	for i := range all {
		if all[i].Name < name && isInjector(&all[i]) {
			before = append(before, all[i].Name)
		}
	}
	slices.Sort(before)
	return before
}

func isInjector(c *admissionregistrationv1.MutatingWebhookConfiguration) bool {
	return slices.ContainsFunc(c.Webhooks, func(w admissionregistrationv1.MutatingWebhook) bool {
		return strings.HasSuffix(w.Name, injectorSuffix)
	})
}
