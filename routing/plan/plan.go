package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Drain is what becomes of connections through ZTunnel when its pods are replaced (update guide 3.7).
type Drain string

// The choices. The empty one leaves the ZTunnel as it is configured.
const (
	// DrainGrace gives connections time to end: a long terminationGracePeriodSeconds.
	DrainGrace Drain = "grace"
	// DrainOnDelete has a person empty the nodes one by one: updateStrategy OnDelete.
	DrainOnDelete Drain = "ondelete"
)

// Request is what a plan is asked for.
type Request struct {
	// Mesh is the mesh as it is. It is not changed.
	Mesh   *skew.Mesh
	Policy skew.Policy
	// To is the spec.version that the Istio is to have.
	To string
	// Istio names the Istio; it may be empty where there is only one.
	Istio string
	// Strategy is the update strategy to use; empty means the one that the Istio has.
	Strategy skew.Strategy
	// Tag is the revision tag that namespaces are to name in place of revisions. Empty: what names a revision goes on
	// to name one.
	Tag   string
	Drain Drain
	// Available are the versions that the operator offers; none means that they are not known.
	Available []string
}

// Plan is the answer.
type Plan struct {
	Istio    string
	From, To string
	Strategy skew.Strategy
	// Possible: the steps lead to the version. There are none where the mesh is there already.
	Possible bool
	// Reason says why there is no plan, Advice what would help; both are empty where there is one.
	Reason string
	Advice []string
	// Before are commands that wait for what is under way when the plan begins.
	Before []string
	Steps  []Step
	// Assumptions are what the plan takes for granted, because the mesh does not tell.
	Assumptions []string
	// Warnings are about what is wrong before the first step and would be after the last one: policies and routes that
	// no waypoint carries out, which the guide has people look at only once the waypoints are updated.
	Warnings []string
}

// Step is one thing that a person does.
type Step struct {
	// Order counts from 1.
	Order int
	// Object is what is changed, From and To what about it.
	Object, From, To string
	// Why says what the step is good for.
	Why string
	// Commands make the change, WaitFor end when its effects are there, Undo takes it back while no later step has been
	// done. What replaced pods, or cost the last user of a revision, which the operator then deletes, is taken back as far
	// as to before the Istio's last step, with commands that wait in between. Every entry is a line for a shell; one that
	// begins with # is for a person.
	Commands, WaitFor, Undo []string
	// Warnings are what the rules say about the step without refusing it.
	Warnings []string
	// Writes are the changes that the validating webhooks will be asked about, in order.
	Writes []skew.Change
}

// New plans. The error is about a request that makes no sense for the mesh, such as an Istio that does not exist; that
// there is no way is an answer.
func New(r Request) (*Plan, error) {
	s, err := newSim(r)
	if err != nil {
		return nil, err
	}
	p := s.plan()
	p.Warnings = bypassed(r)
	if p.Possible || s.strategy == skew.RevisionBased || r.Strategy != "" {
		return p, nil
	}
	r.Strategy = skew.RevisionBased
	other, err := newSim(r)
	if err != nil {
		return p, nil //nolint:nilerr // the request made sense: there is just nothing more to advise
	}
	if found := other.plan(); found.Possible {
		p.Advice = append(p.Advice, fmt.Sprintf("With the strategy RevisionBased there is a plan of %s: --strategy RevisionBased",
			count(len(found.Steps), "step")))
	}
	return p, nil
}

// bypassed is what traffic bypasses in the mesh as it is, each in the words of the rule.
func bypassed(r Request) []string {
	var list []string
	for _, o := range skew.Examine(r.Mesh, r.Policy).Observations {
		if o.Rule != skew.WaypointPolicy {
			continue
		}
		text := string(o.Rule) + ": " + o.What
		if o.Advice != "" {
			text += " " + strings.Join(append([]string{o.Advice}, o.Steps...)[:1+min(1, len(o.Steps))], ": ") + "."
		}
		list = append(list, text)
	}
	return list
}

// newSim checks the request and prepares the search.
func newSim(r Request) (*sim, error) {
	to, err := wantedVersion(r)
	if err != nil {
		return nil, err
	}
	istio, err := findIstio(r)
	if err != nil {
		return nil, err
	}
	if !routing.ValidLabelValue(r.Tag) {
		return nil, fmt.Errorf("%q cannot be the name of a revision tag: it has to be a valid label value", r.Tag)
	}
	s := &sim{request: r, to: to, istio: istio.Name, strategy: r.Strategy, from: istio.Version}
	if s.strategy == "" {
		if s.strategy = istio.Strategy; s.strategy != skew.RevisionBased {
			s.strategy = skew.InPlace
		}
	}
	for _, t := range r.Mesh.Tags {
		if t.Name == r.Tag && t.Origin == routing.Webhook {
			return nil, fmt.Errorf("the tag %s is none of the Sail Operator's: it was made with istioctl", t.Name)
		}
	}
	s.compact()
	s.versions()
	return s, nil
}

func wantedVersion(r Request) (string, error) {
	v := skew.Parse(r.To)
	text := v.String()
	switch {
	case !v.Known():
		return "", fmt.Errorf("%q is no version whose skew can be judged: name one such as v1.30.3 or v1.30-latest", r.To)
	case text == v.Minor():
		return "", fmt.Errorf("%q names no patch: name a version such as %s.3 or %s-latest", r.To, text, text)
	case len(r.Available) > 0 && !slices.Contains(r.Available, text):
		return "", fmt.Errorf("the operator does not offer %s; it offers %s", text, strings.Join(r.Available, ", "))
	}
	return text, nil
}

func findIstio(r Request) (skew.Istio, error) {
	var names []string
	var found skew.Istio
	for _, o := range r.Mesh.Istios {
		if o.Deleting || r.Istio != "" && o.Name != r.Istio {
			continue
		}
		found = o
		names = append(names, o.Name)
	}
	switch {
	case len(names) == 0 && r.Istio != "":
		return found, fmt.Errorf("there is no Istio named %s: kubectl get istio shows those that there are", r.Istio)
	case len(names) == 0:
		return found, fmt.Errorf("there is no Istio of the Sail Operator to bring to %s: install one first", r.To)
	case len(names) > 1:
		slices.Sort(names)
		return found, fmt.Errorf("there are several Istios: name one of %s", strings.Join(names, ", "))
	case found.Remote:
		return found, fmt.Errorf("the control plane of Istio %s runs in another cluster: plan it there", found.Name)
	}
	return found, nil
}
