package admission

import (
	"testing"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/local"
)

// The same changes where Helm has installed the package of the chart, judged by routers that have the token and the rights
// of its ServiceAccount, which the API server calls by their Service.
func TestChangesWithTheInstalledChart(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	for name, run := range map[string]func(*testing.T, *changes){
		"an InPlace mesh": changesOfAnInPlaceMesh,
		"references":      changesOfReferences,
		"a data plane":    changesWithADataPlane,
		"waypoints":       changesOfWaypoints,
	} {
		t.Run(name, func(t *testing.T) { run(t, newInstalledChanges(t)) })
	}
}

func newInstalledChanges(t *testing.T) *changes {
	t.Helper()
	site, err := local.StartInstallation(t.Context(), nil, sail.CRDs(), inventory.CRDs())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(site.Logs())
		}
		if err := site.Close(); err != nil {
			t.Error(err)
		}
	})
	c := &changes{harness: &harness{t: t, cluster: site.Cluster, config: site.Cluster.Config()}, rollsOut: true}
	c.config.WarningHandler = rest.NoWarnings{}
	c.kube, err = kubernetes.NewForConfig(c.config)
	c.must(err)
	c.dyn, err = dynamic.NewForConfig(c.config)
	c.must(err)
	chart, err := site.Package(t.Context())
	c.must(err)
	_, err = site.Helm(t.Context(), append([]string{
		"install", charts.Name, chart, "--namespace", charts.Name, "--create-namespace", "--wait", "--timeout", "3m",
		"--set", "changes.failurePolicy=Fail",
	}, site.Values()...)...)
	c.must(err)
	c.awaitValidation()
	return c
}
