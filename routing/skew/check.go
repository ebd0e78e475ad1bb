package skew

import (
	"cmp"
	"slices"
)

// check is one change with the mesh before and after it.
type check struct {
	change        Change
	policy        Policy
	before, after *view
	// oldBreaches and newBreaches are the violating pairs of both, worsened those that the change makes worse.
	oldBreaches, newBreaches breaches
	worsened                 []breach
}

// Check tells which rules the change violates under the policy, in the order of [Rules] and then of the message.
// None means that it is admitted without a word; only findings of level Deny refuse it. The mesh is the cluster
// before the change; what it holds under the name of the changed object gives way to Change.Old.
//
// It is a pure function: equal arguments give equal findings, whatever the order of the mesh's slices.
func Check(m *Mesh, c Change, p Policy) []Finding {
	c = c.completed(m)
	if c.exempt(m) {
		return nil
	}
	k := newCheck(m, c, p)
	var violations []violation
	for _, family := range families() {
		violations = append(violations, family(k)...)
	}
	return k.findings(violations)
}

// families lists the rules by the file that states them.
func families() []func(*check) []violation {
	return []func(*check) []violation{
		inPlaceStep,
		dataPlane,
		squeezed,
		singletons,
		cniAndZTunnel,
		zTunnelDrain,
		unknownVersions,
		tags,
		rollouts,
		names,
		inUse,
		revisionLabels,
		injectionLabels,
		gatewayOwners,
		waypoints,
		attachments,
		aliases,
	}
}

func newCheck(m *Mesh, c Change, p Policy) *check {
	var before, after *Mesh
	switch c.Operation {
	case Create:
		before, after = m.remove(c.New.Ref()), m.put(c.New)
	case Delete:
		before, after = m.put(c.Old), m.remove(c.Old.Ref())
		if n, ok := c.Old.(Namespace); ok {
			after = after.without(n.Name)
		}
	default:
		before, after = m.put(c.Old), m.put(c.New)
	}
	k := &check{change: c, policy: p, before: newView(before, p), after: newView(after, p)}
	if c.Operation == Create {
		k.after.created = c.New.Ref().Kind
	}
	var follower Kind
	if c.Operation == Update && (c.is(KindCNI) || c.is(KindZTunnel)) {
		follower = c.New.Ref().Kind
	}
	if k.newBreaches = k.after.breaches(p, follower); len(k.newBreaches) > 0 {
		k.oldBreaches = k.before.breaches(p, follower)
		k.worsened = k.worse()
	}
	return k
}

// is reports whether the change is about an object of the kind.
func (c Change) is(kind Kind) bool { return c.object().Ref().Kind == kind }

// findings applies the policy.
func (k *check) findings(violations []violation) []Finding {
	var list []Finding
	for _, v := range violations {
		f := Finding{
			Rule: v.rule, Level: k.policy.Level(v.rule), Message: v.message(), Objects: v.objects, NextSteps: v.steps,
		}
		if f.Level == Off {
			continue
		}
		if v.soft {
			f.Level = Warn
		}
		if f.Level == Deny {
			k.excuse(&f)
		}
		list = append(list, f)
	}
	slices.SortStableFunc(list, func(a, b Finding) int {
		_, x := a.Rule.info()
		_, y := b.Rule.info()
		return cmp.Or(cmp.Compare(x, y), cmp.Compare(a.Message, b.Message))
	})
	return list
}

// excuse turns a denial into a warning for an operator, and where the object says that it is meant.
// Everybody else is denied: fail closed.
func (k *check) excuse(f *Finding) {
	switch {
	case k.policy.Excuses(k.change.User):
		f.Level, f.Excused = Warn, true
	case k.change.overrideReason() != "":
		f.Level, f.Overridden = Warn, k.change.overrideReason()
	}
}
