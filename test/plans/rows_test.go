//go:build plans

package guide

import "time"

// row is a mesh and what a plan has to make of it. In its texts REV stands for the revision that the mesh begins with.
type row struct {
	strategy, from, to string
	// ambient: IstioCNI, ZTunnel, a namespace without sidecars and a waypoint in it; cni: IstioCNI alone.
	ambient, cni bool
	// labels of the namespaces bookinfo and more, whose pods get sidecars; of none where it is empty.
	labels string
	// pods are labels of the pods in the namespace plain, which has no label.
	pods string
	// objects come before the namespaces, gateways after them.
	objects, gateways []string
	args              []string
	// steps is the length of the plan, revision the one that it ends with.
	steps    int
	revision string
	// stray: each step is left alone once its command has run, and a new plan has to wait for what is under way.
	stray bool
	// undo: each step is taken back, and done again.
	undo bool
	// prepare makes the mesh something else before the plan.
	prepare string
}

const (
	byRevision = "istio.io/rev=REV"
	injection  = "istio-injection=enabled"
	grace      = time.Second // until the operator deletes a revision that nothing uses
)

// guideRows are procedures of the update guide.
func guideRows() map[string]row {
	return map[string]row{
		"2.2.3 and 4.1.1: in place by a patch, with IstioCNI": {
			strategy: "InPlace", from: "v1.24.3", to: "v1.24.4", cni: true, labels: injection, steps: 3, revision: "default", undo: true,
		},
		"2.2.3: in place by a minor": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", labels: byRevision, steps: 2, revision: "default", stray: true,
		},
		"2.3.3: a second revision and new labels": {
			strategy: "RevisionBased", from: "v1.24.3", to: "v1.24.4", cni: true, labels: byRevision, steps: 4,
			revision: "default-v1-24-4", undo: true,
		},
		"2.3.5: a second revision and a tag that follows": {
			strategy: "RevisionBased", from: "v1.24.3", to: "v1.24.4", cni: true, labels: injection,
			objects: []string{tag("default", "Istio", "default")}, steps: 3, revision: "default-v1-24-4", stray: true,
		},
		"3.3: ambient with a second revision, and waypoints that name theirs": {
			strategy: "RevisionBased", from: "v1.29.6", to: "v1.30.3", ambient: true,
			gateways: []string{waypoint("shop", "REV"), ingress("REV")}, steps: 5, revision: "default-v1-30-3", undo: true,
		},
		"3.7.2: ZTunnel node by node": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", ambient: true, labels: injection, args: []string{"--drain", "ondelete"},
			steps: 6, revision: "default", undo: true,
		},
	}
}
