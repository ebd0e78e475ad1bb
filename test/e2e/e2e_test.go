//go:build e2e

// Package e2e runs scenarios from outside, against the cluster that KUBECONFIG names with the chart installed, or
// else against a local control plane that it starts itself.
package e2e

import (
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

func TestRevisionBasedWithTag(t *testing.T) {
	if err := scenario.RevisionBasedWithTag(t.Context(), environment(t)); err != nil {
		t.Fatal(err)
	}
}

// environment is where the scenarios run. In a cluster of somebody's own there are no stand-in injectors: pods are
// then routed and not injected.
func environment(t *testing.T) scenario.Env {
	t.Helper()
	out := os.Stdout // as it comes: a scenario takes a while, and prints tables piece by piece
	if path := os.Getenv("KUBECONFIG"); path != "" {
		return scenario.Env{Config: configOf(t, path), Out: out}
	}
	env, err := local.Start(t.Context(), local.Options{Log: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			if log, err := os.ReadFile(env.RouterLog()); err == nil {
				t.Logf("the router's log:\n%s", log)
			}
		}
		if err := env.Close(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return env.Scenario(out)
}

func configOf(t *testing.T, path string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatalf("KUBECONFIG: %v", err)
	}
	return config
}
