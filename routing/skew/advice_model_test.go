package skew_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// user carries out what refusals say, on a mesh whose operator and rollouts do at once what a command waits for, and nothing
// before. Every write is judged as the webhook judges it.
type user struct {
	mesh   skew.Mesh
	policy skew.Policy
	// said are the refusals so far, those of commands of a refusal indented.
	said  []string
	depth int
	// file is the manifest of what was refused last.
	file skew.Object
}

// A person gives up where refusals refer to each other for ever.
const (
	mostTries = 8
	mostDeep  = 8
)

// errAccepted: there is no other way, and the refusal says how to accept the risk.
var errAccepted = errors.New("the risk is accepted")

// do makes a change. Where that is refused, it does what the first refusal says, whose own writes may be refused in turn, and
// tries again.
func (u *user) do(c skew.Change) error {
	if u.depth++; u.depth > mostDeep {
		return errors.New("refused too deep")
	}
	defer func() { u.depth-- }()
	for range mostTries {
		c, done := u.again(c)
		if done {
			return nil
		}
		found := slices.DeleteFunc(skew.Check(&u.mesh, c, u.policy), func(f skew.Finding) bool { return f.Level != skew.Deny })
		if len(found) == 0 {
			u.store(c)
			return nil
		}
		u.said = append(u.said, strings.Repeat("  ", u.depth)+found[0].Message)
		u.file = c.New
		for _, step := range found[0].NextSteps {
			switch err := u.line(step); {
			case errors.Is(err, errAccepted):
				return nil
			case err != nil:
				return err
			}
		}
		if !strings.HasSuffix(found[0].Message, "; then retry.") {
			return nil // the commands took its place
		}
	}
	return errors.New("refused too often")
}

// again is the same request for the objects as they are by now; done if there is nothing left to ask for.
func (u *user) again(c skew.Change) (again skew.Change, done bool) {
	if c.Operation == skew.Create {
		return c, false
	}
	now := u.find(c.Old.Ref())
	if now == nil {
		return c, true // deleted, or gone by itself
	}
	if c.Operation == skew.Delete {
		return remove(now), false
	}
	next := c.New
	switch old := now.(type) {
	case skew.Istio:
		n, _ := c.New.(skew.Istio)
		old.Version, old.Strategy = n.Version, n.Strategy
		next = old
	case skew.Revision, skew.CNI:
		next = toVersion(now, c.New.Ref().Version).New
	case skew.ZTunnel:
		n, _ := c.New.(skew.ZTunnel)
		if old.TargetKind, old.TargetName = n.TargetKind, n.TargetName; c.Old.Ref().Version != n.Version {
			old.Version = n.Version
		}
		next = old
	}
	return update(now, next), reflect.DeepEqual(now, next)
}

func (u *user) find(r skew.Ref) skew.Object {
	switch r.Kind {
	case skew.KindIstio:
		return named(u.mesh.Istios, r)
	case skew.KindRevision:
		return named(u.mesh.Revisions, r)
	case skew.KindTag:
		for _, t := range u.mesh.Tags {
			if t.Name == r.Name {
				return skew.Tag{Tag: t}
			}
		}
	case skew.KindCNI:
		if u.mesh.CNI != nil {
			return *u.mesh.CNI
		}
	case skew.KindZTunnel:
		if u.mesh.ZTunnel != nil {
			return *u.mesh.ZTunnel
		}
	case skew.KindGateway:
		return named(u.mesh.Gateways, r)
	case skew.KindNamespace:
		return named(u.mesh.Namespaces, r)
	default:
	}
	return nil // of the other kinds no command is about one
}

func named[T skew.Object](list []T, r skew.Ref) skew.Object {
	if i := slices.IndexFunc(list, is[T](r)); i >= 0 {
		return list[i]
	}
	return nil
}

func is[T skew.Object](r skew.Ref) func(T) bool {
	return func(o T) bool { return o.Ref().Name == r.Name && o.Ref().Namespace == r.Namespace }
}

// put is the list with an object in place of its old self, if it has one.
func put[T skew.Object](list []T, o T) []T { return append(without(list, o), o) }

func without[T skew.Object](list []T, o T) []T {
	return slices.DeleteFunc(slices.Clone(list), is[T](o.Ref()))
}

// store makes an admitted change. What it brings about takes until the next command.
func (u *user) store(c skew.Change) {
	if c.Operation == skew.Delete {
		u.gone(c.Old)
		return
	}
	switch n := c.New.(type) {
	case skew.Istio:
		n.Observed = false
		u.mesh.Istios = put(u.mesh.Istios, n)
	case skew.Revision:
		u.mesh.Revisions = put(u.mesh.Revisions, n)
	case skew.Tag:
		u.mesh.Tags = append(slices.DeleteFunc(slices.Clone(u.mesh.Tags), func(t routing.Tag) bool { return t.Name == n.Name }), n.Tag)
	case skew.CNI:
		u.mesh.CNI = &n
	case skew.ZTunnel:
		u.mesh.ZTunnel = &n
	case skew.Gateway:
		u.mesh.Gateways = put(u.mesh.Gateways, n)
	case skew.Namespace:
		u.mesh.Namespaces = put(u.mesh.Namespaces, n)
	}
}

func (u *user) gone(o skew.Object) {
	switch o := o.(type) {
	case skew.Istio:
		u.mesh.Istios = without(u.mesh.Istios, o)
		u.mesh.Revisions = slices.DeleteFunc(slices.Clone(u.mesh.Revisions), func(r skew.Revision) bool { return r.Istio == o.Name })
	case skew.Revision:
		u.mesh.Revisions = without(u.mesh.Revisions, o)
	case skew.Tag:
		u.mesh.Tags = slices.DeleteFunc(slices.Clone(u.mesh.Tags), func(t routing.Tag) bool { return t.Name == o.Name })
	case skew.CNI:
		u.mesh.CNI = nil
	case skew.ZTunnel:
		u.mesh.ZTunnel = nil
	case skew.Gateway:
		u.mesh.Gateways = without(u.mesh.Gateways, o)
	case skew.Namespace:
		u.mesh.Namespaces = without(u.mesh.Namespaces, o)
	}
}

// repair does what is advised about the mesh as it is, until nothing is left that violates a policy.
func (u *user) repair() error {
	for range 2 * mostTries {
		seen := skew.Examine(&u.mesh, u.policy).Observations
		i := slices.IndexFunc(seen, func(o skew.Observation) bool { return o.Level == skew.Deny })
		if i < 0 {
			return nil
		}
		u.said = append(u.said, string(seen[i].Rule)+": "+seen[i].What+" "+seen[i].Advice+": "+strings.Join(seen[i].Steps, "; "))
		if len(seen[i].Steps) == 0 {
			return errors.New("nothing is advised")
		}
		for _, step := range seen[i].Steps {
			if err := u.line(step); err != nil {
				return err
			}
		}
	}
	return errors.New("still wrong")
}
