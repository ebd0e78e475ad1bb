package migrate_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/revision-router/revision-router/internal/migrate"
	"github.com/revision-router/revision-router/internal/status"
)

func shop(name string) migrate.Ref {
	return migrate.Ref{Namespace: "shop", Kind: "Deployment", Name: name}
}

// scene is a namespace with Deployments that have settled, with two pods each that may be away one at a time.
func scene(names ...string) *migrate.Namespace {
	n := &migrate.Namespace{Workloads: map[migrate.Ref]*migrate.Workload{}}
	for _, name := range names {
		app := map[string]string{"app": name}
		n.Workloads[shop(name)] = &migrate.Workload{
			Ref: shop(name), Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: app}},
			Pods: labels.SelectorFromSet(app), Strategy: "RollingUpdate", MaxUnavailable: 1,
			Seen: true, Wanted: 2, Current: 2, Updated: 2, Available: 2,
		}
		for range 2 {
			n.Pods = append(n.Pods, migrate.Pod{Name: name, Labels: app, Ready: true, Proxy: older()})
		}
	}
	return n
}

func cart(n *migrate.Namespace) *migrate.Workload { return n.Workloads[shop("cart")] }

// budget adds one that its controller has counted: all pods of the Deployments are healthy.
func budget(n *migrate.Namespace, desired int, names ...string) *migrate.Budget {
	selector, err := labels.Parse("app in (" + strings.Join(names, ",") + ")")
	if err != nil {
		panic(err)
	}
	b := &migrate.Budget{
		Namespace: "shop", Name: "pdb", Pods: selector, Seen: true, Healthy: 2 * len(names), Desired: desired, Expected: 2 * len(names),
	}
	n.Budgets = append(n.Budgets, b)
	return b
}

func proxies(n *migrate.Namespace, list ...status.Proxy) {
	for i := range list {
		n.Pods[i].Proxy = list[i]
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(n *migrate.Namespace, d *migrate.Due)
		want   migrate.Verdict
		why    string
	}{
		"nothing is in the way": {func(*migrate.Namespace, *migrate.Due) {}, migrate.Ready, ""},
		"it was deleted":        {func(n *migrate.Namespace, _ *migrate.Due) { clear(n.Workloads) }, migrate.Done, "gone"},
		"a Job":                 {func(_ *migrate.Namespace, d *migrate.Due) { d.Kind = "Job" }, migrate.Left, "a Job is nothing"},
		"paused":                {func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Paused = true }, migrate.Left, "paused"},
		"OnDelete":              {func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Strategy = "OnDelete" }, migrate.Left, "OnDelete"},
		"a partition":           {func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Partition = 1 }, migrate.Left, "partition"},
		"its control plane rolls out": {
			func(_ *migrate.Namespace, d *migrate.Due) { d.Wait = "kubectl rollout status" }, migrate.Waits, "has yet to roll out",
		},
		"it rolls out": {func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Updated = 1 }, migrate.UnderWay, "1 of 2 pods is updated"},
		"it rolls out, and its control plane as well": {
			func(n *migrate.Namespace, d *migrate.Due) { cart(n).Updated, d.Wait = 1, "kubectl" }, migrate.UnderWay, "updated",
		},
		"it failed before anything was new": {
			func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Exceeded = "deadline" }, migrate.Left, "an earlier rollout",
		},
		"it failed with the new sidecar": {
			func(n *migrate.Namespace, _ *migrate.Due) { cart(n).Exceeded = "deadline"; proxies(n, newer()) }, migrate.Broken, "deadline",
		},
		"somebody else restarted it": {
			func(n *migrate.Namespace, _ *migrate.Due) { proxies(n, newer(), newer()) }, migrate.Done, "meanwhile",
		},
		"half of it has the sidecar": {func(n *migrate.Namespace, _ *migrate.Due) { proxies(n, newer()) }, migrate.Ready, ""},
		"another patch of its revision": {
			func(n *migrate.Namespace, _ *migrate.Due) {
				p := status.Proxy{Revision: newRevision, Version: "v1.30.2"}
				proxies(n, p, p)
			}, migrate.Ready, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, d := scene("cart"), migrate.Due{Ref: shop("cart"), To: newer()}
			tc.change(n, &d)
			got := n.Judge(d, nil)
			if got.Verdict != tc.want || !strings.Contains(got.Why, tc.why) {
				t.Errorf("got %+v, want %s: %s", got, tc.want, tc.why)
			}
			if got.Verdict == migrate.Left && d.Kind != "Job" && got.Next == "" {
				t.Errorf("%s is left without a next step", d)
			}
		})
	}
}

