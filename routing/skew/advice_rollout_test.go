package skew_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// reconcile is what the operator does: revisions are made or changed, and tags follow. Nothing of them runs yet.
func (u *user) reconcile() {
	for _, o := range u.mesh.Istios {
		if o.Observed {
			continue
		}
		o.Observed, o.Active = true, o.Name
		if o.Strategy == skew.RevisionBased {
			o.Active += "-" + strings.ReplaceAll(o.Version, ".", "-")
		}
		u.mesh.Istios = put(u.mesh.Istios, o)
		r, ok := u.find(skew.Ref{Kind: skew.KindRevision, Name: o.Active}).(skew.Revision)
		if !ok {
			r = revision(o.Active, "")
			r.Istio, r.Namespace, r.Istiod.Ready, r.Ready = o.Name, o.Namespace, 0, skew.NotReady
		}
		r.Version = released(o.Version)
		u.mesh.Revisions = put(u.mesh.Revisions, r)
	}
	u.mesh.Tags = slices.Clone(u.mesh.Tags)
	for i, t := range u.mesh.Tags {
		to := t.TargetName
		if o, ok := u.find(skew.Ref{Kind: skew.KindIstio, Name: to}).(skew.Istio); ok && t.TargetKind == string(skew.KindIstio) {
			to = o.Active
		}
		u.mesh.Tags[i].Revision = to
	}
}

// released is the version that the operator takes an alias for.
func released(version string) string { return strings.Replace(version, "-latest", ".3", 1) }

// rolledOut waits until what is declared runs.
func (u *user) rolledOut(what string) error {
	switch {
	case what == "daemonset/istio-cni-node" && u.mesh.CNI != nil:
		u.mesh.CNI = new(*u.mesh.CNI)
		u.mesh.CNI.DaemonSet = runs(released(u.mesh.CNI.Version))
		return nil
	case what == "daemonset/ztunnel" && u.mesh.ZTunnel != nil:
		u.mesh.ZTunnel = new(*u.mesh.ZTunnel)
		u.mesh.ZTunnel.DaemonSet = runs(released(u.mesh.ZTunnel.Version))
		return nil
	}
	name, ok := strings.CutPrefix(what, "deployment/istiod")
	if name = strings.TrimPrefix(name, "-"); name == "" {
		name = "default"
	}
	r, found := u.find(skew.Ref{Kind: skew.KindRevision, Name: name}).(skew.Revision)
	if !ok || !found {
		return errors.New("there is no such Deployment")
	}
	r.Istiod, r.Ready = runs(r.Version), skew.Ready
	u.mesh.Revisions = put(u.mesh.Revisions, r)
	return nil
}

// restart brings the pods of a namespace to what it asks for by now.
func (u *user) restart(name string) error {
	ns, _ := u.find(skew.Ref{Kind: skew.KindNamespace, Name: name}).(skew.Namespace)
	to := ns.Labels[routing.LabelRevision]
	if ns.Labels[routing.LabelInjection] == "enabled" {
		to = routing.DefaultRevision
	}
	if i := slices.IndexFunc(u.mesh.Tags, func(t routing.Tag) bool { return t.Name == to }); i >= 0 {
		to = u.mesh.Tags[i].Revision
	}
	var kept []skew.Workload
	for _, w := range u.mesh.Workloads {
		if w.Namespace == name {
			if w.Revision = to; to == "" {
				continue // without a sidecar
			}
			r, ok := u.find(skew.Ref{Kind: skew.KindRevision, Name: w.Revision}).(skew.Revision)
			if !ok || r.Istiod.Ready == 0 || len(r.Istiod.PodVersions) > 0 {
				return fmt.Errorf("no pod gets its sidecar from %s, which does not run or is being rolled out", w.Revision)
			}
			w.Version = "v" + r.Istiod.Version
		}
		kept = append(kept, w)
	}
	u.mesh.Workloads = kept
	return nil
}
