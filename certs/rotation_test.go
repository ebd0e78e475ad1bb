package certs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/certs"
)

func policy() certs.Policy {
	return certs.Policy{CALifetime: certs.DefaultCALifetime, LeafLifetime: certs.MaxLeafLifetime, Settle: certs.DefaultSettle}
}

// settled is the state of a replica with nothing to do: one CA, published in one webhook, and a leaf of it.
func settled(t *testing.T) (certs.State, *certs.Authority) {
	t.Helper()
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	return certs.State{
		Policy: policy(), Secret: certs.SecretPresent, Authorities: certs.Authorities{Current: a},
		Published: published(bundleOf(a)), Complete: true, Leaf: mustLeaf(t, a, start()),
	}, a
}

func published(bundles ...certs.Bundle) []certs.Published {
	var all []certs.Published
	for _, b := range bundles {
		all = append(all, certs.ReadPublished("w", b.PEM()))
	}
	return all
}

// scene is a state with the CAs that take part in it: a is current, b may follow, and c is an older one.
type scene struct {
	certs.State
	a, b, c *certs.Authority
	foreign certs.Bundle
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s, a := settled(t)
	return &scene{
		State: s, a: a, b: mustAuthority(t, start().Add(time.Hour), certs.DefaultCALifetime),
		c: mustAuthority(t, start(), certs.DefaultCALifetime), foreign: certs.NewBundle(foreignCA(t)),
	}
}

// stage makes b the next CA, published beside a.
func (s *scene) stage() {
	s.Authorities.Next = s.b
	s.Published = published(bundleOf(s.a, s.b))
}

// promote makes b the current CA.
func (s *scene) promote() {
	s.Authorities = certs.Authorities{Current: s.b, Previous: bundleOf(s.a), PreviousUntil: start().Add(9 * day)}
	s.Published = published(bundleOf(s.a, s.b))
}

// retire keeps c in the bundle for an hour.
func (s *scene) retire() {
	s.Authorities.Previous, s.Authorities.PreviousUntil = bundleOf(s.c), start().Add(time.Hour)
	s.Published = published(s.Authorities.Bundle())
}

