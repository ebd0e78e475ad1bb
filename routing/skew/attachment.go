package skew

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// Attachment is an AuthorizationPolicy or an HTTPRoute that names what it is for, in place of selecting pods by their
// labels. Traffic meets it at a waypoint only: sidecars and ZTunnel pass over an AuthorizationPolicy with targetRefs
// (istio, pilot/pkg/model/policyattachment.go and ambient/authorization.go).
type Attachment struct {
	// Kind is [KindAuthorizationPolicy] or [KindHTTPRoute].
	Kind            Kind
	Namespace, Name string
	// Targets are what it names: Services and ServiceEntries of its own namespace; for an AuthorizationPolicy also
	// Gateways of that namespace, and GatewayClasses.
	Targets  []Ref
	Deleting bool
}

// Ref implements [Object].
func (a Attachment) Ref() Ref { return Ref{Kind: a.Kind, Namespace: a.Namespace, Name: a.Name} }

func (a Attachment) beingDeleted() bool { return a.Deleting }
func (a Attachment) spec() Object       { return a }

// waypointClass is the only class whose name an AuthorizationPolicy may have as its target (istio,
// policyattachment.go compares the name, whatever the controller).
const waypointClass = "istio-waypoint"

// bypass is why nothing carries out an attachment for one of its targets.
type bypass struct {
	attachment Attachment
	target     Ref
	// problem is a clause of its own; empty where there is none.
	problem string
	todo    string
	steps   []string
}

// carriers finds for each target the waypoint that carries out what is attached to it.
type carriers struct {
	view       *view
	namespaces map[string]Namespace
	consumers  map[Ref]Consumer
}

func newCarriers(v *view) *carriers {
	c := &carriers{view: v, namespaces: map[string]Namespace{}, consumers: map[Ref]Consumer{}}
	for _, n := range v.mesh.Namespaces {
		c.namespaces[n.Name] = n
	}
	for _, o := range v.mesh.Consumers {
		c.consumers[o.Ref()] = o
	}
	return c
}

// bypass judges one target of an attachment.
func (c *carriers) bypass(a Attachment, target Ref) bypass {
	b := bypass{attachment: a, target: target}
	switch target.Kind { //nolint:exhaustive // an inventory keeps no other targets
	case KindService, KindServiceEntry:
		if a.Kind == KindHTTPRoute && !c.ambient(target.Namespace) {
			return b // sidecars carry out the routes of the Services that they call
		}
		c.served(&b)
	case KindGateway:
		c.gateway(&b)
	case KindGatewayClass:
		c.class(&b)
	}
	return b
}

// ambient reports whether a namespace is ambient and not injected. Its Services may have clients with sidecars as well,
// but no client is sure to have one.
func (c *carriers) ambient(namespace string) bool {
	ns := c.namespaces[namespace]
	return ns.ambient() && ns.wants() == ""
}

// namedBy is who names the waypoint of a Service or ServiceEntry: it does itself, or its namespace.
func (c *carriers) namedBy(target Ref) Consumer {
	if own, ok := c.consumers[target]; ok && own.UseWaypoint.Present {
		return own
	}
	return c.namespaces[target.Namespace].waypoint()
}

// served judges a Service or ServiceEntry.
func (c *carriers) served(b *bypass) {
	by := c.namedBy(b.target)
	who := by.Ref().String()
	switch {
	case !by.UseWaypoint.Present:
		b.problem = b.target.String() + " has no waypoint, because neither it nor its namespace has the label " + LabelUseWaypoint
		c.bind(b)
		return
	case by.UseWaypoint.Is("none"):
		b.problem = who + " opts out of waypoints with " + LabelUseWaypoint + "=none"
		c.bind(b)
		return
	}
	as := by
	as.Kind = b.target.Kind // a namespace takes any waypoint, its Services take one that serves Services
	problem, help := c.view.bindingProblem(as)
	if problem == "" {
		return
	}
	b.problem, b.todo, b.steps = who+" "+strings.TrimSuffix(problem, bypassing), help.todo, help.steps
	switch {
	case help.unlabel:
		c.bind(b)
	case help.use.Name != "":
		b.steps = append(slices.Clone(help.steps), on("label", by.Ref())+" "+useWaypoint(help.use)+" --overwrite")
	}
}

// bind gives the target itself a waypoint that works, or a new one: no other Service is touched by that.
func (c *carriers) bind(b *bypass) {
	own := Consumer{
		Kind: b.target.Kind, Namespace: b.target.Namespace, Name: b.target.Name,
		UseWaypoint: routing.Label{Value: "waypoint", Present: true},
	}
	help := c.view.another(own)
	b.todo = "Give " + b.target.String() + " a waypoint"
	b.steps = append(slices.Clone(help.steps), on("label", b.target)+" "+useWaypoint(help.use)+" --overwrite")
}

// useWaypoint are the labels that name a waypoint; both, so that a label that is left over from before means nothing.
func useWaypoint(waypoint Ref) string {
	return LabelUseWaypoint + "=" + waypoint.Name + " " + LabelUseWaypointNamespace + "=" + waypoint.Namespace
}

// gateway judges a Gateway as a target. One for ingress carries out what is attached to it by itself; a waypoint sees
// only the traffic of those who name it. What a Gateway of another implementation does is not known.
func (c *carriers) gateway(b *bypass) {
	g, ok := c.view.mesh.find(b.target).(Gateway)
	switch {
	case !ok:
		b.problem, b.todo = b.target.String()+" does not exist", "Create it, or name another target"
	case g.Deleting:
		b.problem, b.todo = b.target.String()+" is being deleted", "Name another target"
	case c.view.class(g).Controller == controllerWaypoint && len(c.view.consumersOf(g)) == 0:
		b.problem = "nothing names waypoint " + g.Namespace + "/" + g.Name + " in " + LabelUseWaypoint +
			", so that no traffic goes through it"
		b.todo = "Let those name it whom the policy is for"
		b.steps = []string{on("label", Ref{Kind: KindNamespace, Name: g.Namespace}) + " " + useWaypoint(g.Ref()) + " --overwrite"}
	}
}

// class judges a GatewayClass as a target.
func (c *carriers) class(b *bypass) {
	class := c.view.class(Gateway{Class: b.target.Name})
	switch {
	case b.target.Name == waypointClass:
		return
	case class.Controller == "":
		b.problem = "there is no " + b.target.String()
	case istioController(class.Controller):
		b.problem = b.target.String() + " is not " + waypointClass + ", the only one that waypoints look for"
	default:
		return // another implementation may well look at it
	}
	b.todo = "Name GatewayClass " + waypointClass
}
