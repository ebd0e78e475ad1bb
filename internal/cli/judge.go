package cli

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// answer is what is said about one write.
type answer struct {
	// object is its kind, namespace and name, as in kubectl's own output.
	object    string
	written   *manifest.Object
	operation skew.Operation
	findings  []skew.Finding
}

func (a answer) allowed() bool { return !skew.Denied(a.findings) }

// judge judges writes one after the other.
type judge struct {
	set     *manifest.Set
	mesh    *skew.Mesh
	policy  skew.Policy
	user    string
	delete  bool
	offline bool

	answers []answer
	// notices are worth saying about the input.
	notices []string
	// unruled are the kinds of objects that no rule looks at.
	unruled []string
	// seen are the namespaces that are not in the set and have been noted.
	seen map[string]bool
}

func newJudge(set *manifest.Set, policy skew.Policy, o *checkOptions) *judge {
	j := &judge{
		set: set, mesh: set.SkewMesh(), policy: policy, user: o.user, delete: o.delete, offline: o.source.offline(),
		notices: limited(set.Warnings), seen: map[string]bool{},
	}
	if !j.offline {
		return j
	}
	switch m := j.mesh; {
	case len(m.Istios)+len(m.Revisions)+len(m.Tags) == 0:
		j.notices = append(j.notices, noRevision)
	case policy.ControlPlaneVersion != skew.Declared && declaredOnly(m):
		j.notices = append(j.notices, "no istiod Deployment in the files: taking declared versions as running")
	}
	return j
}

// declaredOnly reports whether nothing tells that any control plane runs, although there is one here. Rules then take
// what is declared for what runs; otherwise a component would have to wait for ever.
func declaredOnly(m *skew.Mesh) bool {
	here := slices.ContainsFunc(m.Istios, func(o skew.Istio) bool { return !o.Remote })
	for _, r := range m.Revisions {
		if r.Origin == routing.Webhook || r.Remote {
			continue
		}
		if r.Istiod.Found || r.Ready != skew.NotObserved {
			return false
		}
		here = true
	}
	return here
}

// judge answers for one object. A write that is admitted counts for the ones after it.
func (j *judge) judge(o *manifest.Object) {
	a := answer{object: objectName(o), written: o, operation: skew.Delete}
	old := j.set.Find(o)
	if !j.delete {
		if old = j.set.Written(o); old != nil {
			a.operation = skew.Update
		} else {
			a.operation = skew.Create
		}
	}
	if inventory.Knows(schema.GroupKind{Group: o.Group, Kind: o.Kind}) {
		a.findings = j.check(o, old)
	} else if !slices.Contains(j.unruled, o.Kind) {
		j.unruled = append(j.unruled, o.Kind)
	}
	j.answers = append(j.answers, a)
	if a.allowed() {
		j.apply(o)
	}
}

// check asks the rules.
func (j *judge) check(o, old *manifest.Object) []skew.Finding {
	change := skew.Change{Operation: skew.Create, User: j.user}
	if old != nil {
		change.Operation, change.Old = skew.Update, old.Skew()
	}
	if j.delete {
		if old == nil {
			j.notices = append(j.notices, objectName(o)+" does not exist: there is nothing to delete")
			return nil
		}
		change.Operation, change.Override = skew.Delete, old.Override()
		return skew.Check(j.mesh, change, j.policy)
	}
	j.noteNamespace(o)
	change.New, change.Override = o.Skew(), o.Override()
	return skew.Check(j.mesh, change, j.policy)
}

func (j *judge) apply(o *manifest.Object) {
	if j.delete {
		j.set.Remove(o)
	} else {
		j.set.Put(*o)
	}
	j.mesh = j.set.SkewMesh()
}

// noteNamespace notes a namespace whose labels nobody knows.
func (j *judge) noteNamespace(o *manifest.Object) {
	if !j.offline || o.Namespace == "" || j.seen[o.Namespace] {
		return
	}
	j.seen[o.Namespace] = true
	if !slices.ContainsFunc(j.mesh.Namespaces, func(n skew.Namespace) bool { return n.Name == o.Namespace }) {
		j.notices = append(j.notices, unknownNamespace(o.Namespace))
	}
}

func objectName(o *manifest.Object) string {
	if o.Namespace == "" {
		return o.Kind + "/" + o.Name
	}
	return o.Kind + "/" + o.Namespace + "/" + o.Name
}
