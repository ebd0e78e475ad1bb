package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/revision-router/revision-router/test/cluster"
)

const (
	// containerName is that of the container that is run, in the chart's Deployment.
	containerName = "router"
	// finalizer keeps a pod that is deleted until its process has ended, as the kubelet does.
	finalizer = "cluster.test/process"
)

// kubelet runs the router of every pod that has one.
type kubelet struct {
	kube    kubernetes.Interface
	server  *rest.Config
	network *podNetwork
	binary  string
	dir     string

	lister  listers.PodLister
	cancel  context.CancelFunc
	tending sync.WaitGroup

	mu     sync.Mutex
	seen   map[types.UID]bool
	run    []*routerPod
	failed []error
}

// routerPod is a pod and its process.
type routerPod struct {
	pod     *corev1.Pod
	mounts  mounts
	process *process
	health  string
	routes  []string
	ready   bool
	// failures of the readiness probe in a row.
	failures int32
}

// start follows the pods until close.
func (k *kubelet) start(ctx context.Context) error {
	ctx, k.cancel = context.WithCancel(context.WithoutCancel(ctx))
	k.seen = map[types.UID]bool{}
	factory := informers.NewSharedInformerFactory(k.kube, 0)
	k.lister = factory.Core().V1().Pods().Lister()
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { k.see(ctx, o) },
		UpdateFunc: func(_, o any) { k.see(ctx, o) },
	})
	if err != nil {
		return fmt.Errorf("following pods: %w", err)
	}
	factory.StartWithContext(ctx)
	factory.WaitForCacheSyncWithContext(ctx)
	return nil
}

// see begins to tend a pod of a router once it has an address.
func (k *kubelet) see(ctx context.Context, object any) {
	pod, ok := object.(*corev1.Pod)
	if !ok || pod.Spec.Containers[0].Name != containerName || pod.Status.PodIP == "" || pod.DeletionTimestamp != nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen[pod.UID] || ctx.Err() != nil {
		return
	}
	k.seen[pod.UID] = true
	k.tending.Go(func() {
		if err := k.tend(ctx, pod.DeepCopy()); err != nil && ctx.Err() == nil {
			k.fail(fmt.Errorf("pod %s/%s: %w", pod.Namespace, pod.Name, err))
		}
	})
}

// tend does for one pod what a kubelet does, until the pod is deleted.
func (k *kubelet) tend(ctx context.Context, pod *corev1.Pod) error {
	if err := k.patch(ctx, pod, map[string]any{"finalizers": []string{finalizer}}); err != nil {
		if k.deleted(pod) {
			return nil // before it began
		}
		return err
	}
	r, err := k.launch(ctx, pod)
	if err != nil {
		return err
	}
	grace := 30 * time.Second // the default of a pod
	if pod.Spec.TerminationGracePeriodSeconds != nil {
		grace = time.Duration(*pod.Spec.TerminationGracePeriodSeconds) * time.Second
	}
	watching := k.watch(ctx, r)
	if ctx.Err() != nil {
		return r.process.kill() // the control plane is about to end, and nobody waits for a drain
	}
	stopping := r.process.stopWithin(grace)
	for _, route := range r.routes {
		k.network.drop(route)
	}
	return errors.Join(watching, stopping, k.patch(ctx, pod, map[string]any{"finalizers": nil}))
}

// watch keeps volumes and readiness up to date until the pod is deleted, or its process has ended.
func (k *kubelet) watch(ctx context.Context, r *routerPod) error {
	probe := r.pod.Spec.Containers[0].ReadinessProbe
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.process.done:
			return errors.Join(fmt.Errorf("the router ended by itself: %w\n%s", r.process.err, r.process.tail()), k.annotate(ctx, r, false))
		case <-again.C:
		}
		if k.deleted(r.pod) {
			return nil
		}
		if err := r.mounts.sync(ctx); err != nil && ctx.Err() == nil && !k.deleted(r.pod) {
			return err
		}
		if err := k.probe(ctx, r, probe); err != nil && ctx.Err() == nil && !apierrors.IsNotFound(err) {
			return err
		}
		again.Reset(firstProbes)
	}
}

// deleted tells whether the pod is gone or about to go. It is asked often: the kubelet is told at once.
func (k *kubelet) deleted(pod *corev1.Pod) bool {
	current, err := k.lister.Pods(pod.Namespace).Get(pod.Name)
	return err != nil || current.UID != pod.UID || current.DeletionTimestamp != nil
}

