package status_test

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// world is a mesh in the making.
type world struct {
	mode       routing.Mode
	istios     []skew.Istio
	revisions  []skew.Revision
	tags       []routing.Tag
	namespaces []skew.Namespace
	gateways   []skew.Gateway
	cni        *skew.CNI
	pods       *status.Inventory
	only       string
	overlaps   []sail.Overlap
}

func newWorld(mode routing.Mode, strategy skew.Strategy, versions ...string) *world {
	w := &world{mode: mode, pods: status.NewInventory()}
	last := versions[len(versions)-1]
	istio := skew.Istio{Name: "default", Namespace: "istio-system", Version: last, Strategy: strategy, Active: "default", Observed: true}
	if strategy == skew.RevisionBased {
		istio.Active = named(last)
	}
	w.istios = []skew.Istio{istio}
	for i, v := range versions {
		name := "default"
		if strategy == skew.RevisionBased {
			name = named(v)
		}
		w.revisions = append(w.revisions, skew.Revision{
			Revision: routing.Revision{
				Name: name, Version: v, Namespace: "istio-system", Istio: "default", Origin: routing.Sail, Order: i + 1,
			},
			Istiod: rollout(v), Ready: skew.Ready,
		})
	}
	return w
}

func named(version string) string { return "default-" + strings.ReplaceAll(version, ".", "-") }

func rollout(versions ...string) skew.Rollout {
	r := skew.Rollout{Found: true, Version: versions[len(versions)-1], Observed: true, Pods: len(versions), Updated: 1, Ready: len(versions)}
	if len(versions) > 1 {
		r.PodVersions = versions
	}
	return r
}

func (w *world) tag(name, target, leads string, rollout routing.Rollout) *world {
	w.tags = append(w.tags, routing.Tag{
		Name: name, TargetKind: "IstioRevision", TargetName: target, Target: target, Revision: leads, Origin: routing.Sail, Rollout: rollout,
	})
	return w
}

func (w *world) namespace(name string, labels map[string]string) *world {
	w.namespaces = append(w.namespaces, skew.Namespace{Name: name, Labels: labels})
	return w
}

// runs adds a Deployment, such as shop/cart, with pods that have the proxy; none where it is the zero value.
func (w *world) runs(deployment string, proxy status.Proxy, pods int, change ...func(*inventory.Pod)) *world {
	namespace, name, _ := strings.Cut(deployment, "/")
	revision, version := proxy.Revision, proxy.Version
	for i := range pods {
		controller := true
		p := &inventory.Pod{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: fmt.Sprintf("%s-5d-%d", name, i), Labels: map[string]string{"pod-template-hash": "5d"},
			Annotations:     map[string]string{},
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: name + "-5d", Controller: &controller}},
		}}
		p.Spec.Containers = []inventory.Container{{Name: "app", Image: "app:1"}}
		if revision != "" {
			p.Annotations["istio.io/rev"] = revision
			p.Annotations["sidecar.istio.io/status"] = "{}"
			p.Spec.Containers = append(p.Spec.Containers, inventory.Container{Name: "istio-proxy", Image: "proxyv2:" + strings.TrimPrefix(version, "v")})
		}
		for _, c := range change {
			c(p)
		}
		asks := routing.Pod{
			Inject: routing.LabelOf(p.Labels, routing.LabelInject), Revision: routing.LabelOf(p.Labels, routing.LabelRevision),
		}
		if facts, ok := status.PodOf(p, asks); ok {
			w.pods.Add(facts)
		}
	}
	return w
}

func labelled(key, value string) func(*inventory.Pod) {
	return func(p *inventory.Pod) { p.Labels[key] = value }
}

func owned(kind string) func(*inventory.Pod) {
	return func(p *inventory.Pod) {
		p.OwnerReferences[0].Kind = kind
		p.OwnerReferences[0].Name = strings.TrimSuffix(p.OwnerReferences[0].Name, "-5d")
	}
}

func (w *world) report() *status.Report {
	parts := w.pods.Parts()
	parts.Istios, parts.Revisions, parts.Tags = w.istios, w.revisions, w.tags
	parts.Namespaces, parts.Gateways = w.namespaces, w.gateways
	if w.cni != nil {
		parts.CNIs = []skew.CNI{*w.cni}
	}
	m := parts.Mesh()
	o := routing.Objects{Tags: slices.Clone(w.tags), Mode: w.mode}
	for i, r := range m.Revisions {
		m.Revisions[i].Istiod = w.revisions[i].Istiod
		o.Revisions = append(o.Revisions, r.Revision)
	}
	for _, n := range w.namespaces {
		o.Namespaces = append(o.Namespaces, routing.NamespaceOf(n.Name, n.Labels))
	}
	return status.New(status.Input{
		Mesh: routing.NewMesh(o), Skew: m, Pods: w.pods.Groups(), Policy: skew.DefaultPolicy(), Namespace: w.only, Overlaps: w.overlaps,
	})
}

func to(revision string) map[string]string { return map[string]string{"istio.io/rev": revision} }

const (
	oldRevision, newRevision = "default-v1-29-6", "default-v1-30-3"
	oldVersion, newVersion   = "v1.29.6", "v1.30.3"
)

func twoRevisions() *world {
	return newWorld(routing.Guard, skew.RevisionBased, oldVersion, newVersion)
}

func older() status.Proxy { return status.Proxy{Revision: oldRevision, Version: oldVersion} }

func newer() status.Proxy { return status.Proxy{Revision: newRevision, Version: newVersion} }
