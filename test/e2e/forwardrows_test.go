//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
)

type labels = map[string]string

// row is a row of the table by which Istio's webhooks select pods, with tags in place of revisions.
type row struct {
	name           string
	namespace, pod labels
	// asks is the tag that the pod asks for, and empty for one that asks for none.
	asks string
	// refused, in place of asks: the reason for which it is refused in any state of the mesh.
	refused routing.Reason
	// byDefault: it asks for the tag default where the revision of that has enableNamespacesByDefault.
	byDefault bool
}

const inject, injection, rev, deflt = routing.LabelInject, routing.LabelInjection, routing.LabelRevision, routing.DefaultRevision

func rows() []row {
	return []row{
		{name: "01", namespace: labels{injection: "enabled"}, asks: deflt},
		{name: "01-revision-of-namespace", namespace: labels{injection: "enabled", rev: prod}, asks: deflt},
		{name: "01-revision-of-pod", namespace: labels{injection: "enabled"}, pod: labels{rev: prod}, asks: deflt},
		{name: "01-opted-in", namespace: labels{injection: "enabled"}, pod: labels{inject: "true"}, asks: deflt},
		{name: "02", namespace: labels{injection: "enabled"}, pod: labels{inject: "false"}},
		{name: "03", namespace: labels{injection: "disabled"}},
		{name: "03-opted-in", namespace: labels{injection: "disabled"}, pod: labels{inject: "true", rev: prod}},
		{name: "04", namespace: labels{injection: "Enabled"}, pod: labels{inject: "true"}},
		{name: "05", namespace: labels{rev: prod}, asks: prod},
		{name: "05-revision-of-pod", namespace: labels{rev: prod}, pod: labels{rev: deflt}, asks: prod},
		{name: "06", namespace: labels{rev: prod}, pod: labels{inject: "false"}},
		{name: "07", namespace: labels{rev: "prdo"}, pod: labels{rev: prod, inject: "true"}, refused: routing.UnknownRevision},
		{name: "08", namespace: labels{rev: ""}, refused: routing.EmptyRevision},
		{name: "09", namespace: labels{rev: deflt}, asks: deflt},
		{name: "10", pod: labels{rev: prod}, asks: prod},
		{name: "10-opted-in", pod: labels{rev: prod, inject: "true"}, asks: prod},
		{name: "11", pod: labels{rev: "prdo", inject: "true"}, refused: routing.UnknownRevision},
		{name: "12", pod: labels{inject: "true"}, asks: deflt},
		{name: "13", pod: labels{inject: "false", rev: prod}},
		{name: "14", asks: deflt, byDefault: true},
		{name: "15", pod: labels{inject: "yes"}},
		{name: "16-as-01", namespace: labels{injection: "enabled"}, pod: labels{inject: "yes"}, asks: deflt},
		{name: "16-as-05", namespace: labels{rev: prod}, pod: labels{inject: "yes"}, asks: prod},
		{name: "16-as-10", pod: labels{inject: "yes", rev: prod}, asks: prod},
	}
}

func (r row) space() string { return "row-" + r.name }

// state is one of the mesh, and what becomes of pods that ask for a tag in it.
type state struct {
	name   string
	change func(context.Context) error
	meaning
	// followed is what led elsewhere than to the tags' target.
	followed routing.Followed
	// says is what a refusal has to say besides.
	says []string
	// reasons of refusals by the tag, where each has its own.
	reasons map[string]routing.Reason
	// byDefault: the revision that the tag default leads to has enableNamespacesByDefault.
	byDefault bool
}

