package skew_test

import (
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// bits is a set of revisions; revision n has minor n for ever.
type bits uint8

func (b bits) has(n int) bool { return n != none && b&(1<<n) != 0 }

// revisionState is a mesh with one RevisionBased Istio.
type revisionState struct {
	// exist are the revisions that the operator has made, running those whose istiod runs.
	exist, running bits
	// want is the version of the Istio, active the revision that its status names.
	want, active int
	// ns is the revision that the one namespace asks for, pods the one that its pods run with.
	ns, pods     int
	cni, ztunnel single
}

func revisionName(n int) string { return "default-" + strings.ReplaceAll(minor(n), ".", "-") }

// revisionStates lists the states with an Istio whose status names an existing revision. Singletons have rolled out:
// what their pods lag behind is covered with one control plane.
func revisionStates(versions int) []revisionState {
	var list []revisionState
	for exist := bits(1); exist < 1<<versions; exist++ {
		for running := bits(0); running < 1<<versions; running++ {
			if running&^exist == 0 {
				list = append(list, revisionStatesOf(versions, exist, running)...)
			}
		}
	}
	return list
}

func revisionStatesOf(versions int, exist, running bits) []revisionState {
	var list []revisionState
	for want := range versions {
		for active := range versions {
			for ns := none; ns < versions; ns++ {
				for pods := none; pods < versions; pods++ {
					if !exist.has(active) || ns != none && !exist.has(ns) || pods != none && !running.has(pods) {
						continue
					}
					for c := none; c < versions; c++ {
						for z := none; z < versions; z++ {
							list = append(list, revisionState{exist, running, want, active, ns, pods, single{c, c}, single{z, z}})
						}
					}
				}
			}
		}
	}
	return list
}

func (s revisionState) mesh() skew.Mesh {
	m := skew.Mesh{Istios: []skew.Istio{s.istio()}, CNI: s.cni.cni(), ZTunnel: s.ztunnel.ztunnel(), Namespaces: []skew.Namespace{s.namespace()}}
	for n := range 8 {
		if s.exist.has(n) {
			m.Revisions = append(m.Revisions, s.revision(n))
		}
	}
	if s.pods != none {
		m.Workloads = []skew.Workload{deployment("bookinfo", "reviews", revisionName(s.pods), minor(s.pods))}
	}
	return m
}

func (s revisionState) istio() skew.Istio {
	o := istio(minor(s.want), skew.RevisionBased)
	o.Active, o.Observed = revisionName(s.active), s.want == s.active
	return o
}

func (s revisionState) revision(n int) skew.Revision {
	r := revision(revisionName(n), minor(n))
	if !s.running.has(n) {
		r.Istiod.Ready, r.Ready = 0, skew.NotReady
	}
	return r
}

func (s revisionState) namespace() skew.Namespace {
	if s.ns == none {
		return namespace("bookinfo")
	}
	return namespace("bookinfo", routing.LabelRevision+"="+revisionName(s.ns))
}

// live are the revisions that count: what the Istio asks for and what its status still says, and what is used.
func (s revisionState) live() bits {
	b := bits(1) << s.want
	for _, n := range []int{s.active, s.ns, s.pods} {
		if s.exist.has(n) {
			b |= 1 << n
		}
	}
	return b
}
