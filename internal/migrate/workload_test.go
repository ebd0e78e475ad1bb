package migrate

import (
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func selecting() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "cart"}}
}

func text(s string) *intstr.IntOrString { v := intstr.Parse(s); return &v }

// settled is a Deployment of which nothing is to be waited for.
func settled(replicas int32, change ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", Generation: 2},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas, Selector: selecting(), Strategy: appsv1.DeploymentStrategy{
			Type:          appsv1.RollingUpdateDeploymentStrategyType,
			RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: text("25%"), MaxSurge: text("25%")},
		}},
		Status: appsv1.DeploymentStatus{ObservedGeneration: 2, Replicas: replicas, UpdatedReplicas: replicas, AvailableReplicas: replicas},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func stateful(change ...func(*appsv1.StatefulSet)) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", Generation: 2},
		Spec: appsv1.StatefulSetSpec{Replicas: new(int32(3)), Selector: selecting(), UpdateStrategy: appsv1.StatefulSetUpdateStrategy{
			Type: appsv1.RollingUpdateStatefulSetStrategyType,
		}},
		Status: appsv1.StatefulSetStatus{
			ObservedGeneration: 2, Replicas: 3, UpdatedReplicas: 3, AvailableReplicas: 3, CurrentRevision: "b", UpdateRevision: "b",
		},
	}
	for _, c := range change {
		c(s)
	}
	return s
}

func daemons(change ...func(*appsv1.DaemonSet)) *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", Generation: 2},
		Spec: appsv1.DaemonSetSpec{Selector: selecting(), UpdateStrategy: appsv1.DaemonSetUpdateStrategy{
			Type: appsv1.RollingUpdateDaemonSetStrategyType, RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: text("1")},
		}},
		Status: appsv1.DaemonSetStatus{
			ObservedGeneration: 2, DesiredNumberScheduled: 5, CurrentNumberScheduled: 5, UpdatedNumberScheduled: 5, NumberAvailable: 5,
		},
	}
	for _, c := range change {
		c(d)
	}
	return d
}

func TestRollout(t *testing.T) {
	t.Parallel()
	exceeded := func(d *appsv1.Deployment) {
		d.Status.Conditions = []appsv1.DeploymentCondition{{
			Type: appsv1.DeploymentProgressing, Reason: "ProgressDeadlineExceeded", Message: "has timed out",
		}}
	}
	for name, tc := range map[string]struct {
		object runtime.Object
		want   Phase
		says   string
	}{
		"Deployment: all is there":       {settled(4), Settled, ""},
		"Deployment: nobody has seen it": {settled(4, func(d *appsv1.Deployment) { d.Generation = 3 }), RollingOut, "yet to see"},
		"Deployment: an old failure that nobody has looked at since": {
			settled(4, exceeded, func(d *appsv1.Deployment) { d.Generation = 3 }), RollingOut, "yet to see",
		},
		"Deployment: given up":               {settled(4, exceeded), Stuck, "has timed out"},
		"Deployment: some are old":           {settled(4, func(d *appsv1.Deployment) { d.Status.UpdatedReplicas = 1 }), RollingOut, "1 of 4 pods is updated"},
		"Deployment: old ones have to end":   {settled(4, func(d *appsv1.Deployment) { d.Status.Replicas = 6 }), RollingOut, "2 of 6 pods are old"},
		"Deployment: some are not available": {settled(4, func(d *appsv1.Deployment) { d.Status.AvailableReplicas = 3 }), RollingOut, "3 of 4 pods are available"},
		"StatefulSet: all is there":          {stateful(), Settled, ""},
		"StatefulSet: some are old": {
			stateful(func(s *appsv1.StatefulSet) { s.Status.UpdateRevision, s.Status.UpdatedReplicas = "c", 2 }), RollingOut, "2 of 3 pods are updated",
		},
		"StatefulSet: one is not available": {stateful(func(s *appsv1.StatefulSet) { s.Status.AvailableReplicas = 2 }), RollingOut, "2 of 3 pods are available"},
		"DaemonSet: all is there":           {daemons(), Settled, ""},
		"DaemonSet: some are old":           {daemons(func(d *appsv1.DaemonSet) { d.Status.UpdatedNumberScheduled = 2 }), RollingOut, "2 of 5 pods are updated"},
		"DaemonSet: one is not available":   {daemons(func(d *appsv1.DaemonSet) { d.Status.NumberAvailable = 4 }), RollingOut, "4 of 5 pods are available"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := workloadOf(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if got, says := w.Rollout(); got != tc.want || !strings.Contains(says, tc.says) {
				t.Errorf("got %s %q, want %s %q", got, says, tc.want, tc.says)
			}
		})
	}
}

// What a rollout may take away at a time is what its controller computes: Deployments round down, the others up.
func TestMaxUnavailable(t *testing.T) {
	t.Parallel()
	rolling := func(unavailable, surge string) func(*appsv1.Deployment) {
		return func(d *appsv1.Deployment) {
			d.Spec.Strategy.RollingUpdate = &appsv1.RollingUpdateDeployment{MaxUnavailable: text(unavailable), MaxSurge: text(surge)}
		}
	}
	for name, tc := range map[string]struct {
		object runtime.Object
		want   int
	}{
		"a quarter of four":             {settled(4), 1},
		"a quarter of one: none":        {settled(1), 0},
		"neither, so that it can go on": {settled(3, rolling("10%", "0")), 1},
		"new ones first":                {settled(3, rolling("0", "1")), 0},
		"more than there are":           {settled(3, rolling("10", "0")), 3},
		"Recreate takes all": {settled(3, func(d *appsv1.Deployment) {
			d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.RecreateDeploymentStrategyType}
		}), 3},
		"a StatefulSet, one after another": {stateful(), 1},
		"a StatefulSet, half at a time": {stateful(func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{MaxUnavailable: text("50%")}
		}), 2},
		"a DaemonSet, one node after another": {daemons(), 1},
		"a DaemonSet, a third of the nodes":   {daemons(func(d *appsv1.DaemonSet) { d.Spec.UpdateStrategy.RollingUpdate.MaxUnavailable = text("33%") }), 2},
		"a DaemonSet, new ones first": {daemons(func(d *appsv1.DaemonSet) {
			d.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: text("0"), MaxSurge: text("1")}
		}), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, err := workloadOf(tc.object)
			if err != nil {
				t.Fatal(err)
			}
			if w.MaxUnavailable != tc.want {
				t.Errorf("got %d, want %d", w.MaxUnavailable, tc.want)
			}
		})
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	if got := estimate(time.Minute, 0, 10); got != 0 {
		t.Errorf("before anything is done: %s", got)
	}
	if got := estimate(time.Minute, 6, 12); got != 2*time.Minute {
		t.Errorf("at half the speed: %s", got)
	}
}
