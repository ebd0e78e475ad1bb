package mesh

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func TestNoSnapshotBeforeEveryKindIsKnown(t *testing.T) {
	s := offline(t, Options{})
	for n, k := range s.kinds {
		if s.publish() {
			t.Fatalf("a snapshot was published before %s was known", k.name())
		}
		if err := s.Ready(); err == nil || !strings.Contains(err.Error(), k.name()+": not listed yet") {
			t.Fatalf("Ready says %v, want it to name %s", err, k.name())
		}
		if n == 0 { // a kind that is not installed is known as well
			s.notInstalled(k)
			continue
		}
		if err := (&store{source: s, kind: k}).Replace(nil, "1"); err != nil {
			t.Fatal(err)
		}
		if s.publish() {
			t.Fatalf("a snapshot was published before %s was watched", k.name())
		}
		s.opened(k)
	}
	if err := s.Ready(); err == nil {
		t.Error("Ready before the first snapshot")
	}
	if !s.publish() {
		t.Fatal("no snapshot although every kind is known")
	}
	if err := s.Ready(); err != nil {
		t.Errorf("not ready after the first snapshot: %v", err)
	}
	if !s.Mesh().Empty() {
		t.Errorf("the mesh of an empty cluster holds %v", s.Mesh().Revisions())
	}
}

// A failure keeps what is known, and says so until it is over.
func TestFailureKeepsWhatIsKnown(t *testing.T) {
	s := offline(t, Options{})
	s.sync(t)
	s.send(t, event{"istiorevisions", false, aRevision("one", "v1.30.3")})
	s.publish()
	before := picture(s.Mesh(), "one")
	st := s.storeOf(t, "istiorevisions")
	s.failed(t.Context(), st.kind, verbWatch, context.DeadlineExceeded)
	s.ended(st.kind)
	s.failed(t.Context(), st.kind, verbList, context.DeadlineExceeded)
	if s.publish() {
		t.Error("a failure made a snapshot due")
	}
	stats := s.Stats()
	if stats.StaleSince.IsZero() || stats.Kinds[1].Phase != Failing || stats.Kinds[1].Err == nil || stats.Kinds[1].Objects != 1 {
		t.Errorf("the failure does not show: %+v", stats)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("not ready in an outage: %v", err)
	}
	s.opened(st.kind)
	if s.Stats().StaleSince.IsZero() {
		t.Error("an open watch alone made the kind current, before its list came")
	}
	if err := st.Replace([]any{aRevision("one", "v1.30.3")}, "2"); err != nil {
		t.Fatal(err)
	}
	if !s.Stats().StaleSince.IsZero() {
		t.Errorf("still stale after the list: %+v", s.Stats())
	}
	if got := picture(s.Mesh(), "one"); got != before {
		t.Errorf("the mesh changed:\n%s", cmp.Diff(before, got))
	}
}

// The reflector keeps to itself that a list could not be taken over, so the store says it.
func TestListThatCannotBeTakenOver(t *testing.T) {
	s := offline(t, Options{})
	st := s.storeOf(t, "namespaces")
	if err := st.Replace([]any{aRevision("not-a-namespace", "v1")}, "1"); err == nil {
		t.Fatal("an object of another kind was taken for a namespace")
	}
	if got := s.Stats().Kinds[3]; got.Phase != Failing || got.Err == nil {
		t.Errorf("the failure does not show: %+v", got)
	}
	if err := st.kind.wants(); err == nil || !strings.Contains(err.Error(), "namespaces: cannot list them: take over the list") {
		t.Errorf("not ready because of %v, want that the list could not be taken over", err)
	}
}

// A watch that is over is no failure, but until the next list is in, changes may be missed.
func TestListingAnewIsStale(t *testing.T) {
	s := offline(t, Options{})
	if s.Stats().StaleSince.IsZero() {
		t.Error("not stale although nothing was listed yet")
	}
	s.sync(t)
	if !s.Stats().StaleSince.IsZero() {
		t.Errorf("stale although everything is followed: %+v", s.Stats())
	}
	st := s.storeOf(t, "namespaces")
	s.ended(st.kind)
	if got := s.Stats(); got.StaleSince.IsZero() || got.Kinds[3].Phase != Connecting {
		t.Errorf("not stale although namespaces are listed anew: %+v", got)
	}
	s.opened(st.kind)
	if err := st.Replace(nil, "2"); err != nil {
		t.Fatal(err)
	}
	if !s.Stats().StaleSince.IsZero() {
		t.Errorf("stale although everything is followed again: %+v", s.Stats())
	}
}

// A failure is logged when it begins, when it turns into another one, and when it is over, however often it repeats.
func TestFailureIsLoggedOncePerCause(t *testing.T) {
	var logged []string
	log := funcr.New(func(_, line string) { logged = append(logged, line) }, funcr.Options{})
	s := offline(t, Options{Log: log})
	s.sync(t)
	k := s.storeOf(t, "namespaces").kind
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "namespaces"}, "", errors.New("no such role"))
	for _, err := range []error{context.DeadlineExceeded, errors.New("connection refused"), forbidden, forbidden} {
		s.closed(k)
		s.failed(t.Context(), k, verbWatch, err)
	}
	s.opened(k)
	s.closed(k)
	s.opened(k)
	want := []string{"deadline exceeded", "is forbidden", "followed again"}
	if len(logged) != len(want) {
		t.Fatalf("%d lines %q, want %d", len(logged), logged, len(want))
	}
	for n := range want {
		if !strings.Contains(logged[n], want[n]) {
			t.Errorf("line %d is %q, want it to say %q", n, logged[n], want[n])
		}
	}
}

func TestFailureOfASourceThatStopsIsNone(t *testing.T) {
	s := offline(t, Options{})
	s.sync(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.failed(ctx, s.kinds[0], verbWatch, context.Canceled)
	if got := s.Stats().Kinds[0].Phase; got != Following {
		t.Errorf("the phase is %s, want Following", got)
	}
}
