package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/files"
)

const (
	name = "revision-router.revision-router.svc"
	hint = "is cert-manager running? kubectl -n revision-router describe certificate revision-router-tls"
)

// stepClock fires a timer only when the test says so, and then waits until the Watcher has set the next one, which it
// does when it has looked.
type stepClock struct {
	mu     sync.Mutex
	offset time.Duration
	timers chan chan time.Time
}

func (c *stepClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.offset)
}

func (c *stepClock) After(time.Duration) <-chan time.Time {
	timer := make(chan time.Time, 1)
	c.timers <- timer
	return timer
}

func (c *stepClock) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offset += by
}

// rig is a Watcher of a folder as the kubelet mounts it.
type rig struct {
	t       *testing.T
	dir     string
	clock   *stepClock
	watcher *files.Watcher
	timer   chan time.Time
	mounts  int
	ca      *certs.Authority
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), clock: &stepClock{timers: make(chan chan time.Time)}}
	ca, err := certs.NewAuthority(time.Now(), certs.DefaultCALifetime)
	if err != nil {
		t.Fatal(err)
	}
	r.ca = ca
	r.watcher, err = files.New(files.Options{
		Dir: r.dir, Names: []string{name, "127.0.0.1"}, Clock: r.clock, Log: logr.Discard(), Hint: hint,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.watcher.Start(ctx) }()
	r.timer = <-r.clock.timers
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Start returned %v after its context was done", err)
		}
	})
	return r
}

// look lets the Watcher look once.
func (r *rig) look() {
	r.timer <- time.Now()
	r.timer = <-r.clock.timers
}

// mount swaps the content as the kubelet's atomic writer does: a new folder, and a link that is renamed over.
func (r *rig) mount(content map[string][]byte) {
	r.t.Helper()
	r.mounts++
	version := fmt.Sprintf("..version-%d", r.mounts)
	errs := []error{os.Mkdir(filepath.Join(r.dir, version), 0o700)}
	for name, data := range content {
		errs = append(errs, os.WriteFile(filepath.Join(r.dir, version, name), data, 0o600))
		link := filepath.Join(r.dir, name)
		if _, err := os.Lstat(link); err != nil {
			errs = append(errs, os.Symlink(filepath.Join("..data", name), link))
		}
	}
	next := filepath.Join(r.dir, "..data_tmp")
	errs = append(errs, os.Symlink(version, next), os.Rename(next, filepath.Join(r.dir, "..data")))
	if err := errors.Join(errs...); err != nil {
		r.t.Fatal(err)
	}
}

// pair makes the files of a leaf that is valid for lifetime from now on.
func (r *rig) pair(lifetime time.Duration, dnsNames ...string) map[string][]byte {
	r.t.Helper()
	leaf, err := r.ca.Issue(certs.LeafRequest{
		DNSNames: dnsNames, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Lifetime: lifetime,
	}, r.clock.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	key, err := certs.EncodeKey(keyOf(r.t, leaf))
	if err != nil {
		r.t.Fatal(err)
	}
	return map[string][]byte{"tls.crt": certs.EncodeCertificate(leaf.Certificate()), "tls.key": key}
}

func (r *rig) serves(content map[string][]byte) bool {
	leaf := r.watcher.Source().Leaf()
	return leaf != nil && bytes.Equal(certs.EncodeCertificate(leaf), content["tls.crt"])
}

func TestReadinessSaysWhatIsMissing(t *testing.T) {
	cases := map[string]struct {
		content func(*rig) map[string][]byte
		want    []string
	}{
		"nothing is mounted": {nil, []string{"tls.crt is not there", hint}},
		"the key is missing": {func(r *rig) map[string][]byte {
			return map[string][]byte{"tls.crt": r.pair(day, name)["tls.crt"]}
		}, []string{"tls.key is not there", hint}},
		"the Secret has no certificate yet": {func(*rig) map[string][]byte {
			return map[string][]byte{"tls.crt": {}, "tls.key": {}}
		}, []string{"tls.crt is empty", hint}},
		"it is no certificate": {func(*rig) map[string][]byte {
			return map[string][]byte{"tls.crt": []byte("x"), "tls.key": []byte("y")}
		}, []string{"tls.crt and tls.key in", "failed to find any PEM data", hint}},
		"the key is another's": {func(r *rig) map[string][]byte {
			return map[string][]byte{"tls.crt": r.pair(day, name)["tls.crt"], "tls.key": r.pair(day, name)["tls.key"]}
		}, []string{"private key does not match public key", hint}},
		"the certificate is for another name": {func(r *rig) map[string][]byte {
			return r.pair(day, "somebody-else.svc")
		}, []string{"somebody-else.svc", "not " + name, hint}},
		"the certificate is about to expire": {func(r *rig) map[string][]byte {
			return r.pair(certs.MinRemaining, name)
		}, []string{"want more than 1h0m0s left", hint}},
	}
	for caseName, tc := range cases {
		t.Run(caseName, func(t *testing.T) {
			r := newRig(t)
			if tc.content != nil {
				r.mount(tc.content(r))
			}
			r.look()
			err := r.watcher.Ready()
			if err == nil {
				t.Fatal("it is ready")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q, want %q in it", err, want)
				}
			}
		})
	}
}

