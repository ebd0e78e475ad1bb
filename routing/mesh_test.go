package routing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

// resolved is a resolution without pointers.
type resolved struct {
	revision, tag string
	reason        routing.Reason
}

func resolve(m *routing.Mesh, name string) resolved {
	r := m.Resolve(name)
	out := resolved{reason: r.Reason}
	if r.Revision != nil {
		out.revision = r.Revision.Name
	}
	if r.Tag != nil {
		out.tag = r.Tag.Name
	}
	return out
}

func TestResolve(t *testing.T) {
	m := meshOf(routing.Objects{
		Revisions: []routing.Revision{revision("1-30"), revision("1-31")},
		Tags: []routing.Tag{
			tag("prod", "1-31"), tag("gone", "1-29"), tag("new", ""), tag("chained", "prod"), tag("itself", "itself"),
		},
	})
	cases := map[string]struct {
		name string
		want resolved
	}{
		"a revision's name leads to it":              {"1-30", resolved{revision: "1-30"}},
		"a tag leads to its revision":                {"prod", resolved{revision: "1-31", tag: "prod"}},
		"a tag of a revision that is gone dangles":   {"gone", resolved{tag: "gone", reason: routing.DanglingTag}},
		"a tag that was never reconciled dangles":    {"new", resolved{tag: "new", reason: routing.DanglingTag}},
		"a tag never leads to another tag":           {"chained", resolved{tag: "chained", reason: routing.DanglingTag}},
		"a tag never leads to itself":                {"itself", resolved{tag: "itself", reason: routing.DanglingTag}},
		"any other name is unknown":                  {"1-29", resolved{reason: routing.UnknownRevision}},
		"the empty name is unknown":                  {"", resolved{reason: routing.UnknownRevision}},
		"names are compared as they are":             {"PROD", resolved{reason: routing.UnknownRevision}},
		"there is no default unless it is installed": {"default", resolved{reason: routing.UnknownRevision}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := resolve(m, tc.name); got != tc.want {
				t.Errorf("%q resolves to %+v, want %+v", tc.name, got, tc.want)
			}
		})
	}
}

// A revision and a tag of one name: Sail installs the older one only.
func TestOneNameForARevisionAndATag(t *testing.T) {
	toRevision, toTag := resolved{revision: "x"}, resolved{revision: "y", tag: "x"}
	type object struct {
		origin  routing.Origin
		created time.Time
		uid     string
	}
	sail, webhook := routing.Sail, routing.Webhook
	cases := map[string]struct {
		revision, tag object
		want          resolved
	}{
		"the revision is older":                         {object{sail, day(1), "b"}, object{sail, day(2), "a"}, toRevision},
		"the tag is older":                              {object{sail, day(2), "a"}, object{sail, day(1), "b"}, toTag},
		"of one age, the revision has the lower UID":    {object{sail, day(1), "a"}, object{sail, day(1), "b"}, toRevision},
		"of one age, the tag has the lower UID":         {object{sail, day(1), "b"}, object{sail, day(1), "a"}, toTag},
		"Sail's revision comes before an older webhook": {object{sail, day(2), "b"}, object{webhook, day(1), "a"}, toRevision},
		"Sail's tag comes before an older webhook":      {object{webhook, day(1), "a"}, object{sail, day(2), "b"}, toTag},
		"both are webhooks and the revision is older":   {object{webhook, day(1), "b"}, object{webhook, day(2), "a"}, toRevision},
		"both are webhooks and the tag is older":        {object{webhook, day(2), "a"}, object{webhook, day(1), "b"}, toTag},
		"both are webhooks of one age and the tag wins": {object{webhook, day(1), "b"}, object{webhook, day(1), "a"}, toTag},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			x, tagged := revision("x"), tag("x", "y")
			x.Origin, x.Created, x.UID = tc.revision.origin, tc.revision.created, tc.revision.uid
			tagged.Origin, tagged.Created, tagged.UID = tc.tag.origin, tc.tag.created, tc.tag.uid
			m := meshOf(routing.Objects{
				Revisions: []routing.Revision{x, revision("y")}, Tags: []routing.Tag{tagged},
			})
			if got := resolve(m, "x"); got != tc.want {
				t.Errorf("x resolves to %+v, want %+v", got, tc.want)
			}
		})
	}
}

