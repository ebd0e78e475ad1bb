package mesh

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing/skew"
)

// told is everything that the pods mean to the rules, in a fixed order.
type told struct {
	Workloads []skew.Workload
	Running   []inventory.Running
	Consumers []skew.Consumer
}

func (p *pods) told() told {
	out := told{Workloads: p.workloads(), Running: p.running(), Consumers: p.consumers()}
	out.sort()
	return out
}

func (o *told) sort() {
	slices.SortFunc(o.Workloads, func(a, b skew.Workload) int {
		return cmp.Compare(fmt.Sprintf("%+v", a), fmt.Sprintf("%+v", b))
	})
	slices.SortFunc(o.Running, func(a, b inventory.Running) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	slices.SortFunc(o.Consumers, func(a, b skew.Consumer) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// recount tells the same of whole pods, from nothing.
func recount(all map[string]*inventory.Pod) told {
	out := told{Workloads: []skew.Workload{}, Running: []inventory.Running{}}
	counted := map[skew.Workload]int{}
	running := map[inventory.Running]bool{}
	for _, p := range all {
		if w, ok := p.Workload(); ok {
			counted[w]++
		}
		if r, ok := p.Running(); ok {
			running[r] = true
		}
		if c, ok := p.Consumer(); ok {
			out.Consumers = append(out.Consumers, c)
		}
	}
	for w, n := range counted {
		w.Pods = n
		out.Workloads = append(out.Workloads, w)
	}
	for r := range running {
		out.Running = append(out.Running, r)
	}
	out.sort()
	return out
}

// randomPod is one of few names in one of many states.
func randomPod(random *rand.Rand) *inventory.Pod {
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	p := &inventory.Pod{}
	p.Namespace, p.Name = pick("a", "b"), pick("1", "2", "3", "4", "5")
	p.Labels, p.Annotations = map[string]string{}, map[string]string{"istio.io/rev": pick("one", "two")}
	p.Spec.Containers = []inventory.Container{{Name: pick("istio-proxy", "app"), Image: pick("x:1.29.6", "x:1.30.3", "x@sha256:0")}}
	p.Status.Phase = pick("Running", "Running", "Running", "Failed")
	p.Status.Conditions = []inventory.PodCondition{{Type: "Ready", Status: pick("True", "False")}}
	if random.IntN(3) == 0 {
		p.Labels["istio.io/use-waypoint"] = pick("w", "none")
	}
	if random.IntN(4) == 0 {
		p.Labels["app"], p.Labels["istio.io/rev"], p.Labels["app.kubernetes.io/version"] = "istiod", "one", pick("1.29.6", "1.30.3")
	}
	return p
}

// Whatever happens to the pods, what is kept incrementally is what a count from nothing gives; and a change is told
// where, and only where, it changed what is known.
func TestPodsAreCountedIncrementally(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	kept := newPods()
	all := map[string]*inventory.Pod{}
	read := func(p *inventory.Pod) item {
		i, err := kept.read(p)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	changes := 0
	for step := range 20_000 {
		before := kept.told()
		var changed bool
		switch p := randomPod(random); random.IntN(20) {
		case 0: // a list, after which only some are left
			all = map[string]*inventory.Pod{}
			var items []item
			for range random.IntN(8) {
				p := randomPod(random)
				if all[p.Namespace+"/"+p.Name] == nil {
					all[p.Namespace+"/"+p.Name] = p
					items = append(items, read(p))
				}
			}
			changed = kept.replace(items)
		case 1, 2, 3, 4, 5:
			delete(all, p.Namespace+"/"+p.Name)
			changed = kept.remove(read(p).key)
		default:
			all[p.Namespace+"/"+p.Name] = p
			changed = kept.set(read(p))
		}
		got := kept.told()
		if diff := gocmp.Diff(recount(all), got); diff != "" {
			t.Fatalf("after step %d (-recounted +kept)\n%s", step, diff)
		}
		if !changed && !gocmp.Equal(before, got) {
			t.Fatalf("step %d changed something and did not tell", step)
		}
		if changed {
			changes++
		}
	}
	if changes == 20_000 {
		t.Error("every step was told to be a change, also those that set what was there")
	}
	if len(kept.count) > 100 {
		t.Errorf("%d workloads are kept, most of them without pods", len(kept.count))
	}
}

func TestPodsRefuseOtherObjects(t *testing.T) {
	if i, err := newPods().read(aNamespace("n", nil)); err == nil {
		t.Errorf("a namespace was read as %+v", i)
	}
}
