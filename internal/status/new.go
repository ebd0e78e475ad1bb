package status

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Input is what a report is made from.
type Input struct {
	// Mesh is what names lead to, Skew what is declared and what runs. Both are of the same cluster.
	Mesh *routing.Mesh
	Skew *skew.Mesh
	Pods []Group
	// Policy is that of the rules.
	Policy skew.Policy
	// Overlaps are the webhooks of Istio's that are in the way of a router that injects.
	Overlaps []sail.Overlap
	// Namespace limits what is told of workloads, Gateways and their problems to one; empty means all. Control planes,
	// tags and components are judged by all that there is all the same.
	Namespace string
}

// New makes the report. It changes nothing of the input.
func New(in Input) *Report {
	b := &builder{
		Input: in, state: skew.Examine(in.Skew, in.Policy), revisions: map[string]skew.Revision{},
		ambient: map[string]bool{}, kinds: map[owner]int{},
		report: &Report{
			APIVersion: APIVersion, Kind: Kind, Mode: in.Mesh.Mode(),
			Problems: []Problem{}, ControlPlanes: []ControlPlane{}, Tags: []Tag{}, Components: []Component{},
			Gateways: []Gateway{}, Workloads: []Count{}, Restarts: []Restart{}, RestartCommands: []string{}, WithoutSidecar: []Asking{},
			Unresolvable: []Asking{},
		},
	}
	for _, r := range in.Skew.Revisions {
		b.revisions[r.Name] = r
	}
	for _, n := range in.Skew.Namespaces {
		b.ambient[n.Name] = n.Labels[skew.LabelDataplaneMode] == "ambient"
	}
	b.decide()
	b.controlPlanes()
	b.components()
	b.gateways()
	b.counts()
	b.pods()
	b.only()
	b.report.RestartCommands = b.restartsNow()
	b.tags()
	b.problems()
	b.summary()
	return b.report
}

// builder makes one report.
type builder struct {
	Input
	state     skew.State
	revisions map[string]skew.Revision
	// ambient are the namespaces whose pods are, unless their own label says otherwise.
	ambient map[string]bool
	// kinds counts the workloads of each kind in each namespace, those outside of the mesh as well.
	kinds map[owner]int
	// decided are the groups with what would become of their pods now.
	decided []decided
	report  *Report
}

// only leaves out what is in other namespaces than the one that is asked for.
func (b *builder) only() {
	if b.Namespace == "" {
		return
	}
	r := b.report
	r.Gateways = slices.DeleteFunc(r.Gateways, func(g Gateway) bool { return g.Namespace != b.Namespace })
	r.Restarts = slices.DeleteFunc(r.Restarts, func(x Restart) bool { return x.Namespace != b.Namespace })
	other := func(a Asking) bool { return a.Namespace != b.Namespace }
	r.WithoutSidecar = slices.DeleteFunc(r.WithoutSidecar, other)
	r.Unresolvable = slices.DeleteFunc(r.Unresolvable, other)
}

// outside reports whether the namespace is not asked for.
func (b *builder) outside(namespace string) bool {
	return b.Namespace != "" && namespace != b.Namespace
}

// decided is a group with the decision about its pods.
type decided struct {
	*Group
	in       routing.Input
	decision routing.Decision
	// role is that of the pods in the mesh, those that are ambient through their namespace as well. Empty outside.
	role skew.Role
}

func (b *builder) decide() {
	var last owner
	for i := range b.Pods {
		g := &b.Pods[i]
		ns, ok := b.Mesh.Namespace(g.Runs.Namespace)
		if !ok {
			ns.Name = g.Runs.Namespace
		}
		in := routing.Input{Mesh: b.Mesh, Namespace: ns, Pod: g.pod()}
		b.decided = append(b.decided, decided{g, in, routing.Decide(in), b.role(g)})
		if at := g.owner(); at != last { // groups of one owner follow each other
			last = at
			b.kinds[owner{at.namespace, at.kind, ""}]++
		}
	}
}

