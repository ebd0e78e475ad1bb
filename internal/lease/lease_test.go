package lease_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/lease"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

// patience is how long a test waits for what has to come. It is no measurement: the machine may be busy.
const patience = time.Minute

// testClock is the machine's, and can be set forward.
type testClock struct {
	mu     sync.Mutex
	offset time.Duration
}

func (c *testClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *testClock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

type rig struct {
	t         *testing.T
	cluster   *cluster.Cluster
	client    kubernetes.Interface
	namespace string
	clock     *testClock
}

func newRig(t *testing.T, c *cluster.Cluster) *rig {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "lease-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, cluster: c, client: client, namespace: namespace.Name, clock: &testClock{}}
}

// start runs a replica until the test ends, or until stop is called.
func (r *rig) start(client kubernetes.Interface, identity string) (_ *lease.Lease, stop func()) {
	r.t.Helper()
	l, err := lease.New(lease.Options{
		Client: client, Namespace: r.namespace, Name: "revision-router", Identity: identity, Now: r.clock.now, Log: logr.Discard(),
	})
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	done := make(chan error, 1)
	go func() { done <- l.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Start returned %v after its context was done", err)
		}
	})
	r.t.Cleanup(stop)
	return l, stop
}

func (r *rig) waitFor(what string, check func() error) {
	r.t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(r.t.Context(), 20*time.Millisecond, patience, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		r.t.Fatalf("waited for %s: %v", what, last)
	}
}

// userWho makes a user with these rules in the namespace and no others.
func (r *rig) userWho(rules ...rbacv1.PolicyRule) kubernetes.Interface {
	r.t.Helper()
	user := r.namespace + "-user"
	meta := metav1.ObjectMeta{Name: user}
	_, err1 := r.client.RbacV1().Roles(r.namespace).Create(r.t.Context(), &rbacv1.Role{ObjectMeta: meta, Rules: rules}, metav1.CreateOptions{})
	_, err2 := r.client.RbacV1().RoleBindings(r.namespace).Create(r.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: meta,
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
	}, metav1.CreateOptions{})
	config, err3 := r.cluster.ConfigFor(user)
	if err := errors.Join(err1, err2, err3); err != nil {
		r.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		r.t.Fatal(err)
	}
	return client
}

func holders(replicas map[string]*lease.Lease) []string {
	var held []string
	for identity, l := range replicas {
		if l.Held() {
			held = append(held, identity)
		}
	}
	return held
}

func TestOneReplicaHoldsTheLeaseAndGivesItBack(t *testing.T) {
	r := newRig(t, cluster.Shared(t))
	replicas, stops := map[string]*lease.Lease{}, map[string]func(){}
	for i := range 5 {
		identity := fmt.Sprintf("replica-%d", i)
		replicas[identity], stops[identity] = r.start(r.client, identity)
	}
	for len(replicas) > 2 {
		r.waitFor("one holder that all know", func() error {
			held := holders(replicas)
			if len(held) != 1 {
				return fmt.Errorf("%v hold the lease", held)
			}
			for identity, l := range replicas {
				if l.Holder() != held[0] {
					return fmt.Errorf("%s takes %q for the holder, which is %s", identity, l.Holder(), held[0])
				}
				if l.Writes() != (identity == held[0]) {
					return fmt.Errorf("%s writes: %t, the holder is %s", identity, l.Writes(), held[0])
				}
			}
			return nil
		})
		leaving := holders(replicas)[0]
		stops[leaving]()
		if replicas[leaving].Held() {
			t.Errorf("%s holds the lease after it stopped", leaving)
		}
		delete(replicas, leaving)
	}
}

// Permissions of the markers in this package, with the name of the chart's object.
func TestThePermissionsInTheMarkersAreEnough(t *testing.T) {
	r := newRig(t, cluster.Shared(t))
	leases := func(verbs []string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: verbs, ResourceNames: names}
	}
	l, _ := r.start(r.userWho(leases([]string{"get", "update"}, "revision-router"), leases([]string{"create"})), "a")
	r.waitFor("the lease", func() error {
		if !l.Held() {
			return errors.New("it is not held")
		}
		return nil
	})
}

func TestWithoutAnElectionAReplicaWritesInTheEnd(t *testing.T) {
	r := newRig(t, cluster.Shared(t))
	l, _ := r.start(r.userWho(), "a")
	r.clock.jump(lease.Patience - 10*time.Second)
	if l.Writes() || l.Held() {
		t.Error("it writes at once, although an election may still be under way")
	}
	r.clock.jump(11 * time.Second)
	if !l.Writes() || l.Held() {
		t.Errorf("writes: %t, holds: %t, want a replica that writes without the lease that it may not have", l.Writes(), l.Held())
	}
}

// A holder that is cut off must stop before the lease runs out for the others, and gets it back by itself.
func TestAHolderThatIsCutOffStopsAndComesBack(t *testing.T) {
	c, err := cluster.Start(t.Context(), cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Stop(); err != nil {
			t.Error(err)
		}
	})
	r := newRig(t, c)
	l, _ := r.start(r.client, "a")
	held := func() error {
		if !l.Held() || !l.Writes() {
			return errors.New("it does not hold the lease")
		}
		return nil
	}
	r.waitFor("the lease", held)
	if err := c.StopAPIServer(); err != nil {
		t.Fatal(err)
	}
	r.clock.jump(lease.Duration)
	if l.Held() || l.Writes() {
		t.Errorf("holds: %t, writes: %t: nobody has renewed it for its whole duration", l.Held(), l.Writes())
	}
	if err := c.StartAPIServer(); err != nil {
		t.Fatal(err)
	}
	r.waitFor("the lease again", held)
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	client, err := kubernetes.NewForConfig(cluster.Shared(t).Config())
	if err != nil {
		t.Fatal(err)
	}
	whole := lease.Options{Client: client, Namespace: "n", Name: "l", Identity: "a", Now: time.Now}
	if _, err := lease.New(whole); err != nil {
		t.Fatal(err)
	}
	for missing, change := range map[string]func(*lease.Options){
		"client":    func(o *lease.Options) { o.Client = nil },
		"namespace": func(o *lease.Options) { o.Namespace = "" },
		"name":      func(o *lease.Options) { o.Name = "" },
		"identity":  func(o *lease.Options) { o.Identity = "" },
		"clock":     func(o *lease.Options) { o.Now = nil },
	} {
		o := whole
		change(&o)
		if _, err := lease.New(o); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%v, want it to name the %s", err, missing)
		}
	}
}
