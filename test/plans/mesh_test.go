package plans

import (
	"fmt"
	"strings"
)

// The manifests are JSON in one line, as YAML also is.

func tag(name, kind, target string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"IstioRevisionTag","metadata":{"name":%q},"spec":{"targetRef":{"kind":%q,"name":%q}}}`,
		name, kind, target)
}

// istio has two replicas, as the guide advises (2.2): with one, nodes could not be drained, because of its budget.
func istio(strategy, version, profile string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":"Istio","metadata":{"name":"default"},"spec":{"namespace":"istio-system","version":%q,"profile":%q,`+
		`"values":{"pilot":{"replicaCount":2}},"updateStrategy":{"type":%q,"inactiveRevisionDeletionGracePeriodSeconds":%d}}}`, version, profile, strategy, int(grace.Seconds()))
}

func component(kind, namespace, version, more string) string {
	return fmt.Sprintf(`{"apiVersion":"sailoperator.io/v1","kind":%q,"metadata":{"name":"default"},"spec":{"namespace":%q,"version":%q%s}}`,
		kind, namespace, version, more)
}

// create makes the mesh of a row with its workloads, and waits until everything runs.
func (w *world) create(r row) {
	w.t.Helper()
	revision, profile := "default", "default"
	if r.strategy == "RevisionBased" {
		revision += "-" + strings.ReplaceAll(r.from, ".", "-")
	}
	if r.ambient {
		profile = "ambient"
	}
	fill := func(text string) string { return strings.ReplaceAll(text, "REV", revision) }
	apply := func(manifests ...string) {
		for _, m := range manifests {
			w.bash("kubectl create -f - <<< '" + fill(m) + "'")
		}
	}
	apply(istio(r.strategy, r.from, profile))
	ready := "istiorevision/" + revision
	if r.cni || r.ambient {
		apply(component("IstioCNI", "istio-cni", r.from, fmt.Sprintf(`,"profile":%q`, profile)))
		ready += " istiocni/default"
	}
	if r.ambient {
		apply(component("ZTunnel", "ztunnel", r.from, `,"targetRef":{"kind":"Istio","name":"default"}`))
		ready += " ztunnel/default"
	}
	w.bash("kubectl wait --for=create " + ready + " --timeout=10m; kubectl wait --for=condition=Ready " + ready + " --timeout=10m")
	if strings.Contains(strings.Join(r.objects, ""), `"other-system"`) {
		w.bash("kubectl create namespace other-system")
	}
	for _, o := range r.objects {
		apply(o)
	}
	if r.labels != "" {
		for _, name := range []string{"bookinfo", "more"} {
			w.bash("kubectl create namespace " + name)
			w.deployInjected(name, fill(r.labels), "")
		}
	}
	if r.pods != "" {
		w.bash("kubectl create namespace plain")
		w.deployInjected("plain", "", fill(r.pods))
	}
	if r.ambient {
		// Two namespaces whose traffic goes through the waypoint of the first one.
		for _, name := range []string{"shop", "store"} {
			w.bash("kubectl create namespace " + name)
			w.bash("kubectl label namespace " + name + " istio.io/dataplane-mode=ambient")
			w.bash("kubectl create deployment cart -n " + name + " --image=app:1")
		}
	}
	w.gateways(r, fill)
	if r.prepare != "" {
		w.bash(r.prepare)
	}
}

func (w *world) gateways(r row, fill func(string) string) {
	w.t.Helper()
	for _, g := range r.gateways {
		if strings.Contains(g, `"edge"`) {
			w.bash("kubectl create namespace edge")
		}
		w.bash("kubectl create -f - <<< '" + fill(g) + "'")
		if strings.Contains(g, "waypoint") {
			w.bash(`kubectl label namespace shop istio.io/use-waypoint=waypoint
kubectl label namespace store istio.io/use-waypoint=waypoint istio.io/use-waypoint-namespace=shop`)
		}
	}
	if len(r.gateways) > 0 {
		w.bash("kubectl wait --for=condition=Programmed gateways --all -A --timeout=10m")
	}
	w.bash("kubectl wait --for=condition=Available deployments --all -A --timeout=10m")
}

// deployInjected runs two workloads in a namespace once the API server has their pods injected, and in bookinfo a
// StatefulSet.
func (w *world) deployInjected(namespace, labels, pods string) {
	w.t.Helper()
	if labels != "" {
		w.bash("kubectl label namespace " + namespace + " " + labels)
	}
	asks := ""
	if pods != "" {
		asks = " --labels=" + pods
	}
	w.until("kubectl run probe -n "+namespace+" --image=app:1"+asks+" --dry-run=server -o yaml", "name: istio-proxy")
	key, value, _ := strings.Cut(pods, "=")
	extra := ""
	if pods != "" {
		extra = fmt.Sprintf(`,%q:%q`, key, value)
	}
	one := func(kind, name, more string) string {
		return fmt.Sprintf(`{"apiVersion":"apps/v1","kind":%q,"metadata":{"name":%q,"namespace":%q},"spec":{%s"replicas":2,"selector":{"matchLabels":{"app":%q}},`+
			`"template":{"metadata":{"labels":{"app":%q%s}},"spec":{"containers":[{"name":"app","image":"app:1"}]}}}}`, kind, name, namespace, more, name, name, extra)
	}
	manifests := []string{one("Deployment", "reviews", ""), one("Deployment", "details", "")}
	waits := " deployment/reviews deployment/details"
	if namespace == "bookinfo" {
		manifests = append(manifests, one("StatefulSet", "db", `"serviceName":"db",`))
		waits += " statefulset/db"
	}
	for _, m := range manifests {
		w.bash("kubectl create -f - <<< '" + m + "'")
	}
	for what := range strings.FieldsSeq(waits) {
		w.bash("kubectl rollout status " + what + " -n " + namespace + " --timeout=10m")
	}
}
