package sail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/revision-router/revision-router/test/injector"
)

// User is the ServiceAccount that the operator's installation uses, and that the router's policy knows.
const User = "system:serviceaccount:" + operatorNamespace + ":" + operatorName

const (
	operatorName      = "sail-operator"
	operatorNamespace = "sail-operator"
	// retryInterval is how soon a reconciliation that failed is tried again. The operator backs off from 5 ms up to
	// 16 minutes; a test should not have to wait that long.
	retryInterval = 250 * time.Millisecond
	// podsLimit bounds the wait of Races.PodsFirst.
	podsLimit = 20 * time.Second
)

// Options configure [Start].
type Options struct {
	// Config is an administrator's: Start makes the operator's ServiceAccount and its rights, and impersonates it.
	Config *rest.Config
	// Versions resolve aliases such as v1.30-latest. An alias that is not in it is an error, any other version stands
	// for itself.
	Versions map[string]string
	// Injector answers for all istiods, each while it has a ready pod, on a port of this machine, where Istio's own
	// resources are also found valid. Nil: the webhooks lead to Services, which have no address on a local control plane,
	// unless Inject says something else.
	Injector *injector.Server
	// Inject is how the API server reaches the injector of a revision. The CA bundle is left out until istiod is ready:
	// istiod writes it itself.
	Inject func(revision, version string) admissionregistrationv1.WebhookClientConfig
	// WorkersOnly keeps the pods of IstioCNI and ZTunnel, which tolerate every taint, from nodes of the control plane.
	WorkersOnly bool
	// Races is how chance goes at first; see [Operator.SetRaces].
	Races Races
	// Log gets the errors of reconciliations. Nil discards them; the objects' conditions hold them, too.
	Log io.Writer
}

// Races decide what depends on timing in the real operator. Each of them was recorded both ways.
type Races struct {
	// PodsFirst: the pods of a chart of istiod are ready before the operator looks at them, which takes it most of a
	// second. So a new revision is never seen unready.
	PodsFirst bool
	// TagsLast: a revision reports for the first time before the tags that point at it do.
	TagsLast bool
	// RevisionUnseen: the operator does not find the IstioRevision that it has just made, because its cache lags.
	RevisionUnseen bool
	// Conflict: after that, it writes the IstioRevision from the outdated copy in its cache, and fails.
	Conflict bool
}

// Operator runs until [Operator.Stop].
type Operator struct {
	client  dynamic.Interface
	admin   *rest.Config
	options Options
	wake    chan struct{}
	cancel  context.CancelFunc
	done    sync.WaitGroup
	applied map[string]string // the last rendering of each object, by kind and name
	istiods map[string]dynamic.Interface
	passing sync.Mutex
	// webhookServer is nil where Options.Injector is.
	webhookServer *httptest.Server

	mu       sync.Mutex
	races    Races
	versions map[string]string
	serving  map[string]bool
	broken   map[fault]bool
}

// Start sets the operator's rights up, starts it and returns once it sees the cluster. The CustomResourceDefinitions of
// its kinds have to be there; Gateways are served where theirs are. ctx bounds the start only.
func Start(ctx context.Context, o Options) (*Operator, error) {
	if err := grant(ctx, o.Config); err != nil {
		return nil, fmt.Errorf("set up the rights of %s: %w", User, err)
	}
	config := rest.CopyConfig(o.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: User}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", User, err)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	op := &Operator{
		client: client, admin: o.Config, options: o, wake: make(chan struct{}, 1),
		applied: map[string]string{}, istiods: map[string]dynamic.Interface{},
		races: o.Races, versions: maps.Clone(o.Versions), serving: map[string]bool{},
	}
	if o.Injector != nil {
		op.serveWebhooks()
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	op.cancel = cancel
	if err := op.watch(ctx, running); err != nil {
		op.Stop()
		return nil, err
	}
	op.done.Go(func() { op.run(running) })
	return op, nil
}

// Stop ends the operator, and the injectors, and returns when they do nothing any more. What it made stays.
func (o *Operator) Stop() {
	o.cancel()
	o.done.Wait()
	if o.webhookServer != nil {
		o.webhookServer.Close()
	}
}

// SetRaces decides how chance goes from now on.
func (o *Operator) SetRaces(r Races) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.races = r
}

