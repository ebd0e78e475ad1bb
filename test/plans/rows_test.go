package plans

import (
	"testing"
	"time"
)

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
	grace      = time.Second // until the operator deletes a revision that nothing uses
)

// TestPrintedCommands has a row for each strategy, and one with the components of ambient mode.
func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	runRows(t, map[string]row{
		"in place, through a minor": {
			strategy: "InPlace", from: "v1.28.5", to: "v1.30.3", cni: true, labels: byRevision, steps: 6, revision: "default",
		},
		"a second revision": {
			strategy: "RevisionBased", from: "v1.29.6", to: "v1.30.3", cni: true, labels: byRevision, steps: 4, revision: "default-v1-30-3",
		},
		"ambient, in place by a minor": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", ambient: true, labels: byRevision, steps: 4, revision: "default",
		},
	})
}
