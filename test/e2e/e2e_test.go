//go:build e2e

// Package e2e runs scenarios from outside, against the cluster that KUBECONFIG names with the chart installed, or
// else against a local control plane that it starts itself.
package e2e

import (
	"os"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/test/forward"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/scenario"
)

func TestRevisionBasedWithTag(t *testing.T) {
	if err := scenario.RevisionBasedWithTag(t.Context(), environment(t)); err != nil {
		t.Fatal(err)
	}
}

func TestGradualRollout(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip(noStandIns)
	}
	mesh, err := forward.Start(scenario.ForwardRevisions()...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Close(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	values, err := mesh.HelmValues()
	if err != nil {
		t.Fatal(err)
	}
	env := start(t, local.Options{Log: os.Stdout, Values: values})
	if err := mesh.Connect(env.Cluster.Config()); err != nil {
		t.Fatal(err)
	}
	err = scenario.GradualRollout(t.Context(), scenario.ForwardEnv{Env: env.Scenario(os.Stdout), Mesh: mesh, Router: env.Run})
	if err != nil {
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
	return start(t, local.Options{Log: out}).Scenario(out)
}

// start starts a local control plane with the router.
func start(t *testing.T, o local.Options) *local.Environment {
	t.Helper()
	env, err := local.Start(t.Context(), o)
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
	return env
}

func configOf(t *testing.T, path string) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		t.Fatalf("KUBECONFIG: %v", err)
	}
	return config
}
