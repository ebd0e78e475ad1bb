package admission

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/internal/sail"
)

// remedy is a change that is refused, and passes once the commands of the refusal have been carried out.
type remedy struct {
	name string
	// prepare brings the mesh to where the change is refused.
	prepare func()
	change  func(dryRun []string) error
	rule    string
	// forms are how the commands begin that the refusal has to name, in order.
	forms []string
}

// shell carries out what refusals tell users to do, and plays the operator who follows. It knows no command by
// heart: what it cannot read in a message, it fails for.
type shell struct{ *changes }

// heal is the life of one refusal. A message names three steps at most, and the rest when it is asked again.
func (s shell) heal(t *testing.T, r remedy) {
	t.Helper()
	if r.prepare != nil {
		r.prepare()
	}
	dry := []string{metav1.DryRunAll}
	var refusal error
	s.eventually("it is refused: "+r.name, func() error {
		refusal = r.change(dry)
		return notYet(refused(refusal) && strings.Contains(refusal.Error(), r.rule+": "))
	})
	steps := commands(refusal.Error())
	for i, form := range r.forms {
		if i >= len(steps) || !strings.HasPrefix(steps[i], form) {
			t.Fatalf("step %d is not %q: %v", i+1, form, refusal)
		}
	}
	var said []string
	s.eventually("it passes then: "+r.name, func() error {
		err := r.change(dry)
		if err == nil || slices.Contains(said, err.Error()) {
			return err
		}
		said = append(said, err.Error())
		for _, step := range commands(err.Error()) {
			s.eventually(step, func() error { return s.follow(step) })
			t.Log(step)
		}
		return err
	})
	wantAdmitted(t, r.change(nil))
}

// follow takes one step. Where that is refused itself, its own refusal says what comes before it.
func (s shell) follow(step string) error {
	err := s.run(step)
	if refused(err) {
		for _, first := range commands(err.Error()) {
			s.must(s.run(first))
		}
	}
	return err
}

// commands are the steps of a refusal that a shell can take.
func commands(message string) []string {
	var steps []string
	for _, part := range regexp.MustCompile(`; |\n`).Split(message, -1) {
		if command := regexp.MustCompile(`(kubectl|istioctl) .*`).FindString(part); command != "" {
			steps = append(steps, strings.TrimSuffix(command, "."))
		}
	}
	return steps
}

