package status

import "github.com/revision-router/revision-router/internal/sail"

// overlaps tells of webhooks of Istio's in the way of a router that injects, in the words of the router itself. They
// concern the mesh as a whole, so that no namespace hides them.
func (b *builder) overlaps() {
	for _, o := range b.Overlaps {
		r := o.Remedy(b.Mesh)
		p := Problem{
			Severity: Error, Name: InjectorOverlap, Message: sentence(o.String()) + " injects " + sail.OverlapHarm + ".",
			Advice: sentence(r.Advice), Next: []string{}, Objects: []string{"MutatingWebhookConfiguration " + o.Configuration},
		}
		switch {
		case r.Command != "":
			p.Advice = "Let the operator manage the webhooks; where this one stays after that, the second command shows whose it is"
			p.Next = append(p.Next, r.Command, r.Show)
		case r.Show != "":
			p.Advice, p.Next = "See whose it is", append(p.Next, r.Show)
		}
		b.report.Problems = append(b.report.Problems, p)
	}
}
