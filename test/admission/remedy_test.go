package admission

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/revision-router/revision-router/test/message"
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
		if !refused(refusal) || !strings.Contains(refusal.Error(), r.rule+": ") {
			return fmt.Errorf("no refusal by %s: %w", r.rule, refusal)
		}
		for i, form := range r.forms { // what the router knows of users comes a moment later
			if steps := commands(refusal.Error()); i >= len(steps) || !strings.HasPrefix(steps[i], form) {
				return fmt.Errorf("step %d is not %q: %w", i+1, form, refusal)
			}
		}
		return nil
	})
	message.Documented(t, refusal.Error())
	steps := commands(refusal.Error())
	if !strings.Contains(refusal.Error(), "; then retry") {
		// What is said takes the place of the change.
		for _, step := range steps {
			s.eventually(step, func() error { return s.follow(step) })
			t.Log(step)
		}
		return
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
			s.proxied("bookinfo", "details-v1", "default", "1.30.3")
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
		{"a waypoint of another namespace that is not there", nil, func([]string) error {
			return s.label("shop", map[string]string{"istio.io/use-waypoint": "gone", "istio.io/use-waypoint-namespace": "infra"})
		}, "WaypointMissing", []string{"istioctl waypoint apply -n infra --name gone", patch + "gateway gone -n infra --type=json"}},
		{"a revision that nobody has", nil, func([]string) error {
			return s.label("shop", map[string]string{"istio.io/rev": "defualt"})
		}, "UnknownRevisionLabel", []string{"kubectl label namespace shop istio.io/rev=default --overwrite"}},
		{"a version of IstioCNI that is too old", nil, s.puts(cni("v1.29.6")), "CNISkew", []string{patch + "istiocni default"}},
		{"an Istio that sidecars use", nil, s.gone("istio", "", "default"), "InUseDelete", []string{"kubectl label namespace bookinfo", "kubectl label namespace shop"}},
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
		{"two minors apart with IstioCNI", nil, s.puts(istio("v1.30.3", "RevisionBased")), "SingletonSqueeze", []string{"kubectl patch istio default", "kubectl wait --for=create deployment/istiod-default-v1-29-<patch>", "kubectl patch istiocni default"}},
		{"IstioCNI ahead of what a namespace asks for", func() { s.runs("default-v1-30-3", "v1.30.3"); s.namespace("shop", rev) }, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl label namespace shop"}},
		{"IstioCNI ahead of what a tag points at", func() { lower(); s.must(s.write("", tag)) }, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl patch istiorevisiontag prod"}},
		{"a tag that a namespace uses", func() { s.must(s.label("shop", map[string]string{"istio.io/rev": "prod"})) }, s.gone("istiorevisiontag", "", "prod"), "InUseDelete", []string{"kubectl label namespace shop"}},
		{"IstioCNI ahead of what a Gateway asks for", func() {
			lower()
			s.must(s.gateway("shop", "own", "istio-waypoint", func(o *unstructured.Unstructured) { o.SetLabels(rev) }))
		}, s.puts(cni("v1.30.3")), "CNISkew", []string{"kubectl label gateway own -n shop"}},
		{"a revision that pods use", func() { s.proxied("shop", "cart", old, "1.29.1") }, s.gone("istiorevision", "", old), "InUseDelete", []string{"kubectl rollout restart deployment -n shop"}},
	}
	for _, r := range remedies {
		t.Run(r.name, func(t *testing.T) { s.heal(t, r) })
	}
	t.Logf("%d refusals, each with its remedy", len(remedies))
}