func (s shell) run(command string) error {
	var w []string // the words, as a shell finds them
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(command, -1) {
		w = append(w, strings.Trim(word, "'"))
	}
	flag := func(name string) string {
		if i := slices.Index(w, name); i >= 0 && i+1 < len(w) {
			return w[i+1]
		}
		return ""
	}
	switch verb := strings.Join(w[:min(3, len(w))], " "); {
	case verb == "kubectl rollout status":
		return s.rolledOut(w[3])
	case verb == "kubectl rollout restart" && w[3] == "deployment":
		return s.restart(flag("-n"))
	case verb == "istioctl waypoint apply":
		return s.gateway(flag("-n"), flag("--name"), "istio-waypoint", nil)
	case w[1] == "label":
		return s.relabel(s.client(w[2], flag("-n")), w[3], w[4:])
	case w[1] == "patch" && slices.Contains(w, "--type=merge"):
		return s.patch(w[2], w[3], strings.ReplaceAll(flag("-p"), "<patch>", "1")) // the user's choice
	case w[1] == "delete":
		return s.client(w[2], flag("-n")).Delete(s.t.Context(), w[3], metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
	}
	s.t.Fatalf("nobody knows the command %q", command)
	return nil
}

func (s shell) client(kind, namespace string) dynamic.ResourceInterface {
	resource := sail.GroupVersion().WithResource(kind + "s")
	switch kind {
	case "namespace", "pod":
		resource = schema.GroupVersionResource{Version: "v1", Resource: kind + "s"}
	case "gateway":
		resource = gatewayResource()
	}
	if namespace == "" {
		return s.dyn.Resource(resource)
	}
	return s.dyn.Resource(resource).Namespace(namespace)
}

// relabel is kubectl label: it changes no value without --overwrite.
func (s shell) relabel(client dynamic.ResourceInterface, name string, rest []string) error {
	o, err := client.Get(s.t.Context(), name, metav1.GetOptions{})
	s.must(err)
	set := o.GetLabels()
	if set == nil {
		set = map[string]string{}
	}
	for _, word := range rest {
		key, value, assigns := strings.Cut(word, "=")
		if assigns && set[key] != "" && set[key] != value && !slices.Contains(rest, "--overwrite") {
			s.t.Fatalf("kubectl would not overwrite %s=%s", key, set[key])
		}
		if assigns {
			set[key] = value
		} else {
			delete(set, strings.TrimSuffix(word, "-"))
		}
	}
	o.SetLabels(set)
	_, err = client.Update(s.t.Context(), o, metav1.UpdateOptions{})
	return err
}

// patch is kubectl patch, and what the operator does then.
func (s shell) patch(kind, name, body string) error {
	o, err := s.client(kind, "").Patch(s.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	strategy, _, _ := unstructured.NestedString(o.Object, "spec", "updateStrategy", "type")
	if version, _, _ := unstructured.NestedString(o.Object, "spec", "version"); strategy == "RevisionBased" {
		s.runs(name+"-"+strings.ReplaceAll(version, ".", "-"), version)
	}
	if target, found, _ := unstructured.NestedString(o.Object, "spec", "targetRef", "name"); found && kind == "istiorevisiontag" {
		s.status("istiorevisiontags", name, map[string]any{"istioRevision": target})
	}
	return nil
}

// rolledOut lets the operator finish: istiod runs what its Istio declares. There are no DaemonSets here: what
// IstioCNI and ZTunnel declare is all that is known of them.
func (s shell) rolledOut(workload string) error {
	if workload != "deployment/istiod" {
		return nil
	}
	o, err := s.client("istio", "").Get(s.t.Context(), "default", metav1.GetOptions{})
	s.must(err)
	version, _, _ := unstructured.NestedString(o.Object, "spec", "version")
	s.runs("default", strings.Replace(version, "-latest", ".9", 1))
	return nil
}

// restart replaces a namespace's sidecars by those that its revision injects, at the version of the control plane.
func (s shell) restart(namespace string) error {
	pods, err := s.kube.CoreV1().Pods(namespace).List(s.t.Context(), metav1.ListOptions{})
	s.must(err)
	ns, err := s.kube.CoreV1().Namespaces().Get(s.t.Context(), namespace, metav1.GetOptions{})
	s.must(err)
	revision := ns.Labels["istio.io/rev"]
	if ns.Labels["istio-injection"] == "enabled" {
		revision = "default"
	}
	for _, pod := range pods.Items {
		name, _, _ := strings.Cut(pod.Name, "-7d775cb4f6")
		s.removeSidecar(namespace, name)
		if revision != "" {
			d, err := s.kube.AppsV1().Deployments("istio-system").Get(s.t.Context(), "istiod-"+revision, metav1.GetOptions{})
			s.must(err)
			s.proxy(namespace, name, revision, d.Labels["app.kubernetes.io/version"])
		}
	}
	return nil
}

// proxy is the sidecar of a revision.
func (s shell) proxy(namespace, deployment, revision, version string) {
	s.sidecar(namespace, deployment, version)
	body := fmt.Sprintf(`{"metadata":{"annotations":{"istio.io/rev":%q}}}`, revision)
	_, err := s.client("pod", namespace).
		Patch(s.t.Context(), deployment+"-7d775cb4f6-x", types.MergePatchType, []byte(body), metav1.PatchOptions{})
	s.must(err)
}

// puts is the write of an object, and gone the deletion of one.
func (s shell) puts(o *unstructured.Unstructured) func([]string) error {
	return func(dryRun []string) error { return s.submit("", o, dryRun) }
}

func (s shell) gone(kind, namespace, name string) func([]string) error {
	return func(dryRun []string) error {
		return s.client(kind, namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{DryRun: dryRun})
	}
}

func TestTheRemediesOfAnInPlaceMesh(t *testing.T) {
	s := shell{newChanges(t)}
	s.namespace("istio-system", nil)
	s.must(s.write("", istio("v1.28.3", "InPlace")))
	s.runs("default", "v1.28.3")
	const patch, rollout = "kubectl patch ", "kubectl rollout status "
	use := map[string]string{"istio.io/use-waypoint": "shared", "istio.io/use-waypoint-namespace": "infra"}
	remedies := []remedy{
		{"two minors at once", nil, s.puts(istio("v1.30.3", "InPlace")), "InPlaceStep", []string{patch + "istio default", rollout + "deployment/istiod"}},
		{"IstioCNI ahead of the control plane", func() {
			s.runs("default", "v1.30.3")
			s.eventually("v1.30.3 runs", func() error { return s.write("", cni("v1.30.3")) })
			s.must(s.write("", ztunnel("v1.30.3")))
		}, s.puts(cni("v1.31.1")), "CNISkew", []string{patch + "istio default", rollout + "deployment/istiod"}},
		{"a control plane two minors ahead of ZTunnel", nil, s.puts(istio("v1.32.0", "InPlace")), "ZTunnelSkew", []string{patch + "ztunnel default", rollout + "daemonset/ztunnel"}},
		{"IstioCNI before the control plane runs", nil, s.puts(cni("v1.32.0")), "CNISkew", []string{rollout + "deployment/istiod -n istio-system"}},
		{"a control plane back below IstioCNI", nil, s.puts(istio("v1.31.1", "InPlace")), "DataPlaneAhead", []string{patch + "istiocni default", rollout + "daemonset/istio-cni-node"}},
		{"a control plane two minors ahead of a sidecar", func() {
			s.runs("default", "v1.31.1")
			s.namespace("bookinfo", map[string]string{"istio-injection": "enabled"})
			s.proxy("bookinfo", "details-v1", "default", "1.30.3")
		}, s.puts(istio("v1.32.0", "InPlace")), "DataPlaneBehind", []string{"kubectl rollout restart deployment -n bookinfo"}},
		{"a waypoint that a namespace uses", func() {
			s.namespace("infra", nil)
			s.must(s.gateway("infra", "shared", "istio-waypoint", fromAll))
			s.namespace("shop", use)
		}, s.gone("gateway", "infra", "shared"), "WaypointInUseDelete", []string{"kubectl label namespace shop"}},
		{"ZTunnel under an ambient namespace", func() { s.must(s.label("shop", map[string]string{"istio.io/dataplane-mode": "ambient"})) }, s.gone("ztunnel", "", "default"), "InUseDelete", []string{"kubectl label namespace shop"}},
		{"a waypoint that is not there", nil, func([]string) error {
			return s.label("infra", map[string]string{"istio.io/use-waypoint": "own"})
		}, "WaypointMissing", []string{"istioctl waypoint apply -n infra --name own"}},
		{"an Istio that sidecars use", nil, s.gone("istio", "", "default"), "InUseDelete", []string{"kubectl label namespace bookinfo", "kubectl rollout restart"}},
	}
	for _, r := range remedies {
		t.Run(r.name, func(t *testing.T) { s.heal(t, r) })
	}
	t.Logf("%d refusals, each with its remedy", len(remedies))
}

func TestTheRemediesOfRevisions(t *testing.T) {
	s := shell{newChanges(t)}
	s.namespace("istio-system", nil)
	s.must(s.write("", istio("v1.28.3", "RevisionBased")))
	s.runs("default-v1-28-3", "v1.28.3")
	s.must(s.write("", cni("v1.28.3")))
	const old = "default-v1-29-1"
	rev := map[string]string{"istio.io/rev": old}
	lower := func() { s.must(s.write("", cni("v1.29.1"))) }
	tag := sailObject("IstioRevisionTag", "prod", map[string]any{"targetRef": map[string]any{"kind": "IstioRevision", "name": old}})
	remedies := []remedy{
		{"two minors apart with IstioCNI", nil, s.puts(istio("v1.30.3", "RevisionBased")), "SingletonSqueeze", []string{"kubectl patch istio default", "kubectl patch istiocni default"}},
		{"IstioCNI ahead of what a namespace asks for", func() { s.runs("default-v1-30-3", "v1.30.3"); s.namespace("shop", rev) }, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl label namespace shop"}},
		{"IstioCNI ahead of what a tag points at", func() { lower(); s.must(s.write("", tag)) }, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl patch istiorevisiontag prod"}},
		{"a tag that a namespace uses", func() { s.must(s.label("shop", map[string]string{"istio.io/rev": "prod"})) }, s.gone("istiorevisiontag", "", "prod"), "InUseDelete", []string{"kubectl label namespace shop"}},
		{"IstioCNI ahead of what a Gateway asks for", func() {
			lower()
			s.must(s.gateway("shop", "own", "istio-waypoint", func(o *unstructured.Unstructured) { o.SetLabels(rev) }))
		}, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl label gateway own -n shop"}},
		{"a revision that pods use", func() { s.proxy("shop", "cart", old, "1.29.1") }, s.gone("istiorevision", "", old), "InUseDelete", []string{"kubectl rollout restart deployment -n shop"}},
	}
	for _, r := range remedies {
		t.Run(r.name, func(t *testing.T) { s.heal(t, r) })
	}
	t.Logf("%d refusals, each with its remedy", len(remedies))
}
