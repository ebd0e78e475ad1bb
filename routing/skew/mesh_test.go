package skew_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/message"
)

// runs is a finished rollout of a version.
func runs(version string) skew.Rollout {
	return skew.Rollout{
		Found: true, Version: strings.TrimPrefix(version, "v"), Observed: true, Pods: 1, Updated: 1, Ready: 1,
	}
}

// rolling is an unfinished rollout from one version to another.
func rolling(from, to string) skew.Rollout {
	return skew.Rollout{
		Found: true, Version: to, Observed: true, Pods: 2, Updated: 1, Ready: 2, PodVersions: []string{from, to},
	}
}

func istio(version string, strategy skew.Strategy) skew.Istio {
	o := skew.Istio{
		Name: "default", Namespace: "istio-system", Version: version, Strategy: strategy, Active: "default", Observed: true,
	}
	if strategy == skew.RevisionBased {
		o.Active = "default-" + strings.ReplaceAll(version, ".", "-")
	}
	return o
}

func revision(name, version string) skew.Revision {
	return skew.Revision{
		Revision: routing.Revision{
			Name: name, Version: version, Namespace: "istio-system", Istio: "default", Origin: routing.Sail,
		},
		Istiod: runs(version), Ready: skew.Ready,
	}
}

func cni(version string) skew.CNI {
	return skew.CNI{Name: "default", Namespace: "istio-cni", Version: version, DaemonSet: runs(version)}
}

func ztunnel(version string) skew.ZTunnel {
	return skew.ZTunnel{
		Name: "default", Namespace: "ztunnel", Version: version, DaemonSet: runs(version), GraceSeconds: 300,
	}
}

func namespace(name string, labels ...string) skew.Namespace {
	n := skew.Namespace{Name: name, Labels: map[string]string{}}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		n.Labels[key] = value
	}
	return n
}

func deployment(ns, name, revision, version string) skew.Workload {
	return skew.Workload{
		Namespace: ns, Kind: "Deployment", Name: name, Role: skew.Sidecar, Revision: revision, Version: version, Pods: 2,
	}
}

func waypointGateway(ns, name string) skew.Gateway {
	return skew.Gateway{
		Namespace: ns, Name: name, Class: "istio-waypoint",
		Listeners: []skew.Listener{{Protocol: "HBONE", Port: 15008}},
	}
}

func tag(name, kind, target, status string) skew.Tag {
	return skew.Tag{Tag: routing.Tag{
		Name: name, TargetKind: kind, TargetName: target, Revision: status, Origin: routing.Sail,
	}}
}

// inPlace is a mesh with one control plane that is updated in place.
func inPlace(version string) skew.Mesh {
	return skew.Mesh{
		Istios:     []skew.Istio{istio(version, skew.InPlace)},
		Revisions:  []skew.Revision{revision("default", version)},
		Namespaces: []skew.Namespace{namespace("bookinfo", "istio-injection=enabled")},
	}
}

// revisionBased is a mesh whose Istio is at the last of the versions, with a revision for each of them.
func revisionBased(versions ...string) skew.Mesh {
	m := skew.Mesh{Istios: []skew.Istio{istio(versions[len(versions)-1], skew.RevisionBased)}}
	for _, v := range versions {
		m.Revisions = append(m.Revisions, revision("default-"+strings.ReplaceAll(v, ".", "-"), v))
	}
	return m
}

// ambient is an in-place mesh with IstioCNI, ZTunnel and an ambient namespace.
func ambient(version string) skew.Mesh {
	m := inPlace(version)
	m.CNI, m.ZTunnel = new(cni(version)), new(ztunnel(version))
	m.Istios[0].Ambient = true
	m.Namespaces = []skew.Namespace{namespace("bookinfo", "istio.io/dataplane-mode=ambient")}
	return m
}

func update(o, n skew.Object) skew.Change {
	return skew.Change{Operation: skew.Update, Old: o, New: n, User: "alice"}
}

func create(o skew.Object) skew.Change {
	return skew.Change{Operation: skew.Create, New: o, User: "alice"}
}

func remove(o skew.Object) skew.Change {
	return skew.Change{Operation: skew.Delete, Old: o, User: "alice"}
}

// toVersion is the update of a Sail object to another version.
func toVersion(o skew.Object, version string) skew.Change {
	switch n := o.(type) {
	case skew.Istio:
		n.Version = version
		return update(o, n)
	case skew.Revision:
		n.Version = version
		return update(o, n)
	case skew.CNI:
		n.Version = version
		return update(o, n)
	case skew.ZTunnel:
		n.Version = version
		return update(o, n)
	}
	panic("no version")
}

// levels is what a test expects of findings: "Deny CNISkew".
func levels(findings []skew.Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, string(f.Level)+" "+string(f.Rule))
	}
	return list
}

// tc is one case of Check.
type tc struct {
	mesh   skew.Mesh
	change skew.Change
	policy *skew.Policy
	want   []string
	// says are parts of the first message.
	says []string
}

// answers holds of all findings that deny: they are on the page of messages, and each of their steps is a command.
func answers(t *testing.T, found []skew.Finding) {
	t.Helper()
	for _, f := range found {
		if f.Level != skew.Deny {
			continue
		}
		message.Documented(t, f.Message)
		if len(f.NextSteps) == 0 {
			t.Errorf("no step in %q", f.Message)
		}
		for _, step := range f.NextSteps {
			if strings.Contains(step, "<revision>") {
				t.Errorf("no revision to choose in %q", f.Message)
			}
			if tool, _, _ := strings.Cut(step, " "); tool != "kubectl" && tool != "istioctl" && tool != "oc" {
				t.Errorf("%q is no command, in %q", step, f.Message)
			}
		}
	}
}

func run(t *testing.T, cases map[string]tc) {
	t.Helper()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			policy := skew.DefaultPolicy()
			if tc.policy != nil {
				policy = *tc.policy
			}
			found := skew.Check(&tc.mesh, tc.change, policy)
			answers(t, found)
			if diff := cmp.Diff(tc.want, levels(found)); diff != "" {
				t.Fatalf("findings (-want +got):\n%s\n%+v", diff, found)
			}
			for _, part := range tc.says {
				if !strings.Contains(found[0].Message, part) {
					t.Errorf("message %q does not say %q", found[0].Message, part)
				}
			}
		})
	}
}