func TestNext(t *testing.T) {
	renewal := 7*day*2/3 - 20*time.Minute // a leaf's life begins an hour before it is made
	cases := map[string]struct {
		change func(*scene)
		after  time.Duration // since start
		want   certs.Kind
	}{
		"everything is in order":    {func(*scene) {}, 0, certs.Nothing},
		"no configuration exists":   {func(s *scene) { s.Published = nil }, 0, certs.Nothing},
		"the Secret was never read": {func(s *scene) { s.Secret = certs.SecretUnread }, 0, certs.Nothing},

		"the Secret is missing": {func(s *scene) { s.Secret = certs.SecretMissing }, 0, certs.CreateCA},
		"the Secret is corrupt": {func(s *scene) { s.Secret = certs.SecretCorrupt }, 0, certs.CreateCA},
		"the Secret is missing, and so is knowledge of a configuration": {
			func(s *scene) { s.Secret, s.Complete = certs.SecretMissing, false }, 0, certs.Nothing,
		},
		"the Secret is missing, and another replica writes": {
			func(s *scene) { s.Secret, s.ReadOnly = certs.SecretMissing, true }, 0, certs.Nothing,
		},

		"there is no leaf": {func(s *scene) { s.Leaf = nil }, 0, certs.RenewLeaf},
		"there is no leaf, and another replica writes": {func(s *scene) { s.Leaf, s.ReadOnly = nil, true }, 0, certs.RenewLeaf},
		"there is no leaf, and a configuration cannot be read": {
			func(s *scene) { s.Leaf, s.Complete = nil, false }, 0, certs.Nothing,
		},
		"a leaf is a second short of two thirds": {func(*scene) {}, renewal - time.Second, certs.Nothing},
		"a leaf is two thirds through":           {func(*scene) {}, renewal, certs.RenewLeaf},
		"a leaf is two thirds through, and the API server is away": {
			func(s *scene) { s.Secret, s.Complete = certs.SecretStale, false }, renewal, certs.RenewLeaf,
		},
		"the clock was set back to before the CA": {func(*scene) {}, -2 * time.Hour, certs.StageNext},
		"the clock was set back to before the leaf": {
			func(s *scene) { s.Leaf, _ = s.a.Issue(request(), start().Add(2*time.Hour)) }, 0, certs.RenewLeaf,
		},

		"a bundle is missing": {
			func(s *scene) { s.Published = published(s.Authorities.Bundle(), certs.Bundle{}) }, 0, certs.PublishBundle,
		},
		"a bundle is missing, and another replica writes": {
			func(s *scene) { s.Published, s.ReadOnly = published(certs.Bundle{}), true }, 0, certs.Nothing,
		},
		"a bundle is missing, and the Secret cannot be read": {
			func(s *scene) { s.Published, s.Secret = published(certs.Bundle{}), certs.SecretStale }, 0, certs.Nothing,
		},
		"a bundle holds a stranger's CA": {
			func(s *scene) { s.Published = published(bundleOf(s.a).Union(s.foreign)) }, 0, certs.PublishBundle,
		},
		"a bundle holds an own CA that the Secret does not know": {
			func(s *scene) { s.Published = published(bundleOf(s.a, s.c)) }, 0, certs.CarryOver,
		},
		"a bundle holds an own CA that was dropped": {func(s *scene) {
			s.Authorities.Dropped, s.Published = bundleOf(s.c), published(bundleOf(s.a, s.c))
		}, 0, certs.PublishBundle},
		"a bundle holds a CA that was dropped, and that signed the leaf": {func(s *scene) {
			s.Leaf, _ = s.c.Issue(request(), start())
			s.Authorities.Dropped, s.Published = bundleOf(s.c), published(bundleOf(s.c))
		}, 0, certs.CarryOver},

		"a rotation is requested": {func(s *scene) { s.Rotate = true }, 0, certs.StageNext},
		"a rotation is requested, and too many are under way": {func(s *scene) {
			s.retire()
			s.Rotate = true
			for range 3 {
				more, _ := certs.NewAuthority(start(), certs.DefaultCALifetime)
				s.Authorities.Previous = s.Authorities.Previous.Add(more.Certificate)
			}
			s.Published = published(s.Authorities.Bundle())
		}, 0, certs.Nothing},
		"the CA is two thirds through": {
			func(s *scene) { s.Leaf, _ = s.a.Issue(request(), start().Add(250*day)) }, 250 * day, certs.StageNext,
		},
		"the CA has expired": {func(*scene) {}, 400 * day, certs.StageNext},

		"the next CA is staged": {func(s *scene) {
			s.stage()
			s.Published = published(bundleOf(s.a))
		}, time.Hour, certs.PublishBundle},
		"the next CA is published": {(*scene).stage, time.Hour, certs.ConfirmPublished},
		"the next CA is published as far as can be read": {func(s *scene) {
			s.stage()
			s.Complete = false
		}, time.Hour, certs.Nothing},
		"the next CA was confirmed a moment ago": {func(s *scene) {
			s.stage()
			s.Authorities.NextPublished = start().Add(time.Hour)
		}, time.Hour + certs.DefaultSettle - time.Second, certs.Nothing},
		"the next CA has settled": {func(s *scene) {
			s.stage()
			s.Authorities.NextPublished = start().Add(time.Hour)
		}, time.Hour + certs.DefaultSettle, certs.Promote},
		"the next CA was confirmed by a clock that is far ahead": {func(s *scene) {
			s.stage()
			s.Authorities.NextPublished = start().Add(100 * day)
		}, time.Hour, certs.ConfirmPublished},
		"the next CA is confirmed, and the current one has expired": {func(s *scene) {
			s.Authorities.Next, _ = certs.NewAuthority(start().Add(400*day), certs.DefaultCALifetime)
			s.Authorities.NextPublished = start().Add(400 * day)
			s.Published = published(s.Authorities.Bundle())
		}, 400 * day, certs.Promote},
		"the next CA has expired before it was promoted": {(*scene).stage, 400 * day, certs.StageNext},

		"the CA was promoted": {(*scene).promote, time.Hour, certs.RenewLeaf},
		"the CA was promoted, and is not published after all": {func(s *scene) {
			s.promote()
			s.Published = published(bundleOf(s.a))
		}, time.Hour, certs.PublishBundle},
		"the CA was promoted, and the API server is away": {func(s *scene) {
			s.promote()
			s.Secret, s.Published = certs.SecretStale, published(bundleOf(s.a))
		}, renewal + time.Hour, certs.Nothing},
		"the CA was promoted, and the API server is away until the leaf is about to expire": {func(s *scene) {
			s.promote()
			s.Secret, s.Published = certs.SecretStale, published(bundleOf(s.a))
		}, 6*day + 12*time.Hour, certs.RenewLeaf},

		"the overlap is a second short": {(*scene).retire, time.Hour - time.Second, certs.Nothing},
		"the overlap is over":           {(*scene).retire, time.Hour, certs.DropOld},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			tc.change(s)
			got, reason := certs.Next(s.State, start().Add(tc.after))
			if got.Kind != tc.want {
				t.Errorf("%s (%s), want %s", got.Kind, reason, tc.want)
			}
			if reason == "" {
				t.Error("there is no reason")
			}
		})
	}
}

