package skew

import (
	"fmt"
	"slices"
	"strings"
)

// describe is an object with its version, such as "IstioCNI default v1.30.3".
func describe(r Ref) string {
	if v := Parse(r.Version).String(); v != "" {
		return r.String() + " " + v
	}
	return r.String()
}

// subject is the changed object as messages write it.
func (k *check) subject() string { return describe(k.change.object().Ref()) }

// patchVersion sets spec.version of a Sail object.
func patchVersion(kind Kind, name, version string) string {
	return on("patch", Ref{Kind: kind, Name: name}) + " --type=merge -p '" + specVersion(version) + "'"
}

// specVersion is the body of a patch that sets spec.version.
func specVersion(version string) string { return fmt.Sprintf(`{"spec":{"version":%q}}`, version) }

// raise is the command that changes the version of a control plane.
func (p *plane) raise(version Version) string {
	if p.istio != "" {
		return patchVersion(KindIstio, p.istio, version.String())
	}
	return patchVersion(KindRevision, p.name, version.String())
}

// wait is the command that ends when a control plane runs what it declares. It looks at the Deployment: the
// condition Ready of the IstioRevision is True for the old pods too (Sail
// Operator, istiorevision_controller.go: it looks at no generation of the Deployment).
func (p *plane) wait() string {
	if p.pending {
		return "kubectl wait --for=create deployment/" + p.deployment() + in(p.namespace) + " --timeout=5m && " +
			p.rolloutStatus()
	}
	return p.rolloutStatus()
}

func (p *plane) rolloutStatus() string {
	return "kubectl rollout status deployment/" + p.deployment() + in(p.namespace)
}

// waitForDaemonSet is the command that ends when a singleton's pods run what it declares. With OnDelete nothing replaces them,
// and kubectl rollout status fails: that is the nodes' turn then, one by one (update guide 3.7.2).
func (v *view) waitForDaemonSet(kind Kind) string {
	switch {
	case kind == KindCNI:
		return "kubectl rollout status daemonset/istio-cni-node" + in(v.mesh.CNI.Namespace)
	case v.byNode(kind):
		return "kubectl drain <node> --ignore-daemonsets --delete-emptydir-data && kubectl delete pod" + in(v.mesh.ZTunnel.Namespace) +
			" -l app=ztunnel --field-selector spec.nodeName=<node> && kubectl uncordon <node>"
	}
	return "kubectl rollout status daemonset/ztunnel" + in(v.mesh.ZTunnel.Namespace)
}

// bringSingleton lists what brings an IstioCNI or ZTunnel to a version.
func (v *view) bringSingleton(r Ref, version string) []string {
	return []string{patchVersion(r.Kind, r.Name, version), v.waitForDaemonSet(r.Kind)}
}

// byNode reports whether the pods of a singleton are replaced by hand.
func (v *view) byNode(kind Kind) bool { return kind == KindZTunnel && v.mesh.ZTunnel.OnDelete }

// daemonSet introduces the command that waits for pods of a singleton, daemonSetFirst where a change waits for that.
func (v *view) daemonSet(kind Kind) string {
	if v.byNode(kind) {
		return "Replace them, node by node"
	}
	return "Wait for the DaemonSet"
}

func (v *view) daemonSetFirst(kind Kind) string {
	if v.byNode(kind) {
		return "First replace them, node by node"
	}
	return "First wait for the DaemonSet"
}

// andWait is what follows "Raise ZTunnel first" before the command that waits for its pods.
func (v *view) andWait(kind Kind) string {
	if v.byNode(kind) {
		return " and replace its pods, node by node"
	}
	return " and wait for it"
}

// in is kubectl's flag for a namespace; none where it is not known.
func in(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " -n " + namespace
}

// restart lists the commands that replace the pods of workloads, in order of namespace: the update guide's
// "kubectl rollout restart deployment -n <namespace>" where there are Deployments.
func restart(workloads []Workload) []string {
	var commands []string
	for _, w := range workloads {
		command := w.restart()
		if !slices.Contains(commands, command) {
			commands = append(commands, command)
		}
	}
	return commands
}

// itself is for newest: every revision but this one.
func (p *plane) itself(other *plane) bool { return other.name == p.name }

// noRevision stands for a revision that the user has to choose.
const noRevision = "<revision>"

// newest is the name of the newest live revision that is not of a kind to leave, or a placeholder where there is none.
func (v *view) newest(leaving func(*plane) bool) string {
	name, best := noRevision, Version{}
	for _, other := range v.live() {
		if !leaving(other) && other.version().Compare(best) > 0 {
			name, best = other.name, other.version()
		}
	}
	return name
}

// because says why a revision is live, as a clause that follows its name.
func (p *plane) because() string {
	u := p.users
	switch {
	case p.active && p.istio != "":
		return ", the active revision of Istio " + p.istio
	case u.pods() > 0:
		return ", which " + count(u.pods(), "pod") + " still use" + third(u.pods())
	case len(u.namespaces) > 0:
		return ", which " + plural(u.namespaces, "namespace") + " still ask" + third(len(u.namespaces)) + " for"
	case len(u.gateways) > 0:
		return ", which owns " + some(refNames(u.gateways))
	case len(u.tags) > 0:
		return ", which " + plural(u.tags, "tag") + " still point" + third(len(u.tags)) + " at"
	case u.ztunnel:
		return ", which ZTunnel connects to"
	case u.byDefault:
		return ", which every unlabelled namespace uses"
	}
	return ""
}

// third is the s of a verb whose subject is one thing.
func third(n int) string {
	if n == 1 {
		return "s"
	}
	return ""
}

// plural is the names after their kind, such as "namespaces a, b".
func plural(names []string, kind string) string {
	if len(names) == 1 {
		return kind + " " + names[0]
	}
	return kind + "s " + some(names)
}

func refNames(refs []Ref) []string {
	names := make([]string, 0, len(refs))
	for _, r := range refs {
		names = append(names, r.String())
	}
	return names
}

func sortRefs(refs []Ref) { slices.SortFunc(refs, compareRefs) }

// kubectlName is what kubectl calls a kind on its command line.
func kubectlName(kind Kind) string { return strings.ToLower(string(kind)) }
