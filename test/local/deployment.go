package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/revision-router/revision-router/test/balance"
)

const (
	// propagation is the time between a change of a pod and the moment at which every node balances by it: the
	// EndpointSlice is written, watched, and becomes rules of the kernel. 400 ms were measured for a small cluster.
	propagation = 500 * time.Millisecond
	// noticeExit is how long the kubelet takes to see that a container ended (its relist period).
	noticeExit = time.Second
	// firstProbes is how often a replica that was never ready is asked. The kubelet asks at the chart's period; this
	// saves the time of tests, and nothing depends on how late a new replica gets its first request.
	firstProbes = 250 * time.Millisecond
)

// Deployment runs replicas of the router behind a Service: what the Deployment controller, the kubelet and
// kube-proxy do in a cluster, with the settings that the chart renders.
type Deployment struct {
	Service *balance.Service
	// Stopping, if set, is called in a goroutine of its own when a replica has been told to stop.
	Stopping func(*Replica)

	template template
	tending  sync.WaitGroup
	stopping sync.WaitGroup

	mu       sync.Mutex
	replicas []*Replica // that were not told to stop, oldest first
	started  int
	failed   []error // of replicas that did not stop as they should
}

// Replicas are those that ought to run, oldest first.
func (d *Deployment) Replicas() []*Replica {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.replicas)
}

