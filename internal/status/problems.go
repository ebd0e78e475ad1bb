package status

import (
	"cmp"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// problems collects what is wrong: what the rules observe, webhooks in the way, then the pods.
func (b *builder) problems() {
	for _, o := range b.state.Observations {
		p := Problem{
			Severity: Warning, Name: string(o.Rule), Message: sentence(o.What), Advice: o.Advice,
			Next: append([]string{}, o.Steps...), Objects: []string{},
		}
		if o.Level == skew.Deny {
			p.Severity = Error
		}
		p.about(o.Objects)
		if len(p.namespaces) > 0 && b.Namespace != "" && !slices.Contains(p.namespaces, b.Namespace) {
			continue
		}
		b.report.Problems = append(b.report.Problems, p)
	}
	b.overlaps()
	b.withoutControlPlane()
	b.unresolvable()
	b.withoutSidecar()
	// What can be seen on pods comes with the rules that explain it, and errors come first.
	slices.SortStableFunc(b.report.Problems, func(x, y Problem) int { return cmp.Compare(x.Severity, y.Severity) })
}

// about names the objects, and the namespaces they are in.
func (p *Problem) about(objects []skew.Ref) {
	for _, ref := range objects {
		if name := ref.String(); !slices.Contains(p.Objects, name) {
			p.Objects = append(p.Objects, name)
		}
		in := ref.Namespace
		if ref.Kind == skew.KindNamespace {
			in = ref.Name
		}
		if in != "" && !slices.Contains(p.namespaces, in) {
			p.namespaces = append(p.namespaces, in)
		}
	}
}

// sentence begins with a capital letter.
func sentence(text string) string {
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// crowd is workloads of one namespace that one thing is wrong with.
type crowd struct {
	namespace, why, next string
	reason               routing.Reason
	list                 []Asking
}

func crowds(all []Asking, key func(Asking) crowd) []*crowd {
	var list []*crowd
	at := map[[4]string]*crowd{}
	for _, a := range all {
		c := key(a)
		k := [4]string{c.namespace, c.why, c.next, string(c.reason)}
		if at[k] == nil {
			at[k] = &c
			list = append(list, &c)
		}
		at[k].list = append(at[k].list, a)
	}
	return list
}

func (c *crowd) pods() (all, with int) {
	for _, a := range c.list {
		all += a.Pods
		with += a.WithSidecar
	}
	return all, with
}

func (c *crowd) owners() []owner {
	list := make([]owner, 0, len(c.list))
	for _, a := range c.list {
		list = append(list, owner{a.Namespace, a.Kind, a.Name})
	}
	return list
}

func (c *crowd) objects() []string {
	names := []string{}
	for _, o := range c.owners() {
		names = append(names, o.String())
	}
	return names
}

// unresolvable tells of pods that nobody could admit again. Where a rule has said it of their namespace, its finding
// is completed instead of said twice.
func (b *builder) unresolvable() {
	for _, c := range crowds(b.report.Unresolvable, func(a Asking) crowd {
		return crowd{namespace: a.Namespace, why: a.Why, next: a.Next, reason: a.Reason}
	}) {
		if p := b.said(c); p != nil {
			p.Severity = Error
			p.Message += " " + effect(c)
			p.Objects = append(p.Objects, c.objects()...)
			continue
		}
		p := Problem{
			Severity: Error, Name: string(c.reason), Objects: c.objects(), Advice: "Then restart them",
			Message: "In namespace " + c.namespace + ", " + c.why + ". " + effect(c), Next: []string{c.next},
			namespaces: []string{c.namespace},
		}
		if c.reason == routing.NoMesh {
			p.Severity = Warning // as the router does by default: labels may come before the mesh
		}
		b.report.Problems = append(b.report.Problems, p)
	}
}

// said returns the problem about the labels of the namespace, which its pods only show.
func (b *builder) said(c *crowd) (found *Problem) {
	for i := range b.report.Problems {
		p := &b.report.Problems[i]
		same := p.Name == string(skew.UnknownRevisionLabel) && c.reason != routing.NoDefaultRevision ||
			p.Name == string(skew.InjectionLabels) && c.reason == routing.NoDefaultRevision
		if same && p.Objects[0] == "Namespace "+c.namespace {
			found = p // of several about its labels, the one about the value comes last
		}
	}
	return found
}

// effect is what it means to the pods.
func effect(c *crowd) string {
	all, with := c.pods()
	text := count(len(c.list), "workload") + " (" + count(all, "pod") + ")"
	switch {
	case with == 0:
		return text + plural(len(c.list), " runs", " run") + " without a sidecar."
	case with == all:
		return text + plural(len(c.list), " has its sidecar", " have their sidecars") + ", and would not be admitted again."
	}
	return text + plural(len(c.list), " is", " are") + " concerned: " + count(with, "pod") +
		" would not be admitted again, the others run without a sidecar."
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// withoutSidecar tells of pods that were created before their labels, or while no injector answered.
func (b *builder) withoutSidecar() {
	for _, c := range crowds(b.report.WithoutSidecar, func(a Asking) crowd {
		return crowd{namespace: a.Namespace, why: a.Why, reason: a.Reason}
	}) {
		all, _ := c.pods()
		b.report.Problems = append(b.report.Problems, Problem{
			Severity: Error, Name: NoSidecar, Objects: c.objects(), Advice: plural(all, "Restart it", "Restart them"),
			Message: count(all, "pod") + " of " + count(len(c.list), "workload") + " in namespace " + c.namespace +
				plural(all, " asks", " ask") + " for a sidecar and" + plural(all, " has", " have") + " none: " + c.why +
				". Either that was not so when " + plural(all, "it was", "they were") + " created, or no injector answered.",
			Next: restartCommands(c.owners(), b.kinds), namespaces: []string{c.namespace},
		})
	}
}

// restartsNow are the fewest commands that do the restarts of the report which can be done now.
func (b *builder) restartsNow() []string {
	var list []owner
	for _, r := range b.report.Restarts {
		if r.Reason != NoLongerSelected && r.Wait == "" && r.Command != "" {
			list = append(list, owner{r.Namespace, r.Kind, r.Name})
		}
	}
	return append([]string{}, restartCommands(list, b.kinds)...)
}
