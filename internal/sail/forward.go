package sail

import (
	"slices"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// oldest is the first minor version whose chart renders no webhooks for tags with global.operatorManageWebhooks.
const oldest = "v1.28"

// ActiveRevisions maps each Istio to the revision that it means at the moment.
func ActiveRevisions(istios []Istio) map[string]string {
	active := make(map[string]string, len(istios))
	for i := range istios {
		active[istios[i].Name] = istios[i].Status.ActiveRevisionName
	}
	return active
}

// forward adds what counts only where the router injects: which revisions take pods and why not, how their versions
// are ordered, and where tags are meant to lead.
func (i Inventory) forward(o *routing.Objects) {
	o.Mode = routing.Forward
	ready := map[Endpoints]bool{}
	for _, e := range i.Endpoints {
		ready[e] = true
	}
	order := versionOrder(o.Revisions)
	for n := range o.Revisions {
		r := &o.Revisions[n]
		if r.Origin != routing.Sail {
			continue
		}
		r.Order = order(r.Version)
		r.Unroutable = i.unroutable(r, ready)
	}
	for n := range o.Tags {
		switch t := &o.Tags[n]; t.TargetKind {
		case "IstioRevision":
			t.Target = t.TargetName
		case "Istio":
			t.Target = i.Active[t.TargetName]
		}
	}
}

// unroutable is why a revision takes no pods. What runs outside of the cluster, behind a URL, has no endpoints here:
// that it is away is found out by calling it.
func (i Inventory) unroutable(r *routing.Revision, ready map[Endpoints]bool) routing.Unroutable {
	if r.Deleting {
		return routing.BeingDeleted
	}
	if v := skew.Parse(r.Version); v.Known() && v.MinorsAhead(skew.Parse(oldest)) < 0 {
		return routing.TooOld
	}
	if _, why := i.injector(r); why != "" {
		return why
	}
	service := Endpoints{Namespace: r.Namespace, Service: r.Service(), Ready: true}
	if i.Reaches[r.Name].URL == "" && !i.AssumeEndpoints && !ready[service] {
		return routing.NoEndpoints
	}
	return ""
}

// versionOrder ranks the known versions of the Sail Operator's revisions from 1, and unknown ones 0.
func versionOrder(revisions []routing.Revision) func(version string) int {
	var known []skew.Version
	for n := range revisions {
		if v := skew.Parse(revisions[n].Version); v.Known() && revisions[n].Origin == routing.Sail {
			known = append(known, v)
		}
	}
	slices.SortFunc(known, skew.Version.Compare)
	known = slices.Compact(known)
	return func(version string) int {
		if at := slices.Index(known, skew.Parse(version)); at >= 0 {
			return at + 1
		}
		return 0
	}
}
