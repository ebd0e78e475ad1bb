package manifest

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
)

func readForward(t *testing.T, text string, p routing.Precedence) *Set {
	t.Helper()
	set, err := Read(t.Context(), Options{
		Paths: []string{Stdin}, Input: strings.NewReader(text), Purpose: ForForwarding, Precedence: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// A pod and what makes it are given the same workload, so that the answer for a template is that for its pods.
func TestTemplatesAndPodsAreOfOneWorkload(t *testing.T) {
	const text = `apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {template: {metadata: {labels: {app: web}}}}}
- {apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-5d4b, ownerReferences: [{kind: Deployment, name: web, controller: true}]}, spec: {replicas: 1, template: {metadata: {labels: {pod-template-hash: 5d4b}}}}}
- {apiVersion: v1, kind: Pod, metadata: {name: web-5d4b-x, generateName: web-5d4b-, labels: {pod-template-hash: 5d4b}, ownerReferences: [{kind: ReplicaSet, name: web-5d4b, controller: true}]}}
- {apiVersion: batch/v1, kind: CronJob, metadata: {name: report}, spec: {jobTemplate: {spec: {template: {}}}}}
- {apiVersion: batch/v1, kind: Job, metadata: {name: report-29012345}, spec: {template: {}}}
- {apiVersion: v1, kind: Pod, metadata: {name: report-29012345-x, ownerReferences: [{kind: Job, name: report-29012345, controller: true}]}}
- {apiVersion: v1, kind: ReplicationController, metadata: {name: dc-3}, spec: {template: {metadata: {annotations: {openshift.io/deployment-config.name: dc}}}}}
- {apiVersion: v1, kind: Pod, metadata: {name: dc-3-x, annotations: {openshift.io/deployment-config.name: dc}, ownerReferences: [{kind: ReplicationController, name: dc-3, controller: true}]}}
- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {template: {}}}
- {apiVersion: v1, kind: Pod, metadata: {name: db-0, generateName: db-, ownerReferences: [{kind: StatefulSet, name: db, controller: true}]}}
- {apiVersion: v1, kind: Pod, metadata: {name: debug-x, generateName: debug-}}
- {apiVersion: v1, kind: Pod, metadata: {generateName: debug-}}
`
	want := map[string]routing.Workload{}
	for _, group := range []struct {
		workload routing.Workload
		objects  []string
	}{
		{routing.Workload{Kind: "Deployment", Name: "web"}, []string{"Deployment/web", "ReplicaSet/web-5d4b", "Pod/web-5d4b-x"}},
		{routing.Workload{Kind: "CronJob", Name: "report"}, []string{"CronJob/report", "Job/report-29012345", "Pod/report-29012345-x"}},
		{routing.Workload{Kind: "DeploymentConfig", Name: "dc"}, []string{"ReplicationController/dc-3", "Pod/dc-3-x"}},
		{routing.Workload{Kind: "StatefulSet", Name: "db"}, []string{"StatefulSet/db", "Pod/db-0"}},
		{routing.Workload{Kind: "Pod", Name: "debug"}, []string{"Pod/debug-x", "Pod/debug-*"}},
	} {
		for _, o := range group.objects {
			want[o] = group.workload
		}
	}
	got := map[string]routing.Workload{}
	for o, w := range All[*Workload](readForward(t, text, nil)) {
		got[o.Kind+"/"+o.Name] = w.Pod.Workload
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

const declaredMesh = `apiVersion: sailoperator.io/v1
kind: Istio
metadata: {name: default}
spec: {version: v1.30.3, updateStrategy: {type: RevisionBased}, values: {istiodRemote: {injectionURL: ADDRESS}}}
---
apiVersion: sailoperator.io/v1
kind: IstioRevisionTag
metadata: {name: prod}
spec: {targetRef: {kind: Istio, name: default}}
---
`

func TestForwardFromFiles(t *testing.T) {
	const elsewhere = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, namespace: shop, labels: {kubernetes.io/service-name: web}}}`
	const unready = `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: a, namespace: istio-system, labels: {kubernetes.io/service-name: istiod-default-v1-30-3}}}`
	cases := map[string]struct {
		url, more string
		want      routing.Unroutable
		assumed   bool
	}{
		"nothing tells of endpoints":          {`""`, "", "", true},
		"endpoints of something else":         {`""`, elsewhere, "", true},
		"the injector has none":               {`""`, unready, routing.NoEndpoints, false},
		"the injector is behind a URL":        {"https://istiod.example", unready, "", false},
		"the injector's URL cannot be called": {"http://istiod.example", "", routing.NoInjector, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			set := readForward(t, strings.Replace(declaredMesh, "ADDRESS", tc.url, 1)+tc.more, nil)
			if set.Mesh.Mode() != routing.Forward {
				t.Fatalf("the mesh is in mode %s", set.Mesh.Mode())
			}
			found := set.Mesh.Resolve("prod")
			if found.Meant == nil || found.Meant.Unroutable != tc.want || found.Meant.Name != "default-v1-30-3" {
				t.Errorf("prod means %+v, want default-v1-30-3 %q", found.Meant, tc.want)
			}
			if warned := strings.Contains(strings.Join(set.Warnings, "\n"), "no EndpointSlice"); warned != tc.assumed {
				t.Errorf("warnings %q, want one about endpoints: %t", set.Warnings, tc.assumed)
			}
		})
	}
}

func TestPrecedenceFromFiles(t *testing.T) {
	rules := routing.Precedence{{Selector: routing.Selector{{Key: "team", Operator: routing.OpIn, Values: []string{"a"}}}, PodFirst: true}}
	set := readForward(t, "{apiVersion: v1, kind: Namespace, metadata: {name: a, labels: {team: a}}}\n---\n"+
		"{apiVersion: v1, kind: Namespace, metadata: {name: b, labels: {team: b}}}\n", rules)
	for name, want := range map[string]bool{"a": true, "b": false} {
		if ns, _ := set.Mesh.Namespace(name); ns.PodFirst != want {
			t.Errorf("%s: %t, want %t", name, ns.PodFirst, want)
		}
	}
}