// The configurations of Sail's revisions and tags carry the same names as its objects.
func TestOneNameFromTwoSources(t *testing.T) {
	ofWebhook := revision("x")
	ofWebhook.Origin, ofWebhook.Created, ofWebhook.Version = routing.Webhook, day(1), "v0.0.1"
	ofSail := revision("x")
	ofSail.Created = day(5)
	tagOfWebhook, tagOfSail := tag("prod", "y"), tag("prod", "x")
	tagOfWebhook.Origin, tagOfWebhook.Created = routing.Webhook, day(1)
	m := meshOf(routing.Objects{
		Revisions: []routing.Revision{ofWebhook, ofSail, revision("y")},
		Tags:      []routing.Tag{tagOfWebhook, tagOfSail},
	})
	if r := m.Resolve("x").Revision; r == nil || r.Version != "v1.30.0" {
		t.Errorf("x resolves to %+v, want the one of Sail", r)
	}
	if got, want := resolve(m, "prod"), (resolved{revision: "x", tag: "prod"}); got != want {
		t.Errorf("prod resolves to %+v, want %+v, as Sail says", got, want)
	}
	if n := len(m.Revisions()); n != 2 {
		t.Errorf("%d revisions, want 2: one object for a name", n)
	}
	if n := len(m.Tags()); n != 1 {
		t.Errorf("%d tags, want 1: one object for a name", n)
	}
}

// Until Sail has reconciled a tag there is no webhook for it, and plain Istio's of that name go on injecting.
func TestTagThatWasNeverReconciled(t *testing.T) {
	plain := revision("default")
	plain.Origin = routing.Webhook
	istioctls := tag("prod", "y")
	istioctls.Origin, istioctls.Created = routing.Webhook, day(9)
	m := meshOf(routing.Objects{
		Revisions: []routing.Revision{plain, revision("y"), revision("z")},
		Tags:      []routing.Tag{tag("default", ""), tag("prod", ""), istioctls},
	})
	if got, want := resolve(m, "default"), (resolved{revision: "default"}); got != want {
		t.Errorf("default resolves to %+v, want %+v, which plain Istio installed", got, want)
	}
	if got, want := resolve(m, "prod"), (resolved{revision: "y", tag: "prod"}); got != want {
		t.Errorf("prod resolves to %+v, want %+v, which istioctl made", got, want)
	}

	// A revision of Sail's that is younger than the tag was not installed either: Sail refuses it.
	younger := revision("canary")
	younger.Created = day(3)
	m = meshOf(routing.Objects{Revisions: []routing.Revision{younger}, Tags: []routing.Tag{tag("canary", "")}})
	if got, want := resolve(m, "canary"), (resolved{tag: "canary", reason: routing.DanglingTag}); got != want {
		t.Errorf("canary resolves to %+v, want %+v", got, want)
	}
}

