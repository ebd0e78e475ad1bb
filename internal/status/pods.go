package status

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Facts is all that is kept of a pod. Pods that agree in it are counted together, so that a cluster of 150,000 pods is
// as many values as its workloads have variants.
type Facts struct {
	// Runs is the owner of the pod, and the proxy that it has. Role is empty where it has none and is not ambient.
	// Pods is 0.
	Runs skew.Workload
	// Asks is what the pod says about injection, without its labels. Labels are all of them, each as key=value on a line
	// of its own, in order; values that no two pods share are left out.
	Asks   asks
	Labels string
	// Gateway is the Gateway for which istiod deployed the pod.
	Gateway string
	// Tag is the tag that the router followed when the pod was admitted.
	Tag string
	// Dataplane is the pod's own istio.io/dataplane-mode.
	Dataplane string
	// Running is set for pods of Istio's own components.
	Running inventory.Running
}

// Pod is the facts of one pod, and what cannot be shared with others.
type Pod struct {
	Facts
	// Consumer is set where the pod itself names a waypoint. It has the pod's name.
	Consumer skew.Consumer
}

// asks is [routing.Pod] as something that can be compared.
type asks struct {
	inject, revision, annotation   routing.Label
	hostNetwork, mirror, imageAuto bool
	workload                       routing.Workload
}

// PodOf returns what counts of a pod, with what its labels ask for as it was read for routing. ok is false for pods that
// have ended or are about to: nothing is to be done about them.
func PodOf(p *inventory.Pod, pod routing.Pod) (out Pod, ok bool) {
	if p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" || p.DeletionTimestamp != nil {
		return Pod{}, false
	}
	owner := ownerOf(p)
	runs, inMesh := p.Workload()
	if !inMesh {
		runs = skew.Workload{Namespace: p.Namespace, Kind: owner.Kind, Name: owner.Name}
	}
	runs.Pods = 0
	out.Facts = Facts{
		Runs: runs,
		Asks: asks{
			inject: pod.Inject, revision: pod.Revision, annotation: pod.InjectAnnotation,
			hostNetwork: pod.HostNetwork, mirror: pod.Mirror, imageAuto: pod.ImageAuto, workload: owner,
		},
		Labels:    labelsText(pod.Labels),
		Gateway:   p.Labels[labelGateway],
		Tag:       p.Annotations[routing.AnnotationTag],
		Dataplane: p.Labels[skew.LabelDataplaneMode],
	}
	out.Running, _ = p.Running()
	if c, ok := p.Consumer(); ok {
		out.Consumer = c
	}
	return out, true
}

// labelGateway is on the pods that istiod deploys for a Gateway.
const labelGateway = "gateway.networking.k8s.io/gateway-name"

func ownerOf(p *inventory.Pod) routing.Workload {
	origin := routing.PodOrigin{
		TemplateHash: p.Labels[routing.LabelTemplateHash], RolloutHash: p.Labels[routing.LabelRolloutHash],
		DeploymentConfig: p.Annotations[routing.AnnotationDeploymentConfig], GenerateName: p.GenerateName, Name: p.Name,
	}
	for _, o := range p.OwnerReferences {
		if o.Controller != nil && *o.Controller {
			origin.OwnerKind, origin.OwnerName = o.Kind, o.Name
		}
	}
	return origin.Workload()
}