// Hold keeps the operator from looking while f runs: what f writes happens at once for it.
func (o *Operator) Hold(f func() error) error {
	o.passing.Lock()
	defer o.passing.Unlock()
	return f()
}

// SetVersion moves an alias, as an update of the operator does. Nobody writes the objects that use it.
func (o *Operator) SetVersion(alias, version string) {
	o.mu.Lock()
	if o.versions == nil {
		o.versions = map[string]string{}
	}
	o.versions[alias] = version
	o.mu.Unlock()
	o.trigger()
}

// Serving reports whether the istiod of a revision has a ready pod, so that its injector would answer. Stand-ins for
// injectors ask it; see [Operator.Gate].
func (o *Operator) Serving(revision string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.serving[revision]
}

func (o *Operator) chance() Races {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.races
}

// resolve returns the version that an alias stands for.
func (o *Operator) resolve(version string) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if resolved, ok := o.versions[version]; ok {
		return resolved, nil
	}
	if version == "master" || strings.HasSuffix(version, "-latest") {
		return version, fmt.Errorf("version %q not found", version)
	}
	return version, nil
}

func (o *Operator) trigger() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// watch wakes the operator on every change of what it looks at.
func (o *Operator) watch(ctx, running context.Context) error {
	factory := dynamicinformer.NewDynamicSharedInformerFactory(o.client, 0)
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { o.trigger() },
		UpdateFunc: func(any, any) { o.trigger() },
		DeleteFunc: func(any) { o.trigger() },
	}
	kinds := []resource{istios, revisions, tags, cnis, ztunnels, namespaces, pods, deployments, daemonSets}
	served, err := o.awaitRights(ctx)
	if err != nil {
		return err
	}
	if served {
		kinds = append(kinds, gateways)
	}
	for _, kind := range kinds {
		if _, err := factory.ForResource(kind).Informer().AddEventHandler(handler); err != nil {
			return fmt.Errorf("watch %s: %w", kind.Resource, err)
		}
	}
	factory.Start(running.Done())
	o.done.Go(func() {
		<-running.Done()
		factory.Shutdown()
	})
	for kind, synced := range factory.WaitForCacheSync(ctx.Done()) {
		if !synced {
			return fmt.Errorf("watch %s: %w", kind.Resource, context.Cause(ctx))
		}
	}
	return nil
}

func (o *Operator) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-o.wake:
		case <-timer.C:
		}
		again, err := o.pass(ctx)
		if err != nil && ctx.Err() == nil {
			_, _ = fmt.Fprintf(o.options.Log, "sail: %v\n", err)
			again = retryInterval
		}
		if again > 0 {
			timer.Reset(again)
		}
	}
}

// pass reconciles every object once. One after the other, where the operator has a controller for each kind: so what
// is seen depends on Races and not on the scheduler.
func (o *Operator) pass(ctx context.Context) (again time.Duration, err error) {
	o.passing.Lock()
	defer o.passing.Unlock()
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return o.each(ctx, cnis, o.reconcileCNI) },
		func(ctx context.Context) error { return o.each(ctx, ztunnels, o.reconcileZTunnel) },
		func(ctx context.Context) error { return o.each(ctx, istios, o.reconcileIstio) },
	}
	tagStep := func(ctx context.Context) error { return o.each(ctx, tags, o.reconcileTag) }
	revisionStep := func(ctx context.Context) error { return o.each(ctx, revisions, o.reconcileRevision) }
	if o.chance().TagsLast {
		steps = append(steps, revisionStep, tagStep)
	} else {
		steps = append(steps, tagStep, revisionStep)
	}
	steps = append(steps, o.beIstiods, func(ctx context.Context) error {
		var err error
		again, err = o.prune(ctx)
		return err
	})
	var errs []error
	for _, step := range steps {
		errs = append(errs, step(ctx))
	}
	return again, errors.Join(errs...)
}

func (o *Operator) each(ctx context.Context, kind resource, reconcile func(context.Context, *object) error) error {
	items, err := o.list(ctx, kind)
	if err != nil {
		return err
	}
	var errs []error
	for _, item := range items {
		if err := reconcile(ctx, item); err != nil {
			errs = append(errs, fmt.Errorf("reconcile %s %s: %w", item.GetKind(), item.GetName(), err))
		}
	}
	return errors.Join(errs...)
}