// istioctl tag set default takes the name away from the revision in place, but not its tags.
func TestDeactivatedRevision(t *testing.T) {
	inPlace := revision("default")
	inPlace.Origin, inPlace.Deactivated = routing.Webhook, true
	inPlace.Injection.EnableNamespacesByDefault = true
	moved := tag("default", "1-31")
	moved.Origin = routing.Webhook
	cases := map[string]struct {
		tags []routing.Tag
		want map[string]resolved
	}{
		"the tag default has the name, although it is younger": {
			[]routing.Tag{moved, tag("prod", "default")},
			map[string]resolved{
				"default": {revision: "1-31", tag: "default"},
				"prod":    {revision: "default", tag: "prod"},
			},
		},
		"without the tag the name leads nowhere": {
			[]routing.Tag{tag("prod", "default")},
			map[string]resolved{
				"default": {reason: routing.UnknownRevision},
				"prod":    {revision: "default", tag: "prod"},
			},
		},
		"the tag default may lead to it": {
			[]routing.Tag{tag("default", "default")},
			map[string]resolved{"default": {revision: "default", tag: "default"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := meshOf(routing.Objects{Revisions: []routing.Revision{inPlace, revision("1-31")}, Tags: tc.tags})
			for wanted, want := range tc.want {
				if got := resolve(m, wanted); got != want {
					t.Errorf("%s resolves to %+v, want %+v", wanted, got, want)
				}
			}
			d := routing.Decide(routing.Input{Mesh: m, Namespace: routing.Namespace{Name: "bookinfo"}})
			if auto := resolve(m, "default").revision == "default"; (d.Action == routing.Inject) != auto {
				t.Errorf("a pod without labels: %s by %s, want a sidecar: %t", d.Action, d.Reason, auto)
			}
		})
	}
}

// enableNamespacesByDefault has an effect only on the revision that "default" leads to.
func TestNamespacesByDefault(t *testing.T) {
	auto, other := revision("auto"), revision("other")
	auto.Injection.EnableNamespacesByDefault = true
	cases := map[string]struct {
		tags []routing.Tag
		want routing.Reason
	}{
		"the tag default leads to the revision with it": {
			[]routing.Tag{tag("default", "auto")}, routing.NamespacesByDefault,
		},
		"the tag default leads to a revision without it": {[]routing.Tag{tag("default", "other")}, routing.NotSelected},
		"another tag leads to the revision with it":      {[]routing.Tag{tag("prod", "auto")}, routing.NotSelected},
		"there is no default":                            {nil, routing.NotSelected},
		"the tag default dangles":                        {[]routing.Tag{tag("default", "gone")}, routing.NotSelected},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := meshOf(routing.Objects{Revisions: []routing.Revision{auto, other}, Tags: tc.tags})
			d := routing.Decide(routing.Input{Mesh: m, Namespace: routing.Namespace{Name: "bookinfo"}})
			if d.Reason != tc.want {
				t.Errorf("a pod without labels: %s, want %s", d.Reason, tc.want)
			}
			for _, system := range systemNamespaces() {
				d := routing.Decide(routing.Input{Mesh: m, Namespace: routing.Namespace{Name: system}})
				if d.Reason != routing.NotSelected {
					t.Errorf("a pod without labels in %s: %s, want %s", system, d.Reason, routing.NotSelected)
				}
			}
		})
	}
}

func TestMeshListsWhatItHolds(t *testing.T) {
	ns := routing.Namespace{Name: "bookinfo", Injection: present("enabled")}
	m := meshOf(routing.Objects{
		Revisions:  []routing.Revision{revision("b"), revision("a")},
		Tags:       []routing.Tag{tag("d", "a"), tag("c", "b")},
		Namespaces: []routing.Namespace{ns, {Name: "default"}},
	})
	if diff := cmp.Diff([]routing.Revision{revision("a"), revision("b")}, m.Revisions()); diff != "" {
		t.Errorf("revisions (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]routing.Tag{tag("c", "b"), tag("d", "a")}, m.Tags()); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if got, ok := m.Namespace("bookinfo"); !ok || got != ns {
		t.Errorf("namespace bookinfo: %+v, %t, want %+v", got, ok, ns)
	}
	if got, ok := m.Namespace("gone"); ok {
		t.Errorf("a namespace that does not exist: %+v", got)
	}
	if n := m.NamespaceCount(); n != 2 {
		t.Errorf("%d namespaces, want 2", n)
	}
	if m.Empty() || m.UsesPodLabels() {
		t.Errorf("empty %t, uses labels of pods %t, want neither", m.Empty(), m.UsesPodLabels())
	}
	if !meshOf(routing.Objects{Tags: []routing.Tag{tag("prod", "gone")}}).Empty() {
		t.Error("a mesh with a tag and no revision is not empty")
	}
	always := []routing.Selector{{{Key: "app", Operator: routing.OpExists}}}
	if !valuesMesh(routing.Injection{AlwaysInject: always}).UsesPodLabels() {
		t.Error("a mesh with an alwaysInjectSelector does not use labels of pods")
	}
}
