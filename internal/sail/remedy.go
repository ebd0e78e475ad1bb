package sail

import (
	"cmp"

	"github.com/revision-router/revision-router/routing"
)

// OverlapHarm ends every sentence about an [Overlap] that begins with what injects: "these inject ...".
const OverlapHarm = "pods that the router injects as well, and two injectors can break a pod"

// String names the webhook, and whose pods it gets.
func (o Overlap) String() string {
	return "webhook " + o.Webhook + " of MutatingWebhookConfiguration " + o.Configuration + " (pods that ask for " + o.Wanted + ")"
}

// Remedy is what takes the webhook of an [Overlap] away.
type Remedy struct {
	// Advice is what a person has to do where no command does it; else empty.
	Advice string
	// Command makes the operator take its own webhooks away; empty where none does. Show tells whose a webhook is that
	// stays after that, or that nothing in the mesh accounts for; empty where there is an Advice.
	Command, Show string
}

// Remedy finds it by the revision that the pods would get, or should get once it takes pods.
func (o Overlap) Remedy(m *routing.Mesh) Remedy {
	found := m.Resolve(o.Wanted)
	revision := found.Revision
	if found.Meant != nil {
		revision = found.Meant
	}
	show := "kubectl get mutatingwebhookconfiguration " + o.Configuration + " --show-labels"
	if revision == nil {
		return Remedy{Show: show}
	}
	owner := "istiorevision " + revision.Name
	if revision.Istio != "" {
		owner = "istio " + revision.Istio
	}
	if revision.Unroutable == routing.TooOld {
		return Remedy{Advice: "update " + owner + " to 1.28 or later, before which tags have webhooks of their own whatever the values " +
			"say; until then run the router with --mode=guard"}
	}
	return Remedy{
		Command: "kubectl patch " + owner + ` --type=merge -p '{"spec":{"values":{"global":{"operatorManageWebhooks":true}}}}'`,
		Show:    show,
	}
}

// String is the remedy on one line.
func (r Remedy) String() string {
	if r.Command != "" {
		return r.Command + "; if the webhook stays after that, somebody else has made it: " + r.Show
	}
	return cmp.Or(r.Advice, r.Show)
}
