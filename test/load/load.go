// Package load creates pods through a real API server at a fixed rate, and judges every answer. The loop is open:
// when a pod is due does not depend on how soon the one before was answered, so that an answer that comes late
// cannot hide those that would have failed behind it.
package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/rest"
)

const (
	// requestTimeout is more than any webhook of the router may take.
	requestTimeout = 20 * time.Second
	// slice is how often it is looked which pods are due.
	slice = 10 * time.Millisecond
)

// Options say what to create.
type Options struct {
	Config *rest.Config
	// Namespaces get the pods by turns.
	Namespaces []string
	// Revisions are what all of them may lead to: more than one only while something changes.
	Revisions []string
	// Rate is in pods a second.
	Rate int
	// Burst pods are created at once on top, each BurstEvery.
	Burst      int
	BurstEvery time.Duration
	// StoreEvery: one of so many pods is stored. The others are dry runs, which take the same way through admission
	// and spare etcd. Zero stores none.
	StoreEvery int
	// Scheduler is asked to place the pods that are stored. Where nodes run pods, one that does not exist keeps them from it.
	Scheduler string
	// MaxWaiting bounds the requests that wait for an answer.
	MaxWaiting int
}

// Typical is the load of a busy cluster: 300 pods a second, 100 more at once every two seconds, one of 20 stored.
func Typical(config *rest.Config, revisions, namespaces []string) Options {
	return Options{
		Config: config, Namespaces: namespaces, Revisions: revisions,
		Rate: 300, Burst: 100, BurstEvery: 2 * time.Second, StoreEvery: 20, MaxWaiting: 150,
	}
}

func (o Options) validate() error {
	switch {
	case o.Config == nil || len(o.Namespaces) == 0 || len(o.Revisions) == 0:
		return errors.New("generating load: Config, Namespaces and Revisions are needed")
	case o.Rate <= 0 || o.MaxWaiting <= 0:
		return errors.New("generating load: Rate and MaxWaiting must be above zero")
	case o.Burst > 0 && o.BurstEvery <= 0:
		return errors.New("generating load: a Burst needs BurstEvery")
	}
	return nil
}

// Generator creates pods from Start to Stop.
type Generator struct {
	options Options
	client  *http.Client
	began   time.Time
	tally   tally
	created atomic.Int64
	waiting chan struct{}
	running sync.WaitGroup
	stop    context.CancelFunc
	stopped chan struct{}
}

// Start begins to create pods.
func Start(ctx context.Context, o Options) (*Generator, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(o.Config)
	if err != nil {
		return nil, fmt.Errorf("generating load: %w", err)
	}
	g := &Generator{
		options: o, client: client, began: time.Now(),
		tally:   tally{counts: map[Answer]int{}},
		waiting: make(chan struct{}, o.MaxWaiting), stopped: make(chan struct{}),
	}
	ctx, g.stop = context.WithCancel(ctx)
	go g.schedule(ctx)
	return g, nil
}

// schedule sends what is due until ctx is done.
func (g *Generator) schedule(ctx context.Context) {
	defer close(g.stopped)
	tick := time.NewTicker(slice)
	defer tick.Stop()
	sent, bursts := 0, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		since := time.Since(g.began)
		for due := int(since.Seconds() * float64(g.options.Rate)); sent < due; sent++ {
			g.send(ctx)
		}
		if g.options.Burst == 0 || since < time.Duration(bursts+1)*g.options.BurstEvery {
			continue
		}
		bursts++
		g.burst(ctx)
	}
}

func (g *Generator) burst(ctx context.Context) {
	for range g.options.Burst {
		g.send(ctx)
	}
}

// Burst creates a burst of pods at this moment: many of them need a new connection to the webhook, which is what fails
// first when a replica goes. It must not be called after Stop.
func (g *Generator) Burst(ctx context.Context) { g.burst(ctx) }

// send creates one pod, unless too many are waiting.
func (g *Generator) send(ctx context.Context) {
	select {
	case g.waiting <- struct{}{}:
	default:
		g.tally.skip()
		return
	}
	number := int(g.created.Add(1))
	// What was sent is waited for, also when it is time to stop: else the last failures would be our own.
	ctx = context.WithoutCancel(ctx)
	g.running.Go(func() {
		defer func() { <-g.waiting }()
		began := time.Now()
		answer, text := g.create(ctx, number)
		g.tally.add(Failure{began.Sub(g.began), answer, text}, time.Since(began))
	})
}

func (g *Generator) create(ctx context.Context, number int) (Answer, string) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	namespace := g.options.Namespaces[number%len(g.options.Namespaces)]
	url := g.options.Config.Host + "/api/v1/namespaces/" + namespace + "/pods"
	if g.options.StoreEvery == 0 || number%g.options.StoreEvery != 0 {
		url += "?dryRun=All"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(pod(namespace, g.options.Scheduler)))
	if err != nil {
		return NoAnswer, err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := g.client.Do(request)
	if err != nil {
		return NoAnswer, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return NoAnswer, err.Error()
	}
	return judge(response.StatusCode, body, g.options.Revisions), fmt.Sprintf("%d %s", response.StatusCode, body)
}

// pod is what a ReplicaSet would create. The ServiceAccount's token is left out: no controller makes the account.
func pod(namespace, scheduler string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"load-","namespace":%q,`+
		`"labels":{"app":"load","version":"v1"}},"spec":{"automountServiceAccountToken":false,"schedulerName":%q,`+
		`"containers":[{"name":"app","image":"load:1.0"}]}}`, namespace, scheduler)
}

// Elapsed is the time since Start, which failures are dated by.
func (g *Generator) Elapsed() time.Duration { return time.Since(g.began) }

// Report is what has been done up to now.
func (g *Generator) Report() Report {
	g.tally.mu.Lock()
	defer g.tally.mu.Unlock()
	r := Report{
		Took: time.Since(g.began), Counts: maps.Clone(g.tally.counts), Skipped: g.tally.skipped, Wrong: slices.Clone(g.tally.failures),
	}
	r.percentiles(g.tally.took)
	return r
}

// Stop ends the load, waits for every answer that is due, and reports.
func (g *Generator) Stop() Report {
	g.stop()
	<-g.stopped
	took := time.Since(g.began)
	g.running.Wait()
	r := g.Report()
	r.Took = took
	g.client.CloseIdleConnections()
	return r
}
