package skew_test

import (
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// Every kind of owner has a command that replaces its pods, and one that changes what they are made from.
func TestWorkloadsOfEveryKindHaveACommand(t *testing.T) {
	of := func(kind string) skew.Workload {
		w := deployment("data", "kafka", "default", "v1.28.5")
		w.Kind = kind
		return w
	}
	cases := map[string]tc{}
	for kind, command := range map[string]string{
		"Deployment":       "kubectl rollout restart deployment -n data; then retry",
		"StatefulSet":      "kubectl rollout restart statefulset -n data; then retry",
		"Pod":              "kubectl delete pod kafka -n data; then retry",
		"Rollout":          "kubectl argo rollouts restart kafka -n data; then retry",
		"DeploymentConfig": "oc rollout latest dc/kafka -n data; then retry",
		"StrimziPodSet": `kubectl get pods -n data -o jsonpath='{range .items[?(@.metadata.ownerReferences[0].name=="kafka")]}` +
			`{.metadata.name}{"\n"}{end}' | xargs kubectl delete pod -n data; then retry`,
	} {
		cases["a "+kind+" behind"] = tc{
			mesh: proxies("v1.29.6", of(kind)), change: toVersion(istio("v1.29.6", skew.InPlace), "v1.30.3"),
			want: []string{"Deny DataPlaneBehind"}, says: []string{"Restart them first: " + command},
		}
	}
	labelled := of("StrimziPodSet")
	labelled.Revision, labelled.Label = "", "prod"
	mesh := with(tagged(), func(m *skew.Mesh) { m.Namespaces, m.Workloads = nil, []skew.Workload{labelled} })
	cases["a label in the pods of a kind that is not Kubernetes' own"] = tc{
		mesh: mesh, change: remove(skew.Tag{Tag: mesh.Tags[0]}), want: []string{"Deny InUseDelete"},
		says: []string{
			`kubectl patch strimzipodset kafka -n data --type=merge -p '{"spec":{"template":{"metadata":{"labels":{"istio.io/rev":"default-v1-29-6"}}}}}'`,
		},
	}
	run(t, cases)
}
