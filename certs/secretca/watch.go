package secretca

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// bell is a store that keeps nothing: whatever changes, it rings. What has changed is read afterwards, from etcd.
type bell struct{ ring func() }

var _ cache.ReflectorStore = bell{}

func (b bell) Add(any) error               { b.ring(); return nil }
func (b bell) Update(any) error            { b.ring(); return nil }
func (b bell) Delete(any) error            { b.ring(); return nil }
func (b bell) Replace([]any, string) error { b.ring(); return nil }
func (b bell) Resync() error               { return nil }

// watchBackoff is how long a watch that ended badly waits. client-go's own would wait up to half a minute, and
// a CA bundle that was overwritten right after an outage has to be mended within seconds.
func watchBackoff() *wait.Backoff {
	return &wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Cap: 3 * time.Second, Steps: 8}
}

// watched is one object, or the place where it will be.
type watched struct {
	name   string
	object runtime.Object
	list   func(context.Context, metav1.ListOptions) (runtime.Object, error)
	open   func(context.Context, metav1.ListOptions) (watch.Interface, error)
}

// +kubebuilder:rbac:groups="",resources=secrets,namespace=revision-router,resourceNames=revision-router-ca,verbs=list;watch

// watchAll watches the Secret and each configuration by name until ctx is done. Watches only save time: without
// the permission for one, its object is looked at every lookEvery.
func (m *Manager) watchAll(ctx context.Context, running *sync.WaitGroup) {
	secrets := m.secret.client
	all := []watched{{
		name: m.secret.name, object: &corev1.Secret{}, open: secrets.Watch,
		list: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return secrets.List(ctx, o) },
	}}
	for _, t := range m.targets {
		all = append(all, watched{name: t.name, object: t.api.object(), list: t.api.list, open: t.api.open})
	}
	for _, w := range all {
		reflector := m.reflector(w)
		running.Go(func() { reflector.RunWithContext(ctx) })
	}
}

// reflector lists and watches one name, and begins again whenever a watch ends.
func (m *Manager) reflector(w watched) *cache.Reflector {
	selector := fields.OneTermEqualSelector(metav1.ObjectNameField, w.name).String()
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = selector
			found, err := w.list(ctx, o)
			return found, m.slowIfForbidden(ctx, err)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = selector
			opened, err := w.open(ctx, o)
			return opened, m.slowIfForbidden(ctx, err)
		},
	}
	options := cache.ReflectorOptions{Name: "certs " + w.name, Logger: &m.options.Log, Backoff: watchBackoff()}
	return cache.NewReflectorWithOptions(
		cache.ToListWatcherWithWatchListSemantics(lw, m.options.Client), w.object, bell{ring: m.ring}, options)
}

// slowIfForbidden makes the reflector ask, and complain, only once in a while where the permission is missing.
func (m *Manager) slowIfForbidden(ctx context.Context, err error) error {
	if apierrors.IsForbidden(err) {
		select {
		case <-ctx.Done():
		case <-m.options.Clock.After(lookEvery):
		}
	}
	return err
}

// ring asks for a look. It never blocks: one that is asked for already will see everything.
func (m *Manager) ring() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}
