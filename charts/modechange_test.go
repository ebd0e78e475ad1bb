package charts_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/test/cluster"
)

// The commands of docs/operations.md, with both ways in which Helm writes objects.
func TestTheModeIsChangedByAnUpgrade(t *testing.T) {
	c := cluster.Shared(t)
	for name, how := range map[string]string{"with server-side apply": "--server-side=true", "with three-way merge patch": "--server-side=false"} {
		t.Run(name, func(t *testing.T) {
			l := life{t: t, chart: unpack(t), kubeconfig: c.Kubeconfig(), how: how, server: connect(t, c.Config())}
			l.server.createNamespace(t, home)
			l.server.createNamespace(t, "istio-system")
			l.mustHelm("install", "revision-router", l.chart, "--namespace", home, how, "--set", "log.level=debug")
			l.writeCABundles()
			upgrade := func(mode string) {
				l.mustHelm("upgrade", "revision-router", l.chart, "--namespace", home, how, "--reuse-values", "--set", "mode="+mode)
			}
			guard := map[string]string{namespaceInjection: "Ignore", namespaceRevision: "Ignore", podRevision: "Ignore", podInjection: "Ignore"}
			forward := map[string]string{namespaceDisabled: "Ignore"}
			for entry := range guard {
				forward[entry], forward[entry+unasked] = "Fail", "Ignore"
			}
			l.checkMode("guard", guard)
			upgrade("forward")
			l.checkMode("forward", forward)
			upgrade("guard")
			l.checkMode("guard", guard)
			l.mustHelm("uninstall", "revision-router", "--namespace", home)
		})
	}
}

// checkMode compares what the API server has: the flag, the policies, and that entries that go on being called can be.
func (l life) checkMode(mode string, policies map[string]string) {
	l.t.Helper()
	deployment, err := l.server.AppsV1().Deployments(home).Get(l.t.Context(), "revision-router", metav1.GetOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	args := deployment.Spec.Template.Spec.Containers[0].Args
	if !slices.Contains(args, "--mode="+mode) || !slices.Contains(args, "--log-level=debug") {
		l.t.Errorf("in mode %s the router is started with %v", mode, args)
	}
	mutating, _ := l.configurations()
	got := map[string]string{}
	for _, w := range mutating.Webhooks {
		entry := entries([]string{w.Name})[0]
		got[entry] = string(*w.FailurePolicy)
		if injects(w) && len(w.ClientConfig.CABundle) == 0 {
			l.t.Errorf("in mode %s entry %s has lost its CA bundle, so that the API server cannot call it", mode, entry)
		}
	}
	if diff := cmp.Diff(policies, got); diff != "" {
		l.t.Errorf("in mode %s the entries fail (-want +got):\n%s", mode, diff)
	}
}
