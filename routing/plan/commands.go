package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// namesPerCommand bounds how many objects one command names: it has to be read before it is run.
const namesPerCommand = 20

// merge is a merge patch of an object without a namespace.
func merge(kind, name, body string) string {
	return "kubectl patch " + kind + " " + name + " --type=merge -p '" + body + "'"
}

func specVersion(version string) string { return `{"spec":{"version":"` + version + `"}}` }

// applyTag creates a tag that follows an Istio.
func applyTag(name, istio string) string {
	return `kubectl create -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"IstioRevisionTag","metadata":{"name":"` + name +
		`"},"spec":{"targetRef":{"kind":"Istio","name":"` + istio + `"}}}'`
}

// connectBody makes ZTunnel connect to a revision, in the way in which it names one now. targetRef came with the Sail
// Operator's 1.30.
func connectBody(z *skew.ZTunnel, to string) string {
	if z.TargetName != "" {
		return `{"spec":{"targetRef":{"kind":"IstioRevision","name":"` + to + `"}}}`
	}
	if to == routing.DefaultRevision {
		return `{"spec":{"values":{"ztunnel":{"revision":null}}}}`
	}
	return `{"spec":{"values":{"ztunnel":{"revision":"` + to + `"}}}}`
}

func drainBody(z *skew.ZTunnel) string {
	strategy, grace := "null", "null"
	if z.OnDelete {
		strategy = `{"type":"OnDelete"}`
	}
	if z.GraceSeconds != 0 {
		grace = strconv.FormatInt(z.GraceSeconds, 10)
	}
	return `{"spec":{"values":{"ztunnel":{"updateStrategy":` + strategy + `,"terminationGracePeriodSeconds":` + grace + `}}}}`
}

// drainNodes is update guide 3.7.2, node by node. A pod has no name before it exists, so that kubectl wait is repeated. In a
// shell of its own, so that a node that stays drained ends it as a failure, and not the shell that it was typed in.
func drainNodes(namespace string) string {
	on := ` -n ` + namespace + ` -l app=ztunnel --field-selector "spec.nodeName=$node"`
	return `(for node in $(kubectl get pods -n ` + namespace + ` -l app=ztunnel -o jsonpath='{.items[*].spec.nodeName}'); do ` +
		`kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data && kubectl delete pod` + on + ` && ` +
		`until kubectl wait pod --for=condition=Ready --timeout=5m` + on + `; do sleep 1; done && kubectl uncordon "$node" || exit 1; done)`
}

// forEach is as few commands as name all objects.
func forEach(verb string, names []string, how string) []string {
	var list []string
	for chunk := range slices.Chunk(names, namesPerCommand) {
		list = append(list, verb+" "+strings.Join(chunk, " ")+" "+how)
	}
	return list
}

// restartable reports whether kubectl rollout restart and kubectl rollout status know the kind.
func restartable(kind string) bool {
	return kind == "Deployment" || kind == "StatefulSet" || kind == "DaemonSet"
}

// restarts replace the pods of workloads, which are in order.
func restarts(workloads []skew.Workload) []string {
	var list []string
	for rest := workloads; len(rest) > 0; {
		w, n := rest[0], 1
		for n < len(rest) && rest[n].Namespace == w.Namespace && rest[n].Kind == w.Kind {
			n++
		}
		group := rest[:n]
		rest = rest[n:]
		if restartable(w.Kind) {
			names := make([]string, n)
			for i := range group {
				names[i] = group[i].Name
			}
			list = append(list, forEach("kubectl rollout restart "+strings.ToLower(w.Kind)+" -n "+w.Namespace, names, "")...)
			continue
		}
		for _, one := range group {
			list = append(list, replacing(one))
		}
	}
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// replacing is for what has no pods that kubectl could replace.
func replacing(w skew.Workload) string {
	switch w.Kind {
	case "Rollout":
		return "kubectl argo rollouts restart " + w.Name + " -n " + w.Namespace
	case "DeploymentConfig":
		return "oc rollout latest dc/" + w.Name + " -n " + w.Namespace
	case "Job":
		return "kubectl wait --for=condition=Complete job/" + w.Name + " -n " + w.Namespace + " --timeout=24h"
	case "Pod":
		return "# create Pod " + w.Namespace + "/" + w.Name + " anew: no controller does"
	}
	return "# replace the pods of " + w.Kind + " " + w.Namespace + "/" + w.Name
}

// templates set the label in the pod templates of workloads.
func templates(workloads []skew.Workload, to string) []string {
	var list []string
	for _, w := range workloads {
		if w.Kind == "Job" || w.Kind == "Pod" {
			list = append(list, "# create "+w.Kind+" "+w.Namespace+"/"+w.Name+" anew with the label "+routing.LabelRevision+"="+to)
			continue
		}
		list = append(list, "kubectl patch "+strings.ToLower(w.Kind)+" "+w.Name+" -n "+w.Namespace+
			fmt.Sprintf(` --type=merge -p '{"spec":{"template":{"metadata":{"labels":{%q:%q}}}}}'`, routing.LabelRevision, to))
	}
	return list
}

// rolledOut waits for the workloads that kubectl can wait for.
func rolledOut(workloads []skew.Workload) []string {
	var list []string
	for _, w := range workloads {
		if restartable(w.Kind) {
			list = append(list, "kubectl rollout status "+strings.ToLower(w.Kind)+"/"+w.Name+" -n "+w.Namespace+" --timeout=15m")
		}
	}
	return list
}