// labelsText keeps what a selector of a revision can look at. The value of a label that differs from pod to pod is
// left out: no selector that makes sense names one, and it would keep pods from being counted together.
func labelsText(labels []routing.Pair) string {
	var b strings.Builder
	for _, l := range labels {
		b.WriteString(l.Key + "=")
		if !perPod(l.Key) {
			b.WriteString(l.Value)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func perPod(label string) bool {
	switch label {
	case routing.LabelTemplateHash, routing.LabelRolloutHash, "controller-revision-hash", "pod-template-generation",
		"statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "controller-uid",
		"batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-completion-index",
		routing.LabelRoutedRevision, routing.LabelRoutedVersion:
		return true
	}
	return false
}

func (f Facts) pod() routing.Pod {
	pod := routing.Pod{
		Inject: f.Asks.inject, Revision: f.Asks.revision, InjectAnnotation: f.Asks.annotation,
		HostNetwork: f.Asks.hostNetwork, Mirror: f.Asks.mirror, ImageAuto: f.Asks.imageAuto, Workload: f.Asks.workload,
	}
	for line := range strings.Lines(f.Labels) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		pod.Labels = append(pod.Labels, routing.Pair{Key: key, Value: value})
	}
	return pod
}

// Group is pods that agree in everything that counts.
type Group struct {
	Facts
	Pods int
}

// Inventory counts pods. The zero value is not usable; see [NewInventory]. It is for one goroutine.
type Inventory struct {
	count     map[Facts]int
	consumers map[skew.Consumer]int
}

// NewInventory returns an empty one.
func NewInventory() *Inventory {
	return &Inventory{count: map[Facts]int{}, consumers: map[skew.Consumer]int{}}
}

// Add counts one more pod.
func (i *Inventory) Add(p Pod) { i.change(p, 1) }

// Remove takes back what was added.
func (i *Inventory) Remove(p Pod) { i.change(p, -1) }

func (i *Inventory) change(p Pod, by int) {
	if i.count[p.Facts] += by; i.count[p.Facts] == 0 {
		delete(i.count, p.Facts)
	}
	if !p.Consumer.UseWaypoint.Present {
		return
	}
	if i.consumers[p.Consumer] += by; i.consumers[p.Consumer] == 0 {
		delete(i.consumers, p.Consumer)
	}
}

// Groups returns what was counted, in an order that depends on nothing else.
func (i *Inventory) Groups() []Group {
	groups := make([]Group, 0, len(i.count))
	for f, n := range i.count {
		groups = append(groups, Group{Facts: f, Pods: n})
	}
	slices.SortFunc(groups, compareGroups)
	return groups
}

// Parts is what the pods add to a mesh that was read without them: the fields of the same names.
func (i *Inventory) Parts() inventory.Parts {
	var parts inventory.Parts
	workloads, running := map[skew.Workload]int{}, map[inventory.Running]bool{}
	for f, n := range i.count {
		if f.Runs.Role != "" {
			workloads[f.Runs] += n
		}
		if f.Running != (inventory.Running{}) {
			running[f.Running] = true
		}
	}
	for w, pods := range workloads {
		w.Pods = pods
		parts.Workloads = append(parts.Workloads, w)
	}
	slices.SortFunc(parts.Workloads, compareWorkloads)
	parts.Running, parts.Consumers = slices.Collect(maps.Keys(running)), slices.Collect(maps.Keys(i.consumers))
	return parts
}

func compareGroups(a, b Group) int {
	return cmp.Or(
		compareWorkloads(a.Runs, b.Runs), cmp.Compare(a.Labels, b.Labels), cmp.Compare(a.Gateway, b.Gateway),
		cmp.Compare(a.Tag, b.Tag), cmp.Compare(a.Dataplane, b.Dataplane), compareAsks(a.Asks, b.Asks),
		cmp.Compare(a.Running.Version, b.Running.Version),
	)
}

func compareWorkloads(a, b skew.Workload) int {
	return cmp.Or(
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Role, b.Role), cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Version, b.Version),
		cmp.Compare(a.Label, b.Label),
	)
}

func compareAsks(a, b asks) int {
	text := func(l routing.Label) string {
		if !l.Present {
			return ""
		}
		return "=" + l.Value
	}
	number := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	return cmp.Or(
		cmp.Compare(text(a.inject), text(b.inject)), cmp.Compare(text(a.revision), text(b.revision)),
		cmp.Compare(text(a.annotation), text(b.annotation)), cmp.Compare(number(a.hostNetwork), number(b.hostNetwork)),
		cmp.Compare(number(a.mirror), number(b.mirror)), cmp.Compare(number(a.imageAuto), number(b.imageAuto)),
	)
}
