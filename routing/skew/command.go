package skew

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// on is a kubectl command about an object: "kubectl label gateway waypoint -n infra".
func on(verb string, r Ref) string {
	return "kubectl " + verb + " " + kubectlName(r.Kind) + " " + r.Name + in(r.Namespace)
}

// edits is a command that takes the place of the change: it edits the changed object, or the manifest of one that does
// not exist yet, which kubectl cannot find in the cluster.
func (k *check) edits(verb, how string) string {
	if k.change.Operation == Create {
		return "kubectl " + verb + " --local -f <file> " + how + " -o yaml | kubectl apply -f -"
	}
	return on(verb, k.change.object().Ref()) + " " + how
}

// patches is edits for a merge patch.
func (k *check) patches(body string) string {
	return k.edits("patch", "--type=merge -p '"+body+"'")
}

// asks is the command that gives the changed object, a Namespace or Gateway, another revision.
func (k *check) asks(to string) string {
	how := routing.LabelRevision + "=" + to + " --overwrite"
	if ns, ok := k.change.New.(Namespace); ok && ns.routing().Injection.Present {
		how = routing.LabelInjection + "- " + how
	}
	return k.edits("label", how)
}

// targetRef is the body of a patch that makes a tag or ZTunnel point at something.
func targetRef(to Ref) string {
	return fmt.Sprintf(`{"spec":{"targetRef":{"kind":%q,"name":%q}}}`, string(to.Kind), to.Name)
}

// point is the command that makes a tag or ZTunnel point at something.
func point(r, to Ref) string { return on("patch", r) + " --type=merge -p '" + targetRef(to) + "'" }

// unpin is the command that lets istiod choose the image of a Gateway.
func unpin(gateway Ref) string {
	return on("annotate", gateway) + " " + AnnotationProxyImage + "-"
}

// template is the command that sets a label in the pod template of a workload; value is JSON.
func (w Workload) template(label, value string) string {
	if w.Kind == "Pod" || w.Kind == "Job" {
		return on("delete", w.ref())
	}
	return on("patch", w.ref()) +
		fmt.Sprintf(` --type=merge -p '{"spec":{"template":{"metadata":{"labels":{%q:%s}}}}}'`, label, value)
}

// restart is the command that replaces the pods of a workload, and of those of its kind in its namespace where one
// command does. What a controller of another vendor owns has no verb of its own: its pods are deleted, and it makes new
// ones.
func (w Workload) restart() string {
	switch w.Kind {
	case "Deployment", "StatefulSet", "DaemonSet":
		return "kubectl rollout restart " + strings.ToLower(w.Kind) + " -n " + w.Namespace
	case "Pod", "Job":
		return on("delete", w.ref())
	case "Rollout":
		return "kubectl argo rollouts restart " + w.Name + in(w.Namespace)
	case "DeploymentConfig":
		return "oc rollout latest dc/" + w.Name + in(w.Namespace)
	}
	return "kubectl get pods" + in(w.Namespace) + ` -o jsonpath='{range .items[?(@.metadata.ownerReferences[0].name=="` + w.Name +
		`")]}{.metadata.name}{"\n"}{end}' | xargs kubectl delete pod` + in(w.Namespace)
}

// install is the command that makes an Istio whose revisions have other names than it has itself.
func install(name string) string {
	return `kubectl apply -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"Istio","metadata":{"name":"` + name +
		`"},"spec":{"namespace":"istio-system","updateStrategy":{"type":"RevisionBased"}}}'`
}

// fitting is a version that a singleton can have beside the live control planes: that of the lowest of them, and where
// that one has yet to roll out, an alias of what it runs; but not more than a minor below the highest.
func (v *view) fitting() Version {
	var low, high Version
	for _, p := range v.live() {
		if !high.Known() || p.version().MinorsAhead(high) > 0 {
			high = p.version()
		}
	}
	for _, p := range v.live() {
		at, ok := p.lowest(func(claim) bool { return true })
		if !ok || low.Known() && low.MinorsAhead(at) <= 0 {
			continue
		}
		if low = at.alias(); p.version().MinorsAhead(at) == 0 {
			low = p.version()
		}
	}
	if high.MinorsAhead(low) > 1 {
		return high.next(-1).alias()
	}
	return low
}

// pointable is what a tag should point at instead: the Istio or IstioRevision whose name is closest to the target.
// ok is false where there is none that a tag can point at.
func (v *view) pointable(tag string, target Ref) (best Ref, ok bool) {
	var refs []Ref
	for _, o := range v.mesh.Istios {
		refs = append(refs, Ref{Kind: KindIstio, Name: o.Name})
	}
	for _, r := range v.mesh.Revisions {
		owner, _ := v.mesh.find(Ref{Kind: KindIstio, Name: r.Istio}).(Istio)
		if r.Name != tag && !owner.Deleting { // it goes with its Istio
			refs = append(refs, Ref{Kind: KindRevision, Name: r.Name})
		}
	}
	refs = slices.DeleteFunc(refs, func(r Ref) bool {
		problem := v.targetProblem(r)
		return problem != ""
	})
	if len(refs) == 0 {
		return Ref{}, false
	}
	other := func(r Ref) int { // the same kind first
		if r.Kind == target.Kind {
			return 0
		}
		return 1
	}
	return slices.MinFunc(refs, func(a, b Ref) int {
		return cmp.Or(
			cmp.Compare(typos(a.Name, target.Name), typos(b.Name, target.Name)),
			cmp.Compare(other(a), other(b)), strings.Compare(a.Name, b.Name),
		)
	}), true
}

// closest sorts names by how little it takes to mistype them as the given one.
func closest(names []string, to string) []string {
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(typos(a, to), typos(b, to)), strings.Compare(a, b))
	})
	return names
}

// typos counts the letters to add, drop, change or swap with the next one between two names.
func typos(a, b string) int {
	above, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			change := last[j]
			if a[i] != b[j] {
				change++
			}
			row[j+1] = min(change, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], above[j-1]+1)
			}
		}
		above, last = last, row
	}
	return last[len(b)]
}