func (b *builder) role(g *Group) skew.Role {
	if g.Runs.Role == "" && b.ambient[g.Runs.Namespace] && g.Dataplane != "none" && !g.Asks.hostNetwork {
		return skew.Ambient
	}
	return g.Runs.Role
}

// proxied reports whether the pods have a proxy of the revision.
func (g *Group) proxied() bool {
	return g.Runs.Role == skew.Sidecar || g.Runs.Role == skew.GatewayProxy || g.Runs.Role == skew.WaypointProxy
}

// injected reports whether an injector gave the pods their proxy, and not istiod that deploys them for a Gateway.
func (g *Group) injected() bool { return g.proxied() && g.Gateway == "" }

// running are the versions that the pods of a rollout run, and how far it is.
func running(declared string, r skew.Rollout) ([]string, Rollout, State) {
	progress := Rollout{Pods: r.Pods, Updated: r.Updated, Ready: r.Ready}
	versions := []string{}
	for _, v := range r.PodVersions {
		versions = append(versions, skew.Parse(v).String())
	}
	if len(versions) == 0 && r.Found && r.Ready > 0 && r.Version != "" {
		versions = append(versions, skew.Parse(r.Version).String())
	}
	slices.SortFunc(versions, func(a, b string) int { return skew.Parse(a).Compare(skew.Parse(b)) })
	switch done := r.Observed && r.Updated >= r.Pods; {
	case !r.Found:
		return versions, progress, Declared
	case len(versions) == 0:
		return versions, progress, NotRunning
	case !done || len(versions) > 1 || skew.Parse(declared).Known() && !same(declared, versions[0]):
		return versions, progress, RollingOut
	}
	return versions, progress, Running
}

// same reports whether two versions are of one release. One that is an alias is the same as every patch of its minor.
func same(a, b string) bool {
	x, y := skew.Parse(a), skew.Parse(b)
	if x.Alias() || y.Alias() {
		return x.Known() && y.Known() && x.MinorsAhead(y) == 0
	}
	return x.SameRelease(y)
}

// summary is made last.
func (b *builder) summary() {
	r := b.report
	s := Summary{Healthy: true, ControlPlanes: len(r.ControlPlanes)}
	for _, p := range r.Problems {
		if p.Severity == Error {
			s.Errors++
		} else {
			s.Warnings++
		}
	}
	s.Healthy = s.Errors == 0
	s.Workloads, s.Pods = b.inMesh()
	s.Restarts = waiting(r.Restarts)
	s.Upgrading = s.Restarts > 0
	for _, c := range r.ControlPlanes {
		s.Upgrading = s.Upgrading || c.State == RollingOut || c.State == Pending
	}
	for _, c := range r.Components {
		s.Upgrading = s.Upgrading || c.State == RollingOut
	}
	r.Summary = s
}

// inMesh counts the data plane.
func (b *builder) inMesh() (workloads, pods int) {
	seen := map[owner]bool{}
	for _, d := range b.decided {
		if d.role != "" && !b.outside(d.Runs.Namespace) {
			seen[d.owner()] = true
			pods += d.Pods
		}
	}
	return len(seen), pods
}

// waiting counts the workloads that have something to restart.
func waiting(restarts []Restart) int {
	list := map[owner]bool{}
	for _, r := range restarts {
		if r.Reason != NoLongerSelected {
			list[owner{r.Namespace, r.Kind, r.Name}] = true
		}
	}
	return len(list)
}

// owner is a workload by its name.
type owner struct{ namespace, kind, name string }

func (o owner) String() string { return o.kind + " " + o.namespace + "/" + o.name }

func compareOwners(a, b owner) int {
	return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.kind, b.kind), cmp.Compare(a.name, b.name))
}

func (g *Group) owner() owner { return owner{g.Runs.Namespace, g.Runs.Kind, g.Runs.Name} }

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}