func TestJudgeKeepsBudgets(t *testing.T) {
	t.Parallel()
	started := func(names ...string) map[migrate.Ref]bool {
		all := map[migrate.Ref]bool{}
		for _, name := range names {
			all[shop(name)] = true
		}
		return all
	}
	for name, tc := range map[string]struct {
		change  func(n *migrate.Namespace)
		started map[migrate.Ref]bool
		want    migrate.Verdict
		why     string
	}{
		"one pod may be away":           {func(n *migrate.Namespace) { budget(n, 1, "cart") }, nil, migrate.Ready, ""},
		"a budget of others":            {func(n *migrate.Namespace) { budget(n, 2, "pay") }, nil, migrate.Ready, ""},
		"none may, and the rollout may": {func(n *migrate.Namespace) { budget(n, 2, "cart") }, nil, migrate.Left, "lets 0 pods be away"},
		"none may, and new pods come first": {
			func(n *migrate.Namespace) { budget(n, 2, "cart"); cart(n).MaxUnavailable = 0 }, nil, migrate.Ready, "",
		},
		"all pods at once": {
			func(n *migrate.Namespace) { budget(n, 1, "cart"); cart(n).MaxUnavailable = 2 }, nil, migrate.Left, "may take away 2",
		},
		"a pod is unhealthy": {
			func(n *migrate.Namespace) { budget(n, 3, "cart", "pay"); n.Pods[2].Ready = false }, nil, migrate.Waits, "3 are",
		},
		"a pod is about to end": {
			func(n *migrate.Namespace) { budget(n, 3, "cart", "pay"); n.Pods[2].Deleting = true }, nil, migrate.Waits, "3 are",
		},
		"its controller has yet to notice that pods are back": {
			func(n *migrate.Namespace) { budget(n, 3, "cart", "pay").Healthy = 3 }, nil, migrate.Waits, "3 are",
		},
		"its controller has looked while a pod was replaced": {
			func(n *migrate.Namespace) { b := budget(n, 3, "cart", "pay"); b.Expected, b.Healthy = 3, 3 }, nil, migrate.Waits, "of its 4 pods",
		},
		"below the budget although new pods come first": {
			func(n *migrate.Namespace) { budget(n, 2, "cart").Healthy = 1; cart(n).MaxUnavailable = 0 }, nil, migrate.Waits, "1 are",
		},
		"another one of the wave may take a pod": {
			func(n *migrate.Namespace) { budget(n, 3, "cart", "pay") }, started("pay"), migrate.Waits, "others under way 1",
		},
		"there is room for both": {func(n *migrate.Namespace) { budget(n, 2, "cart", "pay") }, started("pay"), migrate.Ready, ""},
		"somebody else rolls another one out": {
			func(n *migrate.Namespace) { budget(n, 1, "cart", "pay"); n.Workloads[shop("pay")].Updated = 1 }, nil, migrate.Waits, "also that of Deployment shop/pay",
		},
		"the controller has not seen it": {func(n *migrate.Namespace) { budget(n, 1, "cart").Seen = false }, nil, migrate.Waits, "has yet to see"},
		"the controller cannot tell":     {func(n *migrate.Namespace) { budget(n, 1, "cart").Trouble = "no scale" }, nil, migrate.Waits, "no scale"},
		"two budgets, and the second is strict": {
			func(n *migrate.Namespace) { budget(n, 1, "cart"); budget(n, 2, "cart", "pay").Healthy = 2 }, nil, migrate.Waits, "wants 2",
		},
		"a budget for a label that a webhook added": {
			func(n *migrate.Namespace) {
				budget(n, 2, "injected").Pods = labels.SelectorFromSet(labels.Set{"mesh": "yes"})
				n.Budgets[0].Expected = 2
				for i := range n.Pods[:2] {
					n.Pods[i].Labels = map[string]string{"app": "cart", "mesh": "yes"}
				}
			}, nil, migrate.Left, "lets 0 pods be away",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := scene("cart", "pay")
			tc.change(n)
			got := n.Judge(migrate.Due{Ref: shop("cart"), To: newer()}, tc.started)
			if got.Verdict != tc.want || !strings.Contains(got.Why, tc.why) {
				t.Errorf("got %+v, want %s: %s", got, tc.want, tc.why)
			}
		})
	}
}
