package manifest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// Field is a place in an object that a decision can be about: a field of the object, or where it is a pod or makes
// pods, of the pod.
type Field string

// The fields whose lines are kept.
const (
	FieldName             Field = "metadata.name"
	FieldRevision         Field = "metadata.labels[" + routing.LabelRevision + "]"
	FieldInjection        Field = "metadata.labels[" + routing.LabelInjection + "]"
	FieldInject           Field = "metadata.labels[" + routing.LabelInject + "]"
	FieldInjectAnnotation Field = "metadata.annotations[" + routing.LabelInject + "]"
	FieldDataplaneMode    Field = "metadata.labels[" + skew.LabelDataplaneMode + "]"
	FieldUseWaypoint      Field = "metadata.labels[" + skew.LabelUseWaypoint + "]"
	FieldProxyImage       Field = "metadata.annotations[" + skew.AnnotationProxyImage + "]"
	FieldRollout          Field = "metadata.annotations[" + routing.AnnotationRollout + "]"
	FieldGatewayClass     Field = "spec.gatewayClassName"
	FieldVersion          Field = "spec.version"
	FieldStrategy         Field = "spec.updateStrategy.type"
	FieldTarget           Field = "spec.targetRef.name"
	FieldTargets          Field = "spec.targetRefs"
	FieldParents          Field = "spec.parentRefs"
	// FieldImageAuto is the first container's image that is "auto".
	FieldImageAuto Field = "spec.containers.image"
)

// annotationOrigin is where kustomize writes which file an object came from, if its build is told to
// (buildMetadata: [originAnnotations]).
const annotationOrigin = "config.kubernetes.io/origin"

// Origin is a file as the tool names it that made an object of it: helm template in a comment, kustomize in an
// annotation. Its lines are not known.
type Origin struct {
	// Path is empty where no tool says so. It begins with the name of a chart where Chart is set, and else where
	// kustomize was told to build.
	Path  string
	Chart bool
}

// fieldLine is a field that is there.
type fieldLine struct {
	field Field
	line  int
}

// FieldLine is the line of the first of the fields that the object has, and where it has none the object's own. Lines
// of fields are known where [Options.Fields] asked for them.
func (o *Object) FieldLine(fields ...Field) int {
	for _, want := range fields {
		if o.Has(want) {
			return o.lineOf(want)
		}
	}
	return o.Line
}

// Has reports whether the object has the field.
func (o *Object) Has(field Field) bool { return o.lineOf(field) > 0 }

func (o *Object) lineOf(field Field) int {
	for _, f := range slices.Backward(o.fields) { // of a key that is given twice the last one counts
		if f.field == field {
			return f.line
		}
	}
	return 0
}

// wanted is a tree of keys, as deep as the fields that are looked for.
type wanted struct {
	field Field
	// images: the value is a list of containers.
	images bool
	// origin: the value is what kustomize says about where the object came from.
	origin bool
	below  map[string]*wanted
}

// add hangs a field below the path to it.
func (w *wanted) add(leaf wanted, path ...string) {
	for _, key := range path {
		if w.below == nil {
			w.below = map[string]*wanted{}
		}
		if w.below[key] == nil {
			w.below[key] = &wanted{}
		}
		w = w.below[key]
	}
	w.field, w.images, w.origin = leaf.field, leaf.images, leaf.origin
}

// wantedFields is what is looked for in an object whose pods, if it makes any, are described below the path.
func wantedFields(pod ...string) *wanted {
	root := &wanted{}
	root.add(wanted{origin: true}, "metadata", "annotations", annotationOrigin)
	root.add(wanted{field: FieldName}, "metadata", "name")
	at := func(leaf wanted, path ...string) { root.add(leaf, append(slices.Clip(pod), path...)...) }
	for field, key := range map[Field]string{
		FieldRevision: routing.LabelRevision, FieldInjection: routing.LabelInjection, FieldInject: routing.LabelInject,
		FieldDataplaneMode: skew.LabelDataplaneMode, FieldUseWaypoint: skew.LabelUseWaypoint,
	} {
		at(wanted{field: field}, "metadata", "labels", key)
	}
	for field, key := range map[Field]string{
		FieldInjectAnnotation: routing.LabelInject, FieldProxyImage: skew.AnnotationProxyImage, FieldRollout: routing.AnnotationRollout,
	} {
		at(wanted{field: field}, "metadata", "annotations", key)
	}
	at(wanted{images: true}, "spec", "containers")
	at(wanted{images: true}, "spec", "initContainers")
	if len(pod) > 0 {
		return root
	}
	for field, path := range map[Field]string{
		FieldGatewayClass: "gatewayClassName", FieldVersion: "version", FieldStrategy: "updateStrategy.type", FieldTarget: "targetRef.name",
		FieldTargets: "targetRefs", FieldParents: "parentRefs",
	} {
		root.add(wanted{field: field}, append([]string{"spec"}, strings.Split(path, ".")...)...)
	}
	return root
}