// Scale starts or deletes replicas until there are n, and waits until the Service has those and no others. A replica
// that died is replaced. Those that were deleted may still drain; Stopped waits for their end.
func (d *Deployment) Scale(ctx context.Context, n int) error {
	var surplus []*Replica
	alive := 0
	for _, r := range d.Replicas() {
		if alive == n || !r.Running() {
			surplus = append(surplus, r)
			continue
		}
		alive++
	}
	var starting []*Replica
	for range n - alive {
		r, err := d.start() //nolint:contextcheck // what tends a replica goes on when the caller is done
		if err != nil {
			return err
		}
		starting = append(starting, r)
	}
	for _, r := range starting {
		if err := waitFor(ctx, r); err != nil {
			return err
		}
	}
	for _, r := range surplus {
		d.remove(r)
	}
	for _, r := range surplus {
		if err := d.Gone(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Restart replaces every replica by a new one, as kubectl rollout restart does with maxUnavailable 0 and maxSurge 1:
// an old one is deleted as soon as a new one is ready, and the next new one is started at once; those that
// stop do not count. It returns when the old ones have ended.
func (d *Deployment) Restart(ctx context.Context) error {
	for _, r := range d.Replicas() {
		successor, err := d.start() //nolint:contextcheck // as in Scale
		if err != nil {
			return err
		}
		if err := waitFor(ctx, successor); err != nil {
			return err
		}
		d.remove(r)
	}
	return d.Stopped()
}

// Stopped waits until every replica that was deleted has ended, and tells which did not within its grace period, or
// with an error.
func (d *Deployment) Stopped() error {
	d.stopping.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	err := errors.Join(d.failed...)
	d.failed = nil
	return err
}

// Kill ends a replica without a warning, as the kernel does when memory is short. The Service finds out when the
// kubelet does. What it returns tells how many connections may have failed with the replica up to now.
func (d *Deployment) Kill(r *Replica) (lost func() Lost, err error) {
	e := r.Endpoint
	// In this order a connection that is made meanwhile counts twice, and none is left out: these are bounds.
	before := Lost{Late: e.Made(), Refused: e.Refused()}
	before.Open = e.Open()
	return func() Lost {
		return Lost{Open: before.Open, Late: e.Made() - before.Late, Refused: e.Refused() - before.Refused}
	}, r.process.kill()
}

// Lost are the connections that may have failed with a replica that was killed. Each carried one request at most.
type Lost struct {
	// Open when it was killed, made while it died, and sent to it when nothing listened there any more.
	Open, Late, Refused int
}

// All is the most requests that can have failed.
func (l Lost) All() int { return l.Open + l.Late + l.Refused }

// Gone waits until no new connection is sent to a replica any more.
func (d *Deployment) Gone(ctx context.Context, r *Replica) error {
	select {
	case <-r.gone:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for %s to leave the Service: %w", r.Name, ctx.Err())
	}
}

func (d *Deployment) start() (*Replica, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started++
	r, err := d.template.start(fmt.Sprintf("revision-router-%d", d.started))
	if err != nil {
		return nil, err
	}
	d.replicas = append(d.replicas, r)
	d.tending.Go(func() { d.tend(r) })
	return r, nil
}

// remove deletes a replica: it is told to stop, and leaves the Service meanwhile.
func (d *Deployment) remove(r *Replica) {
	if !d.forget(r) || !r.Running() {
		return // somebody else deleted it, or it died before
	}
	close(r.deleted)
	if d.Stopping != nil {
		d.stopping.Go(func() { d.Stopping(r) })
	}
	d.stopping.Go(func() {
		if err := r.process.stopWithin(d.template.grace); err != nil {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.failed = append(d.failed, fmt.Errorf("%s: %w", r.Name, err))
		}
	})
}

// forget takes a replica off the list, and tells whether it was there.
func (d *Deployment) forget(r *Replica) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	before := len(d.replicas)
	d.replicas = slices.DeleteFunc(d.replicas, func(other *Replica) bool { return other == r })
	return len(d.replicas) < before
}

// tend does for one replica what the kubelet and the controller of EndpointSlices do, until it ends.
func (d *Deployment) tend(r *Replica) {
	defer close(r.gone)
	defer d.Service.Remove(r.Endpoint)
	probe := time.NewTimer(0)
	defer probe.Stop()
	var ready bool
	failures := 0
	for {
		select {
		case <-r.process.done:
			pause(noticeExit + propagation)
			return
		case <-r.deleted: // from now on the endpoint is terminating, and gets nothing whatever it says of itself
			pause(propagation)
			return
		case <-probe.C:
		}
		ok := d.probe(r)
		if ok {
			failures = 0
		} else {
			failures++
		}
		switch {
		case ok && !ready:
			ready = true
			pause(propagation)
			d.admit(r)
		case ready && failures >= int(d.template.probe.FailureThreshold):
			ready = false
			pause(propagation)
			d.Service.Remove(r.Endpoint)
		}
		probe.Reset(d.untilNextProbe(r))
	}
}

func (d *Deployment) admit(r *Replica) {
	if err := d.Service.Add(r.Endpoint); err != nil {
		return // the port is taken: whoever waits for the replica runs into the time limit, and says so
	}
	select {
	case <-r.ready:
	default:
		close(r.ready)
	}
}

func (d *Deployment) untilNextProbe(r *Replica) time.Duration {
	select {
	case <-r.ready:
		return time.Duration(d.template.probe.PeriodSeconds) * time.Second
	default:
		return firstProbes
	}
}

func (d *Deployment) probe(r *Replica) bool {
	// No caller's context: the kubelet asks on its own account.
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(d.template.probe.TimeoutSeconds)*time.Second)
	defer cancel()
	ok, _ := get(ctx, r.Health+d.template.probe.HTTPGet.Path)
	return ok
}

func (d *Deployment) close() error {
	for _, r := range d.Replicas() {
		d.remove(r)
	}
	err := d.Stopped()
	d.tending.Wait()
	d.Service.Close()
	return err
}

// waitFor waits until the Service has a replica.
func waitFor(ctx context.Context, r *Replica) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-r.ready:
		return nil
	case <-r.process.done:
		return fmt.Errorf("%s ended: %w\n%s", r.Name, r.process.err, r.Tail())
	case <-ctx.Done():
		_, why := get(context.WithoutCancel(ctx), r.Health+"/readyz?verbose")
		return fmt.Errorf("%s did not become ready: %w\n%s\n%s", r.Name, ctx.Err(), why, r.Tail())
	}
}

// pause is a delay that the machinery of a cluster would take.
func pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	<-timer.C
}