func (w *forwardWorld) states() []state {
	ready := func(name string, yes bool) func(context.Context) error {
		return func(ctx context.Context) error { return w.mesh.SetReady(ctx, name, yes) }
	}
	point := func(name string) func(context.Context) error {
		return func(ctx context.Context) error { return w.pointTags(ctx, name) }
	}
	return []state{
		{name: "the tags lead to the old revision", change: point(oldRevision), meaning: leads(oldRevision)},
		{name: "they are moved to the new one", change: point(newRevision), meaning: leads(newRevision), byDefault: true},
		{name: "its endpoints are absent", change: ready(newRevision, false), meaning: leads(oldRevision), followed: routing.FollowedLastGood},
		{name: "they are present again", change: ready(newRevision, true), meaning: leads(newRevision), byDefault: true},
		{name: "the tags are moved back", change: point(oldRevision), meaning: leads(oldRevision)},
		{
			name: "the old revision's endpoints are absent", change: ready(oldRevision, false), meaning: refuses(routing.NotRoutable),
			// The new revision is never used for it: it is newer.
			says: []string{
				oldRevision, oldVersion, "no ready endpoint",
				"Next: kubectl get endpointslices -n istio-system -l kubernetes.io/service-name=istiod-" + oldRevision,
			},
		},
		{name: "they are present", change: ready(oldRevision, true), meaning: leads(oldRevision)},
		{
			name: "a target is deleted", meaning: refuses(routing.DanglingTag), says: []string{oldRevision, "Next: "},
			change: func(ctx context.Context) error { return w.mesh.DeleteRevision(ctx, oldRevision) },
		},
		{name: "the tags are moved to the new revision", change: point(newRevision), meaning: leads(newRevision), byDefault: true},
		{
			name: "the tags are deleted", says: []string{"Next: "},
			reasons: map[string]routing.Reason{prod: routing.UnknownRevision, deflt: routing.NoDefaultRevision},
			change: func(ctx context.Context) error {
				if err := w.mesh.DeleteTag(ctx, prod); err != nil {
					return err
				}
				return w.mesh.DeleteTag(ctx, deflt)
			},
		},
		{
			name: "everything is as it was", meaning: leads(oldRevision), change: func(ctx context.Context) error {
				if err := w.mesh.InstallRevision(ctx, oldRevision); err != nil {
					return err
				}
				return w.pointTags(ctx, oldRevision)
			},
		},
	}
}

// every row in every state.
func (w *forwardWorld) testRows(t *testing.T) {
	for _, r := range rows() {
		w.namespace(t, r.space(), r.namespace)
	}
	pods, injected, refused := 0, 0, 0
	for _, s := range w.states() {
		want := s.meaning
		if s.reasons != nil {
			want = refuses("") // each tag's own, below
		}
		w.change(t, want, s.change)
		for _, r := range rows() {
			pod, err := w.create(t.Context(), aPod(r.space(), "shop", r.pod), false)
			pods++
			switch outcome, problem := s.judge(r, pod, err); {
			case problem != nil:
				t.Errorf("while %s, row %s: %v", s.name, r.name, problem)
			case outcome == isRefused:
				refused++
			case outcome == isInjected:
				injected++
			}
		}
	}
	t.Logf("%d rows in %d states: %d pods created, %d with a sidecar, %d refused", len(rows()), len(w.states()), pods, injected, refused)
}

// outcome is what became of a pod.
type outcome int

const (
	isPlain outcome = iota
	isInjected
	isRefused
)

// judge tells what became of the pod of a row, or what about it is wrong.
func (s *state) judge(r row, pod *corev1.Pod, err error) (outcome, error) {
	want := s.refusal(r)
	if want != "" {
		return isRefused, s.judgeRefusal(r, want, err)
	}
	if err != nil {
		return isRefused, fmt.Errorf("it was refused: %w", err)
	}
	revision, err := forward.Sidecar(pod)
	if err != nil {
		return isPlain, err
	}
	asked := s.asked(r)
	if asked == "" {
		if revision != "" {
			return isInjected, fmt.Errorf("it did not ask for a sidecar, and has that of %s", revision)
		}
		return isPlain, nil
	}
	got := [...]string{revision, pod.Annotations[routing.AnnotationTag], pod.Annotations[routing.AnnotationFollowed]}
	if expected := [...]string{s.revision, asked, string(s.followed)}; got != expected {
		return isInjected, fmt.Errorf("revision, tag and what was followed are %q, want %q", got, expected)
	}
	return isInjected, nil
}

// asked is the tag that the pod of a row asks for in this state.
func (s *state) asked(r row) string {
	if r.byDefault && !s.byDefault {
		return ""
	}
	return r.asks
}

// refusal is the reason for which the pod of a row is refused in this state; empty where it is admitted.
func (s *state) refusal(r row) routing.Reason {
	asked := s.asked(r)
	switch {
	case r.refused != "":
		return r.refused
	case asked == "":
		return ""
	case s.reasons != nil:
		return s.reasons[asked]
	}
	return routing.Reason(s.refused)
}

func (s *state) judgeRefusal(r row, reason routing.Reason, err error) error {
	if err == nil {
		return fmt.Errorf("it was admitted, want %s", reason)
	}
	says := []string{string(reason) + ": ", "shop", "namespace " + r.space(), "Next: "}
	if r.refused == "" {
		says = append(says, s.says...)
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			return fmt.Errorf("the refusal does not say %q: %w", want, err)
		}
	}
	return nil
}
