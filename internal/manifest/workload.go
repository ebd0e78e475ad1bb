package manifest

import (
	"cmp"
	"errors"
	"slices"

	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing"
)

const (
	// imageAuto is the image that injection replaces by the proxy's.
	imageAuto = "auto"
	// labelApp with the value istiod marks what Istio's charts make for a control plane.
	labelApp = "app"
)

// Workload is a pod, or an object that makes pods from a template.
type Workload struct {
	// Pod is the pod itself, or what the template makes. All its labels are there.
	Pod routing.Pod
	// Controller is the kind and name of the object that made this one; empty where there is none.
	ControllerKind, ControllerName string
	// GenerateName and DeploymentConfig are what a pod's workload is told by, besides its labels.
	GenerateName, DeploymentConfig string
	// Replicas that are asked for; -1 where the kind has none or leaves it to the API's default.
	Replicas int
	// Istiod is set on Deployments of control planes.
	Istiod *sail.Istiod
}

// History reports whether this is a ReplicaSet that a Deployment keeps at zero to roll back to: it makes no pods,
// and a roll-back goes through the Deployment's own template.
func (w *Workload) History() bool {
	return w.ControllerKind == "Deployment" && w.Replicas == 0
}

// metadata holds the fields of metav1.ObjectMeta that are read here. The type of metav1 would cost several times
// as much for tens of thousands of pods.
type metadata struct {
	Name            string            `json:"name"`
	GenerateName    string            `json:"generateName"`
	Namespace       string            `json:"namespace"`
	Labels          map[string]string `json:"labels"`
	Annotations     map[string]string `json:"annotations"`
	OwnerReferences []struct {
		Kind       string `json:"kind"`
		Name       string `json:"name"`
		Controller bool   `json:"controller"`
	} `json:"ownerReferences"`
}

func (m *metadata) identity() identity {
	return identity{name: m.Name, generateName: m.GenerateName, namespace: m.Namespace}
}

type podSpec struct {
	HostNetwork    bool        `json:"hostNetwork"`
	Containers     []container `json:"containers"`
	InitContainers []container `json:"initContainers"`
}

type container struct {
	Image string `json:"image"`
}

func (s *podSpec) imageAuto() bool {
	auto := func(c container) bool { return c.Image == imageAuto }
	return slices.ContainsFunc(s.Containers, auto) || slices.ContainsFunc(s.InitContainers, auto)
}

// template is a pod template. It is a pointer wherever it is required, to tell that it is missing.
type template struct {
	Metadata metadata `json:"metadata"`
	Spec     podSpec  `json:"spec"`
}

var errNoTemplate = errors.New("the pod template is missing")

func decodePod(d *decoder, raw []byte) (identity, any, error) {
	var in template
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	w := d.workload(&in.Metadata, &in)
	_, mirror := in.Metadata.Annotations[routing.AnnotationMirror]
	w.Pod.Mirror = mirror
	return in.Metadata.identity(), w, nil
}

func decodeTemplate(d *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			Replicas *int      `json:"replicas"`
			Template *template `json:"template"`
		} `json:"spec"`
	}
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	id := in.Metadata.identity()
	if in.Spec.Template == nil {
		return id, nil, errNoTemplate
	}
	w := d.workload(&in.Metadata, in.Spec.Template)
	if in.Spec.Replicas != nil {
		w.Replicas = *in.Spec.Replicas
	}
	if in.Metadata.Labels[labelApp] == "istiod" {
		istiod := sail.IstiodOf(d.namespaceOf(id), in.Metadata.Labels)
		w.Istiod = &istiod
	}
	return id, w, nil
}

func decodeCronJob(d *decoder, raw []byte) (identity, any, error) {
	var in struct {
		Metadata metadata `json:"metadata"`
		Spec     struct {
			JobTemplate struct {
				Spec struct {
					Template *template `json:"template"`
				} `json:"spec"`
			} `json:"jobTemplate"`
		} `json:"spec"`
	}
	if err := unmarshal(raw, &in); err != nil {
		return identity{}, nil, err
	}
	made := in.Spec.JobTemplate.Spec.Template
	if made == nil {
		return identity{}, nil, errNoTemplate
	}
	return in.Metadata.identity(), d.workload(&in.Metadata, made), nil
}

func (d *decoder) workload(own *metadata, pod *template) *Workload {
	meta := &pod.Metadata
	w := &Workload{
		Replicas: -1,
		Pod: routing.Pod{
			Inject:           routing.LabelOf(meta.Labels, routing.LabelInject),
			Revision:         routing.LabelOf(meta.Labels, routing.LabelRevision),
			InjectAnnotation: routing.LabelOf(meta.Annotations, routing.LabelInject),
			HostNetwork:      pod.Spec.HostNetwork,
			ImageAuto:        pod.Spec.imageAuto(),
			Labels:           d.pairs(meta.Labels),
		},
	}
	w.GenerateName, w.DeploymentConfig = meta.GenerateName, d.intern(meta.Annotations[routing.AnnotationDeploymentConfig])
	for _, o := range own.OwnerReferences {
		if o.Controller {
			w.ControllerKind, w.ControllerName = d.intern(o.Kind), d.intern(o.Name)
		}
	}
	return w
}

// pairs keeps one copy of every label, however many pods carry it.
func (d *decoder) pairs(labels map[string]string) []routing.Pair {
	if len(labels) == 0 {
		return nil
	}
	out := make([]routing.Pair, 0, len(labels))
	for key, value := range labels {
		out = append(out, routing.Pair{Key: d.intern(key), Value: d.intern(value)})
	}
	slices.SortFunc(out, func(a, b routing.Pair) int { return cmp.Compare(a.Key, b.Key) })
	return out
}

func (d *decoder) intern(s string) string {
	if known, ok := d.interned[s]; ok {
		return known
	}
	if len(d.interned) < maxInterned {
		d.interned[s] = s
	}
	return s
}
