package skew

import (
	"cmp"
	"maps"
	"slices"
	"strconv"

	"github.com/revision-router/revision-router/routing"
)

// users is who refers to a control plane or to a tag. The condition InUse of Sail is not asked: it counts failed
// pods and tags that nobody uses, and misses Gateways, ambient pods and ZTunnel (pkg/revision/references.go, sail#2100).
type users struct {
	namespaces, tags []string
	gateways         []Ref
	// workloads are pods that run with the revision, or whose own label names it.
	workloads []Workload
	ztunnel   bool
	// byDefault: enableNamespacesByDefault sends every unlabelled namespace there.
	byDefault bool
}

func (u users) any() bool {
	return len(u.namespaces)+len(u.tags)+len(u.gateways)+len(u.workloads) > 0 || u.ztunnel || u.byDefault
}

// pods counts the pods of the workloads.
func (u users) pods() int {
	n := 0
	for _, w := range u.workloads {
		n += w.Pods
	}
	return n
}

// list names all users, those that a user has to act on first before the rest.
func (u users) list() []string {
	u = u.sorted()
	var names []string
	for _, n := range u.namespaces {
		names = append(names, "namespace "+n)
	}
	for _, t := range u.tags {
		names = append(names, "tag "+t)
	}
	for _, g := range u.gateways {
		names = append(names, g.String())
	}
	if u.ztunnel {
		names = append(names, "ZTunnel default")
	}
	if u.byDefault {
		names = append(names, "every namespace (enableNamespacesByDefault)")
	}
	for _, w := range u.workloads {
		names = append(names, w.String())
	}
	return names
}

func (u users) refs() []Ref {
	u = u.sorted()
	var refs []Ref
	for _, n := range u.namespaces {
		refs = append(refs, Ref{Kind: KindNamespace, Name: n})
	}
	for _, t := range u.tags {
		refs = append(refs, Ref{Kind: KindTag, Name: t})
	}
	refs = append(refs, u.gateways...)
	if u.ztunnel {
		refs = append(refs, Ref{Kind: KindZTunnel, Name: "default"})
	}
	for _, w := range u.workloads {
		refs = append(refs, w.ref())
	}
	return refs
}

// String is how messages write a workload, such as "Deployment bookinfo/reviews-v1 (2 pods)".
func (w Workload) String() string {
	return w.ref().String() + " (" + count(w.Pods, "pod") + ")"
}

func (w Workload) ref() Ref {
	return Ref{Kind: Kind(w.Kind), Namespace: w.Namespace, Name: w.Name, Version: w.Version}
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

// addUsers finds who refers to every plane: what names it in istio.io/rev, directly or through a tag, the tags that
// point at it, ZTunnel, and the pods that run with it.
func (v *view) addUsers() {
	v.wanted = v.wishes()
	ztunnel := v.ztunnelTargets()
	for _, p := range v.planes {
		for _, w := range v.mesh.Workloads {
			if w.Revision == p.name {
				p.users.workloads = append(p.users.workloads, w)
			}
		}
		p.users.ztunnel = slices.Contains(ztunnel, p.name)
		for _, t := range v.mesh.Tags {
			if !t.Deleting && (p.shares(t) || slices.Contains(v.tagTargets(t), p.name)) {
				p.users.tags = append(p.users.tags, t.Name)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(v.wanted)) {
		for _, target := range v.targets(name) {
			if p := v.plane(target); p != nil {
				p.users.add(v.wanted[name], target)
			}
		}
	}
}

// wishes collects who asks for which name: "default", a revision or a tag.
func (v *view) wishes() map[string]*users {
	wanted := map[string]*users{}
	of := func(name string) *users {
		if wanted[name] == nil {
			wanted[name] = &users{}
		}
		return wanted[name]
	}
	for _, n := range v.mesh.Namespaces {
		if name := n.wants(); name != "" && !n.Deleting {
			of(name).namespaces = append(of(name).namespaces, n.Name)
		}
	}
	for _, w := range v.mesh.Workloads {
		ns, _ := v.routing.Namespace(w.Namespace)
		if w.Label != "" && !ns.Injection.Present && !ns.Revision.Present {
			of(w.Label).workloads = append(of(w.Label).workloads, w)
		}
	}
	for _, g := range v.mesh.Gateways {
		if v.owned(g) && !g.Deleting {
			name := v.owner(g).Wanted
			of(name).gateways = append(of(name).gateways, g.Ref())
		}
	}
	if r := v.routing.Resolve(routing.DefaultRevision).Revision; r != nil && r.Injection.EnableNamespacesByDefault {
		of(routing.DefaultRevision).byDefault = true
	}
	return wanted
}

// wants is the name that the namespace asks for; empty where it asks for none (package routing, selectRevision).
func (n Namespace) wants() string {
	labels := n.routing()
	switch {
	case labels.Injection.Is("enabled"):
		return routing.DefaultRevision
	case labels.Injection.Present:
		return ""
	}
	return labels.Revision.Value
}

// targets are the planes that a value of istio.io/rev leads to: of a tag, those of both its status and its spec.
func (v *view) targets(name string) []string {
	found := v.routing.Resolve(name)
	if found.Tag != nil {
		return v.tagTargets(*found.Tag)
	}
	if found.Revision != nil {
		return []string{found.Revision.Name}
	}
	return nil
}

// ztunnelTargets are the planes that ZTunnel connects to. Without targetRef and revision it is the default
// revision's Service istiod, which a revision tag does not provide (ztunnel chart, XDS_ADDRESS).
func (v *view) ztunnelTargets() []string {
	z := v.mesh.ZTunnel
	switch {
	case z == nil || z.Deleting:
		return nil
	case z.TargetName != "":
		return v.refTargets(z.TargetKind, z.TargetName)
	case z.Revision != "":
		return []string{z.Revision}
	}
	return []string{routing.DefaultRevision}
}

// add merges the users of a name into those of the plane that it leads to. Pods that run with the plane are there
// already.
func (u *users) add(more *users, planeName string) {
	u.namespaces = append(u.namespaces, more.namespaces...)
	u.gateways = append(u.gateways, more.gateways...)
	u.byDefault = u.byDefault || more.byDefault
	for _, w := range more.workloads {
		if w.Revision != planeName {
			u.workloads = append(u.workloads, w)
		}
	}
}

// sorted is the same users in a fixed order. It is asked for only where a finding names them: most changes find
// nothing, and a mesh has many workloads.
func (u users) sorted() users {
	u.namespaces, u.tags = slices.Sorted(slices.Values(u.namespaces)), slices.Sorted(slices.Values(u.tags))
	u.gateways = slices.SortedFunc(slices.Values(u.gateways), compareRefs)
	u.workloads = slices.SortedFunc(slices.Values(u.workloads), func(a, b Workload) int {
		return cmp.Or(compareRefs(a.ref(), b.ref()), cmp.Compare(a.Revision, b.Revision))
	})
	return u
}

func compareRefs(a, b Ref) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}