// One replica alone goes the way that the package comment describes.
func TestARotationTakesTheStepsOfThePackageComment(t *testing.T) {
	s, old := settled(t)
	s.Rotate = true
	now := start()
	var steps []string
	for range 12 {
		action, _ := certs.Next(s, now)
		steps = append(steps, string(action.Kind))
		switch action.Kind {
		case certs.Nothing:
			if action.Until.IsZero() {
				t.Fatal("nothing will ever be due")
			}
			now = action.Until
		case certs.RenewLeaf:
			s.Leaf = mustLeaf(t, s.Authorities.Current, now)
		case certs.PublishBundle:
			s.Published = published(action.Bundle)
		default:
			after, err := s.Apply(action, now)
			if err != nil {
				t.Fatal(err)
			}
			s.Authorities = after
			s.Rotate = false
		}
		if action.Kind == certs.DropOld && now.Before(start().Add(certs.Overlap)) {
			t.Errorf("the old CA was dropped at %s, before the overlap was over", now)
		}
	}
	want := strings.Fields("StageNext PublishBundle ConfirmPublished Nothing Promote RenewLeaf Nothing RenewLeaf Nothing DropOld PublishBundle Nothing")
	if diff := cmp.Diff(want, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if s.Authorities.Bundle().Contains(old.Certificate) || !s.Authorities.Dropped.Contains(old.Certificate) {
		t.Error("the old CA is not among the dropped")
	}
}

func TestCloseToTheEndOfItsCAALeafIsNotRenewedInVain(t *testing.T) {
	a := mustAuthority(t, start(), 30*day)
	now := a.Certificate.NotAfter.Add(-time.Hour)
	s := certs.State{
		Policy: policy(), Secret: certs.SecretStale, Authorities: certs.Authorities{Current: a}, Leaf: mustLeaf(t, a, now),
	}
	for ; now.Before(a.Certificate.NotAfter); now = now.Add(time.Minute) {
		if action, reason := certs.Next(s, now); action.Kind != certs.Nothing {
			t.Fatalf("%s before the end: %s (%s); a new leaf could not live longer", a.Certificate.NotAfter.Sub(now), action.Kind, reason)
		}
	}
}
