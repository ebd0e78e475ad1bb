//go:build plans

package plans

import "testing"

const injection = "istio-injection=enabled"

// TestPlansOfTheUpdateGuide has a row for every procedure of the update guide that changes a mesh. The others have no plan:
// 2.2.2, 2.3.2 and 2.3.4 install a mesh, which is what each row begins with; 3.4 and 3.5 look at traffic, which no stand-in
// has; and an alias such as v1.30-latest (1.2) moves with the operator itself, which no plan updates.
func TestPlansOfTheUpdateGuide(t *testing.T) {
	t.Parallel()
	runRows(t, map[string]row{
		"2.2.1: the strategy InPlace is selected": {
			strategy: "RevisionBased", from: "v1.24.4", to: "v1.24.4", cni: true, labels: byRevision, args: []string{"--strategy", "InPlace"},
			steps: 3, revision: "default",
		},
		"2.2.3 and 4.1.1: in place by a patch, with IstioCNI": {
			strategy: "InPlace", from: "v1.24.3", to: "v1.24.4", cni: true, labels: injection, steps: 3, revision: "default", undo: true,
		},
		"2.2.3: in place by a minor": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", labels: byRevision, steps: 2, revision: "default", stray: true,
		},
		"2.3.1: the strategy RevisionBased is selected": {
			strategy: "InPlace", from: "v1.24.4", to: "v1.24.4", cni: true, labels: byRevision, args: []string{"--strategy", "RevisionBased"},
			steps: 3, revision: "default-v1-24-4",
		},
		"2.3.3: a second revision and new labels": {
			strategy: "RevisionBased", from: "v1.24.3", to: "v1.24.4", cni: true, labels: byRevision, steps: 4,
			revision: "default-v1-24-4", undo: true,
		},
		"2.3.3: a second revision and new labels of the pods": {
			strategy: "RevisionBased", from: "v1.29.6", to: "v1.30.3", cni: true, pods: byRevision, steps: 3, revision: "default-v1-30-3",
			stray: true,
		},
		"2.3.5: a second revision and a tag that follows": {
			strategy: "RevisionBased", from: "v1.24.3", to: "v1.24.4", cni: true, labels: injection,
			objects: []string{tag("default", "Istio", "default")}, steps: 3, revision: "default-v1-24-4", stray: true,
		},
		"3.1 and 3.2: ambient in place, with a waypoint, also of another namespace (3.6)": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", ambient: true, gateways: []string{waypoint("shop", ""), ingress("")},
			steps: 3, revision: "default", undo: true,
		},
		"3.3: ambient with a second revision, and waypoints that name theirs": {
			strategy: "RevisionBased", from: "v1.29.6", to: "v1.30.3", ambient: true,
			gateways: []string{waypoint("shop", "REV"), ingress("REV")}, steps: 5, revision: "default-v1-30-3", undo: true,
		},
		"3.7.1: a grace period for ZTunnel": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", ambient: true, labels: injection, args: []string{"--drain", "grace"},
			steps: 5, revision: "default", undo: true,
		},
		"3.7.2: ZTunnel node by node": {
			strategy: "InPlace", from: "v1.29.6", to: "v1.30.3", ambient: true, labels: injection, args: []string{"--drain", "ondelete"},
			steps: 6, revision: "default", undo: true,
		},
		"4.1.1: IstioCNI after everything else": {
			strategy: "InPlace", from: "v1.28.5", to: "v1.29.6", cni: true, labels: injection, steps: 1, revision: "default", undo: true,
			prepare: updateInPlace + restartAll,
		},
	})
}

// updateInPlace brings the control plane to 1.29 and waits for it; restartAll has the workloads follow.
const (
	updateInPlace = `kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.29.6"}}'
kubectl wait --for=jsonpath='{.metadata.labels.app\.kubernetes\.io/version}'=1.29.6 deployment/istiod -n istio-system --timeout=10m
kubectl rollout status deployment/istiod -n istio-system --timeout=10m
`
	restartAll = `for namespace in bookinfo more; do kubectl rollout restart deployment -n $namespace; done
kubectl rollout restart statefulset/db -n bookinfo
for workload in bookinfo/deployment/reviews bookinfo/deployment/details bookinfo/statefulset/db more/deployment/reviews more/deployment/details; do
kubectl rollout status "${workload#*/}" -n "${workload%%/*}" --timeout=10m; done
`
)
