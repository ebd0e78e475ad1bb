package skew_test

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// A refusal says which commands to run before the change is tried again, or in its place. Here they are run: from every state
// of the exhaustive tests, those that satisfy no policy included, the commands of a refusal, and those of the refusals that
// these meet, come to an end.

// advised follows every refusal of every n-th state.
func (m model[S]) advised(t *testing.T, n int) (followed int) {
	t.Helper()
	for i := 0; i < len(m.states); i += n {
		for _, st := range m.steps(m.states[i]) {
			if st.admit {
				continue
			}
			u := user{mesh: m.mesh(m.states[i]), policy: m.policy}
			if err := u.do(st.change); err != nil {
				t.Fatalf("%+v, %s: %v, after\n%s", m.states[i], st.name, err, strings.Join(u.said, "\n"))
			}
			followed++
		}
	}
	return followed
}

// repaired does what is advised about every n-th state.
func (m model[S]) repaired(t *testing.T, n int) {
	t.Helper()
	for i := 0; i < len(m.states); i += n {
		u := user{mesh: m.mesh(m.states[i]), policy: m.policy}
		if err := u.repair(); err != nil {
			t.Fatalf("%+v: %v, after\n%s", m.states[i], err, strings.Join(u.said, "\n"))
		}
	}
}

// injected is the mesh with a namespace for its sidecars.
func injected(s inPlaceState) skew.Mesh {
	m := s.mesh()
	m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")}
	return m
}

func TestWhatARefusalSaysLeadsToTheEndInPlace(t *testing.T) {
	t.Parallel()
	followed := 0
	for i, p := range inPlaceTables() {
		m, n := p.model(), 1
		if !longWalk() {
			n = 7 + 30*min(i, 1)
		}
		m.mesh = injected
		followed += m.advised(t, n)
	}
	t.Logf("followed %d refusals", followed)
	if followed < 10_000 {
		t.Errorf("only %d refusals", followed)
	}
}

func TestWhatARefusalSaysLeadsToTheEndWithRevisions(t *testing.T) {
	t.Parallel()
	followed := 0
	for i, p := range revisionTables() {
		n := 1
		if !longWalk() {
			n = 11 + 20*min(i, 1)
		}
		followed += p.model().advised(t, n)
	}
	t.Logf("followed %d refusals", followed)
	if followed < 10_000 {
		t.Errorf("only %d refusals", followed)
	}
}

// The same for every refusal of the page of messages.
func TestWhatThePageOfMessagesSaysLeadsToTheEnd(t *testing.T) {
	t.Parallel()
	for _, s := range append(versionMessages(), referenceMessages()...) {
		u := user{mesh: s.mesh, policy: s.policy()}
		if err := u.do(s.change); err != nil {
			t.Errorf("%s, %s: %v, after\n%s", s.rule, s.when, err, strings.Join(u.said, "\n"))
		}
	}
}

// What is advised about a mesh that is wrong brings it back to one that fits.
func TestWhatStatusAdvisesLeadsToTheEnd(t *testing.T) {
	t.Parallel()
	n := 7
	if longWalk() {
		n = 1
	}
	for _, p := range inPlaceTables() {
		m := p.model()
		m.mesh = injected
		m.repaired(t, n)
	}
	for _, p := range revisionTables() {
		p.model().repaired(t, n)
	}
}
