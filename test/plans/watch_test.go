package plans

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/injector"
)

// witness watches while a plan is carried out: every pod that is created, every request that a webhook refuses, and the
// distance of the versions.
type witness struct {
	w *world
	// refusedBefore is how often each webhook had refused something.
	refusedBefore map[string]int
	// retriedBefore is how many requests had to be tried again.
	retriedBefore int

	// pods is how many had to have a sidecar at first.
	pods int

	mu sync.Mutex
	// created counts the pods that had to get a sidecar; wrong says what was not right.
	created int
	wrong   []string

	// back: a step is being taken back, where an override may let proxies be ahead of their control plane for a while.
	back atomic.Bool
	stop chan struct{}
	done sync.WaitGroup
}

// sidecars are the namespaces whose pods have to have one, but for those that are gateways or waypoints.
func sidecars() []string { return []string{"bookinfo", "more", "plain"} }

// witness starts to watch; judge ends it.
func (w *world) witness() *witness {
	w.t.Helper()
	x := &witness{w: w, refusedBefore: w.refusals(), retriedBefore: w.retried, stop: make(chan struct{})}
	x.pods, _ = w.sidecarPods()
	watcher, err := w.kube.CoreV1().Pods("").Watch(w.t.Context(), metav1.ListOptions{})
	w.must(err)
	x.done.Go(func() {
		defer watcher.Stop()
		for {
			select {
			case <-x.stop:
				return
			case event, ok := <-watcher.ResultChan():
				if !ok {
					x.add("the watch of pods ended")
					return
				}
				if pod, isPod := event.Object.(*corev1.Pod); isPod && event.Type == watch.Added {
					x.judgePod(pod)
				}
			}
		}
	})
	x.done.Go(x.watchVersions)
	w.t.Cleanup(x.end)
	return x
}

func (x *witness) end() {
	x.mu.Lock()
	defer x.mu.Unlock()
	select {
	case <-x.stop:
	default:
		close(x.stop)
	}
}

func (x *witness) add(line string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !slices.Contains(x.wrong, line) {
		x.wrong = append(x.wrong, line)
	}
}

// judgePod wants one sidecar, of the revision that both the router and the API server's selectors found by the labels,
// and of that revision's version.
func (x *witness) judgePod(pod *corev1.Pod) {
	if !slices.Contains(sidecars(), pod.Namespace) || pod.Labels[routing.LabelInject] == "false" {
		return
	}
	x.mu.Lock()
	x.created++
	x.mu.Unlock()
	images := proxies(pod)
	who := "pod " + pod.Namespace + "/" + pod.Name
	if len(images) != 1 {
		x.add(fmt.Sprintf("%s has %d sidecars", who, len(images)))
		return
	}
	injected, routed := pod.Annotations[routing.LabelRevision], pod.Labels[routing.LabelRoutedRevision]
	version := pod.Labels[routing.LabelRoutedVersion]
	if injected == "" || injected != routed {
		x.add(fmt.Sprintf("%s was injected by revision %q, its labels mean %q", who, injected, routed))
	}
	if !strings.HasSuffix(images[0], ":"+strings.TrimPrefix(version, "v")) {
		x.add(fmt.Sprintf("%s has the sidecar %s, its revision is %s", who, images[0], version))
	}
}

// lookAt wants a sidecar in every pod once a step is done, and as many pods as there were at first.
func (x *witness) lookAt(after string) {
	w := x.w
	w.t.Helper()
	w.eventually("all pods are there after "+after, func() string {
		pods, bare := w.sidecarPods()
		if len(bare) > 0 {
			w.t.Fatalf("after %s there are pods that do not have one sidecar: %s", after, strings.Join(bare, ", "))
		}
		if pods < x.pods {
			return fmt.Sprintf("there are %d, of %d", pods, x.pods)
		}
		return ""
	})
}

// sidecarPods counts the pods that have to have a sidecar, but for those that are on their way out, and names those that
// do not have one.
func (w *world) sidecarPods() (count int, bare []string) {
	w.t.Helper()
	for _, namespace := range sidecars() {
		list, err := w.kube.CoreV1().Pods(namespace).List(w.t.Context(), metav1.ListOptions{})
		w.must(err)
		for i := range list.Items {
			pod := &list.Items[i]
			if pod.DeletionTimestamp != nil || pod.Labels[routing.LabelInject] == "false" {
				continue
			}
			count++
			if len(proxies(pod)) != 1 {
				bare = append(bare, namespace+"/"+pod.Name)
			}
		}
	}
	return count, bare
}

// proxies are the images of the sidecars of a pod.
func proxies(pod *corev1.Pod) []string {
	var images []string
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		if c.Name == injector.ProxyName {
			images = append(images, c.Image)
		}
	}
	return images
}

// watchVersions looks whether the mesh is skewed. A snapshot of many kinds is never of one moment, so what it says counts
// only if the next one, a second later, says it again.
func (x *witness) watchVersions() {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var before []string
	for {
		select {
		case <-x.stop:
			return
		case <-tick.C:
		}
		var now []string
		for _, o := range skew.Examine(x.w.seen.SkewMesh(), skew.DefaultPolicy()).Observations {
			if o.Level != skew.Deny || x.back.Load() {
				continue
			}
			now = append(now, string(o.Rule)+": "+o.What)
			if slices.Contains(before, now[len(now)-1]) {
				x.add("on the way: " + now[len(now)-1])
			}
		}
		before = now
	}
}

// judge ends the watch, and fails the test where something was wrong.
func (x *witness) judge() {
	t := x.w.t
	t.Helper()
	x.end()
	x.done.Wait()
	for _, line := range x.wrong {
		t.Error(line)
	}
	again := 0
	for who, n := range x.w.refusals() {
		switch n -= x.refusedBefore[who]; {
		case n > 0 && strings.Contains(who, `rejection_code="503"`):
			again += n
		case n > 0:
			t.Errorf("%d requests were refused by %s", n, who)
		}
	}
	if known := x.w.retried - x.retriedBefore; again > known {
		t.Errorf("%d requests could not be judged, %d of them of printed commands, which were run again", again, known)
	}
	t.Logf("%d pods were created that had to get a sidecar", x.created)
}

// refusals counts what webhooks refused, and calls that failed, by the API server's own metric.
func (w *world) refusals() map[string]int {
	w.t.Helper()
	raw, err := w.kube.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(w.t.Context())
	w.must(err)
	counts := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^apiserver_admission_webhook_rejection_count\{(.*)\} (\d+)$`).FindAllStringSubmatch(string(raw), -1) {
		n, err := strconv.Atoi(m[2])
		w.must(err)
		counts[m[1]] += n
	}
	return counts
}
