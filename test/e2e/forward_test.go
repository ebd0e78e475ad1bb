//go:build e2e

package e2e

import (
	"os"
	"testing"
)

const noStandIns = "without --connect-to the router of a cluster reaches no stand-ins for istiods"

// TestForward holds forward mode to its promise on a real API server: a pod has the sidecar that it asked for, once, or it
// is not there.
func TestForward(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip(noStandIns)
	}
	w := newForwardWorld(t)
	t.Run("rows of the truth table", w.testRows)
	t.Run("pod before namespace", w.testPrecedence)
	t.Run("a remote revision", w.testRemote)
	t.Run("a webhook of Istio's in the way", w.testOverlap)
	t.Run("pods while everything changes", w.testStorm)
}
