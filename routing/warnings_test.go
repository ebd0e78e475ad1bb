package routing_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

// Each warning stands beside the case that comes closest to it and must not warn.
func TestDecideWarns(t *testing.T) {
	type ns = routing.Namespace
	type pod = routing.Pod
	cases := map[string]struct {
		ns   ns
		pod  pod
		want []routing.Warning
	}{
		"a pod whose istio.io/rev the namespace's overrules": {
			ns{Revision: present("1-30")}, pod{Revision: present("1-31")}, []routing.Warning{routing.PodRevisionOverruled},
		},
		"a pod whose istio.io/rev equals the namespace's": {
			ns{Revision: present("1-30")}, pod{Revision: present("1-30")}, nil,
		},
		"a pod whose istio.io/rev istio-injection overrules": {
			ns{Injection: present("enabled")}, pod{Revision: present("1-31")}, []routing.Warning{routing.PodRevisionOverruled},
		},
		"a pod whose istio.io/rev is default, as istio-injection means it": {
			ns{Injection: present("enabled")}, pod{Revision: present("default")}, nil,
		},
		"a pod whose istio.io/rev counts": {ns{}, pod{Revision: present("1-31")}, nil},
		"a pod that opts in where injection is off": {
			ns{Injection: present("disabled")}, pod{Inject: present("true")}, []routing.Warning{routing.PodOptInIgnored},
		},
		"a pod that opts in where injection is on": {ns{Injection: present("enabled")}, pod{Inject: present("true")}, nil},
		"a value of istio-injection that is no setting": {
			ns{Injection: present("Enabled")}, pod{}, []routing.Warning{routing.InjectionValue},
		},
		"an empty istio-injection": {ns{Injection: present("")}, pod{}, []routing.Warning{routing.InjectionValue}},
		"istio-injection disabled": {ns{Injection: present("disabled")}, pod{}, nil},
		"both labels on the namespace": {
			ns{Injection: present("enabled"), Revision: present("1-31")},
			pod{},
			[]routing.Warning{routing.BothNamespaceLabels},
		},
		"a value of the inject label that does not count": {
			ns{Injection: present("enabled")}, pod{Inject: present("yes")}, []routing.Warning{routing.InjectLabelValue},
		},
		"an inject label that the CNI plugin misreads": {
			ns{Injection: present("enabled")},
			pod{Inject: present("False")},
			[]routing.Warning{routing.InjectLabelValue, routing.InjectNotRedirected},
		},
		"an inject label that the CNI plugin misreads, on a pod without a sidecar": {
			ns{Injection: present("disabled")}, pod{Inject: present("False")}, []routing.Warning{routing.InjectLabelValue},
		},
		"an inject annotation that the CNI plugin misreads": {
			ns{Injection: present("enabled")},
			pod{InjectAnnotation: present("0")},
			[]routing.Warning{routing.InjectNotRedirected},
		},
		"an inject annotation that the CNI plugin would misread, behind a label": {
			ns{Injection: present("enabled")},
			pod{Inject: present("true"), InjectAnnotation: present("0")},
			[]routing.Warning{routing.AnnotationIgnored},
		},
		"an inject annotation against the label": {
			ns{Injection: present("enabled")},
			pod{Inject: present("true"), InjectAnnotation: present("false")},
			[]routing.Warning{routing.AnnotationIgnored},
		},
		"an inject annotation that says what the label says": {
			ns{Injection: present("enabled")}, pod{Inject: present("true"), InjectAnnotation: present("true")}, nil,
		},
		"an annotation that opts in by itself": {
			ns{}, pod{InjectAnnotation: present("true")}, []routing.Warning{routing.AnnotationOptInIgnored},
		},
		"an annotation that opts in where the namespace does": {
			ns{Injection: present("enabled")}, pod{InjectAnnotation: present("true")}, nil,
		},
		"a version that is no label value": {
			ns{Revision: present("odd")}, pod{}, []routing.Warning{routing.LabelsTooLong},
		},
		"everything at once": {
			ns{Injection: present("on"), Revision: present("1-31")},
			pod{Inject: present("true"), Revision: present("1-30"), InjectAnnotation: present("false")},
			[]routing.Warning{
				routing.PodRevisionOverruled, routing.PodOptInIgnored, routing.InjectionValue,
				routing.BothNamespaceLabels, routing.AnnotationIgnored,
			},
		},
	}
	odd := revision("odd")
	odd.Version = "v1.30.0+vendor"
	mesh := meshOf(routing.Objects{
		Revisions: []routing.Revision{revision("1-30"), revision("1-31"), odd},
		Tags:      []routing.Tag{tag("default", "1-30")},
	})
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			tc.ns.Name = "bookinfo"
			got := routing.Decide(routing.Input{Mesh: mesh, Namespace: tc.ns, Pod: tc.pod})
			if diff := cmp.Diff(tc.want, got.Warnings.List()); diff != "" {
				t.Errorf("warnings of a decision %s by %s (-want +got):\n%s", got.Action, got.Reason, diff)
			}
		})
	}
}

func everyWarning() []routing.Warning {
	return []routing.Warning{
		routing.PodRevisionOverruled, routing.PodOptInIgnored, routing.InjectionValue, routing.BothNamespaceLabels,
		routing.InjectLabelValue, routing.InjectNotRedirected, routing.AnnotationIgnored,
		routing.AnnotationOptInIgnored, routing.LabelsTooLong,
	}
}

func TestWarningSet(t *testing.T) {
	var all routing.WarningSet
	for _, w := range everyWarning() {
		if all.Has(w) {
			t.Errorf("%s is in the set before it is added", w)
		}
		all = all.With(w)
		if !all.Has(w) {
			t.Errorf("%s is not in the set after it was added", w)
		}
		if all.With(w) != all {
			t.Errorf("adding %s twice changes the set", w)
		}
	}
	if diff := cmp.Diff(everyWarning(), all.List()); diff != "" {
		t.Errorf("list of all (-want +got):\n%s", diff)
	}
	if list := routing.WarningSet(0).List(); list != nil {
		t.Errorf("list of none is %v, want nil", list)
	}
	if got := all.With("no such warning"); got != all {
		t.Errorf("a warning that is not known changes the set")
	}
	if all.Has("no such warning") {
		t.Error("a warning that is not known is in the set")
	}
}
