package routing_test

import (
	"fmt"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

func TestWorkload(t *testing.T) {
	cases := map[string]struct {
		pod  routing.PodOrigin
		want routing.Workload
	}{
		"a Deployment's pod": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "web-5d4b8c7f9", TemplateHash: "5d4b8c7f9", GenerateName: "web-5d4b8c7f9-"},
			routing.Workload{Kind: "Deployment", Name: "web"},
		},
		"a Rollout's pod": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "web-5d4b8c7f9", RolloutHash: "5d4b8c7f9"},
			routing.Workload{Kind: "Rollout", Name: "web"},
		},
		"a ReplicaSet of its own": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "web"}, routing.Workload{Kind: "ReplicaSet", Name: "web"},
		},
		"a ReplicaSet whose pods carry a hash that it is not named by": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "web-1", TemplateHash: "5d4b8c7f9"},
			routing.Workload{Kind: "ReplicaSet", Name: "web-1"},
		},
		"a ReplicaSet that is named by nothing but a hash": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "-abc", TemplateHash: "abc"},
			routing.Workload{Kind: "ReplicaSet", Name: "-abc"},
		},
		"the hash has no dash before it": {
			routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: "webabc", TemplateHash: "abc"},
			routing.Workload{Kind: "ReplicaSet", Name: "webabc"},
		},
		"a CronJob's pod": {
			routing.PodOrigin{OwnerKind: "Job", OwnerName: "report-29012345", GenerateName: "report-29012345-"},
			routing.Workload{Kind: "CronJob", Name: "report"},
		},
		"a Job that is no CronJob's": {
			routing.PodOrigin{OwnerKind: "Job", OwnerName: "report-2901"}, routing.Workload{Kind: "Job", Name: "report-2901"},
		},
		"a Job with letters where the time would be": {
			routing.PodOrigin{OwnerKind: "Job", OwnerName: "report-2901234x"}, routing.Workload{Kind: "Job", Name: "report-2901234x"},
		},
		"a Job with a time of nine digits": {
			routing.PodOrigin{OwnerKind: "Job", OwnerName: "report-129012345"}, routing.Workload{Kind: "Job", Name: "report-129012345"},
		},
		"a Job that is all digits": {
			routing.PodOrigin{OwnerKind: "Job", OwnerName: "29012345"}, routing.Workload{Kind: "Job", Name: "29012345"},
		},
		"a DeploymentConfig's pod": {
			routing.PodOrigin{OwnerKind: "ReplicationController", OwnerName: "web-3", DeploymentConfig: "web"},
			routing.Workload{Kind: "DeploymentConfig", Name: "web"},
		},
		"a ReplicationController of its own": {
			routing.PodOrigin{OwnerKind: "ReplicationController", OwnerName: "web-3"},
			routing.Workload{Kind: "ReplicationController", Name: "web-3"},
		},
		"a StatefulSet's pod": {
			routing.PodOrigin{OwnerKind: "StatefulSet", OwnerName: "db", Name: "db-0"}, routing.Workload{Kind: "StatefulSet", Name: "db"},
		},
		"a DaemonSet's pod": {
			routing.PodOrigin{OwnerKind: "DaemonSet", OwnerName: "agent"}, routing.Workload{Kind: "DaemonSet", Name: "agent"},
		},
		"a pod of a controller that nobody knows": {
			routing.PodOrigin{OwnerKind: "CloneSet", OwnerName: "web", TemplateHash: "x"}, routing.Workload{Kind: "CloneSet", Name: "web"},
		},
		"a bare pod":                     {routing.PodOrigin{Name: "debug"}, routing.Workload{Kind: "Pod", Name: "debug"}},
		"a bare pod of a generated name": {routing.PodOrigin{Name: "debug-x7k2p", GenerateName: "debug-"}, routing.Workload{Kind: "Pod", Name: "debug"}},
		"a generated name of a dash":     {routing.PodOrigin{Name: "-x7k2p", GenerateName: "-"}, routing.Workload{Kind: "Pod", Name: "-x7k2p"}},
		"nothing is known":               {routing.PodOrigin{}, routing.Workload{Kind: "Pod"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.pod.Workload(); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

// versionsOf are the pods of a workload through 20 versions or runs, two pods each, as the API server would see them.
func versionsOf(kind, name string) []routing.PodOrigin {
	var all []routing.PodOrigin
	for v := range 20 {
		hash := fmt.Sprintf("%x", 0xabc123+v*7919)
		var p routing.PodOrigin
		switch kind {
		case "Deployment":
			p = routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: name + "-" + hash, TemplateHash: hash}
		case "Rollout":
			p = routing.PodOrigin{OwnerKind: "ReplicaSet", OwnerName: name + "-" + hash, RolloutHash: hash}
		case "DeploymentConfig":
			p = routing.PodOrigin{OwnerKind: "ReplicationController", OwnerName: fmt.Sprintf("%s-%d", name, v), DeploymentConfig: name}
		case "CronJob":
			p = routing.PodOrigin{OwnerKind: "Job", OwnerName: fmt.Sprintf("%s-%d", name, 29_012_345+v*5)}
		case "Pod":
			p = routing.PodOrigin{}
		default:
			p = routing.PodOrigin{OwnerKind: kind, OwnerName: name}
		}
		for n := range 2 {
			p.GenerateName = p.OwnerName + "-"
			if kind == "Pod" {
				p.GenerateName = name + "-"
			}
			if v%2 == 1 { // some API servers fill in the name before they call webhooks
				p.Name = fmt.Sprintf("%s%05d", p.GenerateName, n)
			}
			if kind == "StatefulSet" {
				p.GenerateName, p.Name = name+"-", fmt.Sprintf("%s-%d", name, n)
			}
			all = append(all, p)
		}
	}
	return all
}

// TestPodsOfAWorkloadNeverDisagree sends the pods of every kind of workload, through many versions of it, to a tag
// whose rollout is under way.
func TestPodsOfAWorkloadNeverDisagree(t *testing.T) {
	kinds := []string{"Deployment", "Rollout", "DeploymentConfig", "CronJob", "StatefulSet", "DaemonSet", "Job", "Pod", "CloneSet"}
	m := rolloutMesh(50)
	pods, groups, moved := 0, 0, 0
	for _, kind := range kinds {
		for i := range 500 {
			name := fmt.Sprintf("service-%d", i)
			groups++
			first := ""
			for _, p := range versionsOf(kind, name) {
				pods++
				d := routing.Decide(routing.Input{
					Mesh: m, Namespace: routing.Namespace{Name: "bookinfo", Revision: present("prod")},
					Pod: routing.Pod{Workload: p.Workload()},
				})
				if first == "" {
					first = d.Revision
				}
				if d.Revision != first || first == "" {
					t.Fatalf("%s %s: %+v goes to %q, others to %q", kind, name, p, d.Revision, first)
				}
			}
			if first == "next" {
				moved++
			}
		}
	}
	if moved == 0 || moved == groups {
		t.Errorf("%d of %d workloads moved: the test would prove nothing", moved, groups)
	}
	t.Logf("%d pods of %d workloads of %d kinds, %d of them moved", pods, groups, len(kinds), moved)
}
