// Package registration looks at how the API server comes to call the router: the webhook configurations of the router
// and of Istio's injectors, and whether they are in an order that works.
//
// What it finds is reported and mended by people. It never makes a replica unready: what is wrong is wrong for all
// replicas at once, and a router that nobody can call helps nobody (docs/decisions).
package registration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// DefaultInterval is half of the time that a new CA is published before it signs (certs.DefaultSettle), so that the
	// CA bundles that are known here are never behind what is served.
	DefaultInterval = 15 * time.Second
	// callTimeout bounds one look, pause is before one that was asked for.
	callTimeout, pause = 5 * time.Second, time.Second
)

// Options configure a [Watcher]. All but Revisions, Interval and Log are required.
type Options struct {
	Client kubernetes.Interface
	// Mutating are the names of the router's MutatingWebhookConfigurations.
	Mutating []string
	// Revisions returns the names of the revisions for which injector webhooks are expected, which in guard mode are
	// all that the Sail Operator runs. nil: none are.
	Revisions func() []string
	// Interval is the time between two looks.
	Interval time.Duration
	Log      logr.Logger
}

// Watcher looks again and again. Make one with [New].
type Watcher struct {
	options Options
	last    atomic.Pointer[State]

	// soon asks for a look before the interval is over.
	soon chan struct{}

	mu     sync.Mutex // one look at a time
	logged []Finding
	failed bool
}

// State is what was seen last.
type State struct {
	Findings []Finding
	// Bundles are the CA bundles of the router's webhooks, those that hold the same only once.
	Bundles [][]byte
}

// Count tells how often a problem was found.
func (s State) Count(p Problem) int {
	n := 0
	for _, f := range s.Findings {
		if f.Problem == p {
			n++
		}
	}
	return n
}

// New checks the options.
func New(o Options) (*Watcher, error) {
	if o.Client == nil {
		return nil, errors.New("registration: Client is required")
	}
	if o.Interval == 0 {
		o.Interval = DefaultInterval
	}
	if o.Revisions == nil {
		o.Revisions = func() []string { return nil }
	}
	return &Watcher{options: o, soon: make(chan struct{}, 1)}, nil
}

// Start looks until ctx is done.
func (w *Watcher) Start(ctx context.Context) error {
	ticker := time.NewTicker(w.options.Interval)
	defer ticker.Stop()
	for {
		w.Look(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-w.soon:
			select { // whoever asks may ask often
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
			}
		}
	}
}

// LookSoon asks for a look within about a second. It does not wait for it.
func (w *Watcher) LookSoon() {
	select {
	case w.soon <- struct{}{}:
	default: // asked for already
	}
}

// State returns what was seen last, and false before the first look succeeded. What was seen stays while the API
// server cannot be asked.
func (w *Watcher) State() (State, bool) {
	if s := w.last.Load(); s != nil {
		return *s, true
	}
	return State{}, false
}

// Look looks now. What it sees comes from the API server's cache, which costs little and is seconds old at most.
//
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations,verbs=list
func (w *Watcher) Look(ctx context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := w.options.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(limited, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		if ctx.Err() == nil && !w.failed {
			w.failed = true
			w.options.Log.Info("webhook configurations cannot be listed; what was seen last still counts", "error", err.Error())
		}
		return
	}
	w.failed = false
	found := Judge(Facts{Own: w.options.Mutating, All: list.Items, Revisions: w.options.Revisions()})
	w.last.Store(&State{Findings: found, Bundles: w.bundles(list.Items)})
	w.log(found)
}

func (w *Watcher) bundles(all []admissionregistrationv1.MutatingWebhookConfiguration) [][]byte {
	var bundles [][]byte
	for i := range all {
		if !slices.Contains(w.options.Mutating, all[i].Name) {
			continue
		}
		for j := range all[i].Webhooks {
			bundle := all[i].Webhooks[j].ClientConfig.CABundle
			if len(bundle) > 0 && !slices.ContainsFunc(bundles, func(b []byte) bool { return bytes.Equal(b, bundle) }) {
				bundles = append(bundles, bundle)
			}
		}
	}
	return bundles
}

// log says each finding when it comes and when it goes.
func (w *Watcher) log(found []Finding) {
	for _, f := range found {
		if !slices.Contains(w.logged, f) {
			w.options.Log.Info("webhook configurations are not as they should be", "problem", f.Problem, "message", f.Message)
		}
	}
	for _, f := range w.logged {
		if !slices.Contains(found, f) {
			w.options.Log.Info("webhook configurations were put right", "problem", f.Problem, "message", f.Message)
		}
	}
	w.logged = found
}

// Describe says the findings in lines for people.
func (s State) Describe() []string {
	lines := make([]string, 0, len(s.Findings))
	for _, f := range s.Findings {
		lines = append(lines, fmt.Sprintf("%s: %s", f.Problem, f.Message))
	}
	return lines
}
