package sail

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// Values are the Helm values in spec.values that change where pods are injected or how a revision's injector is
// reached. Helm values are free-form, so each is read on its own: one of an unexpected type is left at its zero
// value and reported by Problem, and costs neither the other values nor the object.
type Values struct {
	// Revision equals the object's name, and is empty for the one named default.
	Revision string
	Profile  string
	// IstioNamespace is global.istioNamespace, AutoInject is global.proxy.autoInject.
	IstioNamespace, AutoInject string
	// OperatorManageWebhooks is global.operatorManageWebhooks: the chart then renders no injector webhooks.
	OperatorManageWebhooks bool
	// EnableNamespacesByDefault, NeverInject and AlwaysInject are those of sidecarInjectorWebhook.
	EnableNamespacesByDefault bool
	NeverInject, AlwaysInject []routing.Selector
	// InjectionURL, InjectionPath and InjectionCABundle are those of istiodRemote.
	InjectionURL, InjectionPath, InjectionCABundle string
	// EnableAmbient is pilot.env.PILOT_ENABLE_AMBIENT.
	EnableAmbient string

	problem error
}

// Ambient reports whether the values switch ambient mode on.
func (v *Values) Ambient() bool { return v.EnableAmbient == "true" }

// Problem tells which values could not be read, and is nil where all could.
func (v *Values) Problem() error { return v.problem }

// UnmarshalJSON never fails on JSON that is well formed: see [Values].
func (v *Values) UnmarshalJSON(data []byte) error {
	*v = Values{}
	r := valueReader{}
	root := r.object("spec.values", data)
	r.read(root, "revision", &v.Revision)
	r.read(root, "profile", &v.Profile)

	global := r.child(root, "global")
	r.read(global, "istioNamespace", &v.IstioNamespace)
	r.read(global, "operatorManageWebhooks", &v.OperatorManageWebhooks)
	r.read(r.child(global, "proxy"), "autoInject", &v.AutoInject)

	injector := r.child(root, "sidecarInjectorWebhook")
	r.read(injector, "enableNamespacesByDefault", &v.EnableNamespacesByDefault)
	v.NeverInject = r.selectors(injector, "neverInjectSelector")
	v.AlwaysInject = r.selectors(injector, "alwaysInjectSelector")

	remote := r.child(root, "istiodRemote")
	r.read(remote, "injectionURL", &v.InjectionURL)
	r.read(remote, "injectionPath", &v.InjectionPath)
	r.read(remote, "injectionCABundle", &v.InjectionCABundle)

	r.read(r.child(r.child(root, "pilot"), "env"), "PILOT_ENABLE_AMBIENT", &v.EnableAmbient)
	v.problem = errors.Join(r.problems...)
	return nil
}

func (v *Values) clone() Values {
	out := *v
	out.NeverInject = cloneSelectors(v.NeverInject)
	out.AlwaysInject = cloneSelectors(v.AlwaysInject)
	return out
}

func cloneSelectors(selectors []routing.Selector) []routing.Selector {
	out := slices.Clone(selectors)
	for i, s := range out {
		out[i] = slices.Clone(s)
		for j, r := range out[i] {
			out[i][j].Values = slices.Clone(r.Values)
		}
	}
	return out
}

// node is one object in the tree of values, together with its path for messages.
type node struct {
	path   string
	fields map[string]json.RawMessage
}

type valueReader struct{ problems []error }

func (r *valueReader) object(path string, data []byte) node {
	n := node{path: path}
	if err := json.Unmarshal(data, &n.fields); err != nil {
		r.add(path, err)
	}
	return n
}

func (r *valueReader) child(parent node, key string) node {
	path := parent.path + "." + key
	raw, ok := parent.fields[key]
	if !ok {
		return node{path: path}
	}
	return r.object(path, raw)
}

// read leaves the target alone where the key is absent, null or of another type.
func (r *valueReader) read(parent node, key string, target any) {
	raw, ok := parent.fields[key]
	if !ok {
		return
	}
	if err := json.Unmarshal(raw, target); err != nil {
		r.add(parent.path+"."+key, err)
	}
}

func (r *valueReader) selectors(parent node, key string) []routing.Selector {
	var raw []json.RawMessage
	r.read(parent, key, &raw)
	var out []routing.Selector
	for i, item := range raw {
		selector, err := selectorOf(item)
		if err != nil {
			r.add(fmt.Sprintf("%s.%s[%d]", parent.path, key, i), err)
			continue
		}
		if len(selector) > 0 {
			out = append(out, selector)
		}
	}
	return out
}

func (r *valueReader) add(path string, err error) {
	if wrongType, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		err = fmt.Errorf("is of type %s, want %s", wrongType.Value, jsonType(wrongType.Type))
	}
	r.problems = append(r.problems, fmt.Errorf("%s: %w", path, err))
}

// jsonType names a type as JSON does.
func jsonType(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Map, reflect.Struct:
		return "object"
	case reflect.Slice:
		return "array"
	default:
		return t.String()
	}
}

// selectorOf drops what istiod drops: a selector that is not valid is left out as a whole (pkg/kube/inject,
// metav1.LabelSelectorAsSelector), one without requirements selects nothing.
func selectorOf(raw json.RawMessage) (routing.Selector, error) {
	var in metav1.LabelSelector
	if err := json.Unmarshal(raw, &in); err != nil {
		return nil, err
	}
	selector, err := SelectorOf(&in)
	if err != nil {
		return nil, fmt.Errorf("istiod ignores this selector: %w", err)
	}
	return selector, nil
}

// SelectorOf converts a selector of Kubernetes that is valid.
func SelectorOf(in *metav1.LabelSelector) (routing.Selector, error) {
	if _, err := metav1.LabelSelectorAsSelector(in); err != nil {
		return nil, err
	}
	var out routing.Selector
	for _, key := range slices.Sorted(maps.Keys(in.MatchLabels)) {
		out = append(out, routing.Requirement{Key: key, Operator: routing.OpIn, Values: []string{in.MatchLabels[key]}})
	}
	for _, e := range in.MatchExpressions {
		out = append(out, routing.Requirement{Key: e.Key, Operator: routing.Operator(e.Operator), Values: e.Values})
	}
	return out, nil
}
