package admission

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// absent stands for a key that is not there.
const absent = "<absent>"

// combination is one way to label a namespace and a pod.
type combination struct{ nsInjection, nsRevision, podInject, podRevision string }

func combinations() []combination {
	var all []combination
	for _, nsInjection := range []string{absent, "", "enabled", "disabled", "Enabled"} {
		for _, nsRevision := range []string{absent, "", "a", "prod", "default", "typo"} {
			for _, podInject := range []string{absent, "", "true", "false", "yes"} {
				for _, podRevision := range []string{absent, "", "b", "prod", "default", "typo"} {
					all = append(all, combination{nsInjection, nsRevision, podInject, podRevision})
				}
			}
		}
	}
	return all
}

func labels(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != absent {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}

// outcome is what became of a pod.
type outcome struct {
	refused  bool
	injected string // by which injector; empty: no sidecar
	routed   string // what the router wrote
	sidecars int
	message  string
}

func outcomeOf(pod *corev1.Pod, err error) outcome {
	if err != nil {
		return outcome{refused: true, message: err.Error()}
	}
	o := outcome{injected: pod.Annotations[routing.LabelRevision], routed: pod.Labels[routing.LabelRoutedRevision]}
	for _, c := range pod.Spec.Containers {
		if c.Name == injector.ProxyName {
			o.sidecars++
		}
	}
	return o
}

// The promise of guard mode, for every combination of labels on a real API server: what the router says is what
// Istio's webhooks do, and what would silently miss its sidecar is refused. The second pass takes the router away
// and sees what would have happened.
func TestEveryCombinationOfLabels(t *testing.T) {
	for _, tc := range []struct {
		name        string
		withDefault bool
	}{{"with a default tag", true}, {"without a default revision", false}} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t)
			h.mesh(tc.withDefault)
			all := combinations()
			h.createNamespaces(all)
			guarded := h.outcomes(all)

			h.must(h.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().
				Delete(t.Context(), "0-istio-revision-router", metav1.DeleteOptions{}))
			h.eventually("the router is out of the way", func() error {
				pod, err := h.create(newPod("await-prod", nil))
				if err == nil && pod.Labels[routing.LabelRoutedRevision] != "" {
					err = errors.New("still routed")
				}
				return err
			})
			bare := h.outcomes(all)

			injected, refusals, skipped := 0, 0, 0
			for i, c := range all {
				with, without := guarded[i], bare[i]
				switch {
				case without.refused:
					t.Errorf("%+v: refused without the router: %s", c, without.message)
				case without.injected != "":
					injected++
					if with.refused || with.injected != without.injected || with.routed != without.injected || with.sidecars != 1 {
						t.Errorf("%+v: Istio injects %s, with the router: %+v", c, without.injected, with)
					}
				case with.refused:
					refusals++
					if !asks(c) {
						t.Errorf("%+v asks for no sidecar and was refused: %s", c, with.message)
					}
				default:
					skipped++
					if asks(c) || with.routed != "" || with.sidecars != 0 {
						t.Errorf("%+v: a silent miss: %+v", c, with)
					}
				}
			}
			if injected == 0 || refusals == 0 || skipped == 0 {
				t.Errorf("injected %d, refused %d, skipped %d: all three must occur", injected, refusals, skipped)
			}
			t.Logf("%d combinations: %d injected by the revision that the router named, %d refused that would "+
				"have missed their sidecar silently, %d that asked for none", len(all), injected, refusals, skipped)
		})
	}
}

// asks states, independently of the router, whether labels ask for a sidecar: nobody opted out, and the first of
// namespace and pod that says anything says a name or yes. An empty name asks for something that cannot be.
func asks(c combination) bool {
	switch {
	case c.podInject == "false":
		return false
	case c.nsInjection != absent:
		return c.nsInjection == "enabled"
	case c.nsRevision != absent, c.podRevision != absent:
		return true
	}
	return c.podInject == "true"
}

func (c combination) namespace() string {
	name := strings.NewReplacer("<absent>", "none", "Enabled", "other").Replace(c.nsInjection + "-" + c.nsRevision)
	return "ns-" + strings.Trim(strings.ReplaceAll(name, "--", "-"), "-") + fmt.Sprintf("-%d%d", len(c.nsInjection), len(c.nsRevision))
}

func (h *harness) createNamespaces(all []combination) {
	h.t.Helper()
	made := map[string]bool{}
	for _, c := range all {
		if name := c.namespace(); !made[name] {
			made[name] = true
			h.namespace(name, labels(routing.LabelInjection, c.nsInjection, routing.LabelRevision, c.nsRevision))
		}
	}
}

func (h *harness) outcomes(all []combination) []outcome {
	h.t.Helper()
	results := make([]outcome, len(all))
	for i, c := range all {
		pod := newPod(c.namespace(), labels(routing.LabelInject, c.podInject, routing.LabelRevision, c.podRevision))
		results[i] = outcomeOf(h.create(pod))
	}
	return results
}