func (k *kubelet) probe(ctx context.Context, r *routerPod, probe *corev1.Probe) error {
	within, cancel := context.WithTimeout(ctx, time.Duration(probe.TimeoutSeconds)*time.Second)
	defer cancel()
	ok, _ := get(within, r.health+probe.HTTPGet.Path)
	if !ok {
		r.failures++
	} else {
		r.failures = 0
	}
	if ok == r.ready || (!ok && r.failures < probe.FailureThreshold) {
		return nil
	}
	r.ready = ok
	return k.annotate(ctx, r, ok)
}

// annotate makes kwok write the readiness into the pod's status.
func (k *kubelet) annotate(ctx context.Context, r *routerPod, ready bool) error {
	return k.patch(ctx, r.pod, map[string]any{"annotations": map[string]string{cluster.AnnotationReady: strconv.FormatBool(ready)}})
}

func (k *kubelet) patch(ctx context.Context, pod *corev1.Pod, metadata map[string]any) error {
	metadata["uid"] = pod.UID // of this pod and not of another with its name
	body, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return err
	}
	_, err = k.kube.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.MergePatchType, body, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("writing to pod %s: %w", pod.Name, err)
	}
	return nil
}

// launch mounts the volumes and starts the process.
func (k *kubelet) launch(ctx context.Context, pod *corev1.Pod) (*routerPod, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	container := pod.Spec.Containers[0]
	r := &routerPod{pod: pod, mounts: mounts{kube: k.kube, pod: pod, dir: filepath.Join(k.dir, string(pod.UID))}}
	if err := r.mounts.sync(ctx); err != nil {
		return nil, err
	}
	kubeconfig, err := r.mounts.kubeconfig(k.server)
	if err != nil {
		return nil, err
	}
	address := func(i int) string { return fmt.Sprintf("%s:%d", loopback, ports[i]) }
	env := environment(pod)
	args := slices.Concat(r.mounts.localised(expand(container.Args, env)), []string{
		"--kubeconfig=" + kubeconfig, "--webhook-host=" + loopback, "--webhook-port=" + strconv.Itoa(ports[0]),
		"--health-address=" + address(1), "--metrics-address=" + address(2),
	})
	log := filepath.Join(k.dir, pod.Name+".log")
	if r.process, err = startProcess(command{k.binary, args, env, log}); err != nil {
		return nil, err
	}
	r.health = "http://" + address(1)
	for i, name := range []string{"webhook", "health", "metrics"} {
		for _, port := range container.Ports {
			if port.Name == name {
				r.routes = append(r.routes, fmt.Sprintf("%s:%d", pod.Status.PodIP, port.ContainerPort))
				k.network.route(r.routes[len(r.routes)-1], address(i))
			}
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.run = append(k.run, r)
	return r, nil
}

// environment is what the container gets, as NAME=VALUE.
func environment(pod *corev1.Pod) []string {
	var env []string
	for _, variable := range pod.Spec.Containers[0].Env {
		switch from := variable.ValueFrom; {
		case from == nil:
			env = append(env, variable.Name+"="+variable.Value)
		case from.FieldRef != nil && from.FieldRef.FieldPath == "metadata.namespace":
			env = append(env, variable.Name+"="+pod.Namespace)
		}
	}
	return env
}

// expand replaces $(NAME) in arguments.
func expand(args, env []string) []string {
	args = slices.Clone(args)
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "$("+name+")", value)
		}
	}
	return args
}

func (k *kubelet) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.failed = append(k.failed, err)
}

// tails are the ends of the logs of the routers that were started, and what went wrong with them.
func (k *kubelet) tails() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var b strings.Builder
	for _, r := range k.run {
		fmt.Fprintf(&b, "-- %s, running: %t\n%s\n", r.pod.Name, !r.process.ended(), r.process.tail())
	}
	if err := errors.Join(k.failed...); err != nil {
		fmt.Fprintln(&b, err)
	}
	return b.String()
}

// close ends the processes. It returns what went wrong with any.
func (k *kubelet) close() error {
	if k.cancel != nil {
		k.cancel()
	}
	k.tending.Wait()
	return errors.Join(k.failed...)
}