// fieldFinder knows what to look for in the objects of each kind.
type fieldFinder struct{ plain, template, cronJob *wanted }

func newFieldFinder() *fieldFinder {
	return &fieldFinder{
		plain:    wantedFields(),
		template: wantedFields("spec", "template"),
		cronJob:  wantedFields("spec", "jobTemplate", "spec", "template"),
	}
}

func (f *fieldFinder) of(kind string) *wanted {
	switch kind {
	case "CronJob":
		return f.cronJob
	case "Deployment", "DaemonSet", "StatefulSet", "ReplicaSet", "ReplicationController", "Job":
		return f.template
	}
	return f.plain
}

// locate notes where the object's fields are, and the file that it was made from.
func (d *decoder) locate(o *Object, v span) {
	o.Origin = d.src.origin
	d.walk(o, d.fields.of(o.Kind), v)
}

func (d *decoder) walk(o *Object, want *wanted, v span) {
	s := scanner{data: d.src.data[:v.end], at: v.start}
	s.members(func(quoted []byte, value span) {
		below := want.child(quoted)
		switch {
		case below == nil:
		case below.images:
			d.images(o, value)
		case below.origin:
			if origin := kustomizeOrigin(value.of(d.src.data)); origin != "" {
				o.Origin = Origin{Path: origin}
			}
		case below.field != "":
			o.fields = append(o.fields, fieldLine{below.field, d.src.lineAt(value.start)})
		case d.src.data[value.start] == '{':
			d.walk(o, below, value)
		}
	})
}

// child is what is wanted below a key, which is still quoted, and hardly ever escaped.
func (w *wanted) child(quoted []byte) *wanted {
	if inner := quoted[1 : len(quoted)-1]; bytes.IndexByte(inner, '\\') < 0 {
		return w.below[string(inner)]
	}
	var text string
	if json.Unmarshal(quoted, &text) != nil {
		return nil
	}
	return w.below[text]
}

func (d *decoder) images(o *Object, list span) {
	s := scanner{data: d.src.data[:list.end], at: list.start}
	s.elements(func(container span) bool {
		inner := scanner{data: d.src.data[:container.end], at: container.start}
		inner.members(func(key []byte, value span) {
			if string(key) == `"image"` && string(value.of(d.src.data)) == `"`+imageAuto+`"` && !o.Has(FieldImageAuto) {
				o.fields = append(o.fields, fieldLine{FieldImageAuto, d.src.lineAt(value.start)})
			}
		})
		return true
	})
}

// kustomizeOrigin is the path in the annotation, empty where the object came from another repository.
func kustomizeOrigin(quoted []byte) string {
	var text, path string
	if json.Unmarshal(quoted, &text) != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		switch key {
		case "path":
			path = strings.TrimSpace(value)
		case "repo":
			return ""
		}
	}
	return path
}

// helmSource begins the comment by which helm template names the template that an object was rendered from.
const helmSource = "# Source: "

// sourceOf looks for that comment in the lines above the first object.
func sourceOf(data []byte) Origin {
	for line := range strings.Lines(string(data[:min(len(data), 4096)])) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, helmSource):
			return Origin{Path: strings.TrimSpace(line[len(helmSource):]), Chart: true}
		case line != "" && line[0] != '#' && !strings.HasPrefix(line, "---"):
			return Origin{}
		}
	}
	return Origin{}
}
