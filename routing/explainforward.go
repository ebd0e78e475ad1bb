package routing

import "strconv"

// explainNotRoutable tells what was asked for and why it takes no pods.
func explainNotRoutable(m *Mesh, who string, d Decision) string {
	found := m.Resolve(d.Wanted)
	if found.Meant == nil {
		return who + " asks for a revision that takes no pods"
	}
	if found.Tag == nil {
		return who + " names " + revisionText(found.Meant.Name, found.Meant.Version) + ", which takes no pods: " +
			ExplainUnroutable(found.Meant.Unroutable)
	}
	which := "target"
	if found.Meant.Name != found.Tag.Target {
		which = "last revision"
	}
	return who + " asks for the tag " + quoteIn(63, d.Tag) + ", whose " + which + ", " + notTaking(found.Meant) +
		", and no earlier revision of it does"
}

// explainFollowed tells what led to another revision than the tag's target. It continues a sentence that names the
// tag, and is empty where nothing did.
func explainFollowed(in Input, d Decision) string {
	switch d.Followed {
	case FollowedRollout:
		return ", whose rollout sends " + strconv.Itoa(in.Mesh.shares[d.Wanted].rollout.Percent) +
			"% of the workloads there"
	case FollowedLastGood:
		return ", as the last good one: " + explainLastGood(in, d)
	}
	return ""
}

func explainLastGood(in Input, d Decision) string {
	found := in.Mesh.ResolveFor(d.Wanted, in.Namespace.Name, in.Pod.Workload)
	t := found.Tag
	what, name := "its target", t.Target
	if in.Mesh.Resolve(d.Wanted) != found {
		what, name = "the revision of its rollout", t.Rollout.Revision
	}
	if r := found.Meant; r != nil && r.Name == name {
		return what + ", " + notTaking(r)
	}
	if name != "" {
		return what + ", " + quoteIn(63, name) + ", does not exist"
	}
	return what + ", the " + clip(t.TargetKind, 63) + " " + quoteIn(63, t.TargetName) + ", has no revision"
}

func notTaking(r *Revision) string {
	return revisionText(r.Name, r.Version) + ", takes no pods (" + ExplainUnroutable(r.Unroutable) + ")"
}

// ExplainUnroutable says in a clause why a revision takes no pods, and is empty where it does.
func ExplainUnroutable(why Unroutable) string {
	switch why {
	case BeingDeleted:
		return "it is being deleted"
	case TooOld:
		return "it is older than 1.28 and renders webhooks of its own for tags"
	case NoInjector:
		return "its values hold no usable address of an injector"
	case NoCA:
		return "nothing is known to check its injector's certificate with"
	case NoEndpoints:
		return "its injector has no ready endpoint"
	}
	return ""
}

// nextToRoute is the command that shows what keeps a revision from taking pods.
func nextToRoute(m *Mesh, d Decision) string {
	r := m.Resolve(d.Wanted).Meant
	if r == nil {
		return showNames(m)
	}
	name, namespace := shellWord(r.Name), shellWord(r.Namespace)
	switch r.Unroutable {
	case NoEndpoints:
		return "kubectl get endpointslices -n " + namespace + " -l kubernetes.io/service-name=" + shellWord(r.Service())
	case NoCA:
		return "kubectl get validatingwebhookconfigurations -l " + LabelRevision + "=" + name +
			", and kubectl get configmap istio-ca-root-cert -n " + namespace
	case TooOld:
		return "update the Istio that owns it to 1.28 or later, or let the label name another revision; for their names, " +
			showNames(m)
	case BeingDeleted:
		return "let the label name another revision; for their names, " + showNames(m)
	case NoInjector:
	}
	return "kubectl get istiorevision " + name + " -o yaml"
}

// Service is the name of the Service of the revision's istiod in its namespace: the Helm revision is empty for the
// name default (IstioRevision's own validation, and the chart istio-discovery).
func (r *Revision) Service() string {
	if r.Name == DefaultRevision {
		return "istiod"
	}
	return "istiod-" + r.Name
}