func TestARenewedCertificateIsServed(t *testing.T) {
	r := newRig(t)
	if err := r.watcher.Ready(); err == nil {
		t.Error("it is ready without files")
	}
	for range 3 {
		content := r.pair(day, name)
		r.mount(content)
		r.look()
		if !r.serves(content) {
			t.Error("it does not serve what is mounted")
		}
		if err := r.watcher.Ready(); err != nil || r.watcher.Failed() {
			t.Errorf("not ready: %v", err)
		}
	}
}

func TestACertificateThatWorksIsNotReplacedByOneThatDoesNot(t *testing.T) {
	bad := map[string]func(*rig) map[string][]byte{
		"garbage": func(*rig) map[string][]byte { return map[string][]byte{"tls.crt": []byte("x"), "tls.key": nil} },
		"half of a renewal": func(r *rig) map[string][]byte {
			return map[string][]byte{"tls.crt": r.pair(day, name)["tls.crt"], "tls.key": r.pair(day, name)["tls.key"]}
		},
		"another name": func(r *rig) map[string][]byte { return r.pair(day, "somebody-else.svc") },
		"an expired one": func(r *rig) map[string][]byte {
			content := r.pair(time.Minute, name)
			r.clock.jump(time.Hour)
			return content
		},
	}
	for caseName, replacement := range bad {
		t.Run(caseName, func(t *testing.T) {
			r := newRig(t)
			good := r.pair(day, name)
			r.mount(good)
			r.look()
			r.mount(replacement(r))
			r.look()
			if !r.serves(good) || !r.watcher.Failed() {
				t.Errorf("serves the good one: %t, failed: %t, want both", r.serves(good), r.watcher.Failed())
			}
			if err := r.watcher.Ready(); err != nil {
				t.Errorf("not ready, although what is served is fine: %v", err)
			}
			r.clock.jump(2 * day)
			if err := r.watcher.Ready(); err == nil || !strings.Contains(err.Error(), "what would replace it cannot be used") {
				t.Errorf("%v, want an expired certificate and why it was not replaced", err)
			}
			next := r.pair(day, name)
			r.mount(next)
			r.look()
			if err := r.watcher.Ready(); err != nil || !r.serves(next) || r.watcher.Failed() {
				t.Errorf("it did not recover: %v", err)
			}
		})
	}
}

func TestOptionsThatCannotWorkAreRefused(t *testing.T) {
	whole := files.Options{Dir: "x", Names: []string{name}, Clock: &stepClock{}}
	if _, err := files.New(whole); err != nil {
		t.Fatal(err)
	}
	for missing, change := range map[string]func(*files.Options){
		"folder": func(o *files.Options) { o.Dir = "" },
		"names":  func(o *files.Options) { o.Names = nil },
		"clock":  func(o *files.Options) { o.Clock = nil },
	} {
		o := whole
		change(&o)
		if _, err := files.New(o); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("%v, want it to name the %s", err, missing)
		}
	}
}

const day = 24 * time.Hour
