//go:build kind

// Package e2ekind holds what only a real cluster shows: the router's image as pods on several nodes, installed by Helm, called
// through its Service, and disturbed as clusters are. make e2e-kind runs it.
//
// The steps of TestKind share one cluster and build on each other. KEEP=1 keeps the cluster, and takes the one that was kept.
package e2ekind

import "testing"

func TestKind(t *testing.T) {
	w := newWorld(t)
	for _, step := range []struct {
		name string
		run  func(*testing.T)
		// vital: nothing after it makes sense without it.
		vital bool
	}{
		{"a mesh with control planes that run", w.testMesh, true},
		{"install in guard mode", w.testInstall, true},
		{"three replicas on three nodes", w.testSpread, false},
		{"the namespace enforces Pod Security restricted", w.testPodSecurity, false},
		{"the NetworkPolicy is there", w.testNetworkPolicy, false},
		{"workloads get their sidecars and run", w.testWorkload, false},
		{"memory and CPU", w.testFigures, false},
		{"rolling update under load", w.testRollingUpdate, false},
		{"rotation of the CA under load", w.testRotation, false},
		{"a node is drained under load", w.testDrain, false},
		{"a replica is killed under load", w.testKill, false},
		{"scaled to zero in guard mode", w.testZeroInGuardMode, false},
		{"uninstall and reinstall", w.testReinstall, true},
		{"certificates by cert-manager's objects", w.testCertManager, false},
		{"install in forward mode", w.testInstallForward, true},
		{"injectors behind Services", w.testForward, false},
		{"rolling update in forward mode under load", w.testRollingUpdateForward, false},
		{"scaled to zero in forward mode", w.testZeroInForwardMode, false},
	} {
		if !w.step(t, step.name, step.run) && step.vital {
			t.Fatalf("%q failed, and nothing after it makes sense", step.name)
		}
	}
}
