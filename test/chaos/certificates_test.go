//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/certs/secretca"
)

const day = 24 * time.Hour

// clockJumps makes the wall clocks of all replicas jump a day ahead, as after a suspended virtual machine: no timer
// fires for it. The certificates were made five days ago by then and are due for renewal after four and two thirds.
// Rows 15 and 37 of the catalogue.
func clockJumps(w *world) result {
	t := w.t
	w.scale(t, 2)
	_, stop := w.load(t)
	pairs := w.watchPairs(t)
	w.setClock(t, -day) // four days old: not due
	w.nudge(t)
	before := w.leaves(t)
	w.sleep(2 * time.Second)
	for name, leaf := range w.leaves(t) {
		if !leaf.Equal(before[name]) {
			t.Fatalf("%s has renewed its certificate before its time", name)
		}
	}
	w.setClock(t, 0) // a day ahead
	began := time.Now()
	// A minute is the promise; the rest is for a machine that is busy.
	w.eventually(t, 75*time.Second, "every certificate is renewed", func(context.Context) error {
		return renewed(before, w.leaves(t))
	})
	took := time.Since(began)
	pairs.end()
	pairs.check(t)
	report := stop()
	noneFailed(t, report)
	res := of(report)
	res.done = "wall clock of 2 replicas +24 h, certificates due"
	res.figure = fmt.Sprintf("all renewed after %.0f s, %d pairs looked at, all verify", took.Seconds(), pairs.samples)
	return res
}

// leaves are the certificates that the replicas serve, by name.
func (w *world) leaves(t *testing.T) map[string]*x509.Certificate {
	t.Helper()
	all := map[string]*x509.Certificate{}
	for _, r := range w.routers().Replicas() {
		leaf, err := served(w.ctx, r)
		if err != nil {
			t.Fatalf("%s: %v", r.Name, err)
		}
		all[r.Name] = leaf
	}
	return all
}

// certificatesChange renews leaves and rotates the CA under load. Leaves are renewed by the clock, which goes to and
// fro, CAs by request. Row 13 of the catalogue.
func certificatesChange(w *world) result {
	t := w.t
	const replicas = 3
	jumps, rotations := 8, 5
	if w.short {
		jumps, rotations = 2, 1
	}
	w.setClock(t, 0)
	w.scale(t, replicas)
	w.eventually(t, 90*time.Second, "every certificate is new", func(context.Context) error {
		w.nudge(t)
		return eachLeaf(w.leaves(t), func(_ string, leaf *x509.Certificate) bool {
			return leaf.NotBefore.After(time.Now().Add(-2 * time.Hour))
		})
	})
	_, stop := w.load(t)
	pairs := w.watchPairs(t)
	w.eventually(t, 30*time.Second, "every replica was looked at", func(context.Context) error {
		if n := pairs.replicas(); n < replicas {
			return fmt.Errorf("%d of %d", n, replicas)
		}
		return nil
	})
	w.renewByClock(t, jumps, pairs)
	byTheClock, _ := pairs.renewals()
	for i := range rotations {
		began := time.Now()
		w.rotate(t)
		say("rotation %d of %d took %s", i+1, rotations, time.Since(began).Round(time.Second))
	}
	w.sleep(time.Second)
	pairs.end()
	pairs.check(t)
	report := stop()
	noneFailed(t, report)
	leaves, authorities := pairs.renewals()
	if want := replicas * (jumps + rotations); leaves < want || authorities < rotations {
		t.Errorf("%d renewals and %d rotations were seen, want %d and %d", leaves, authorities, want, rotations)
	}
	res := of(report)
	res.done = fmt.Sprintf("%d leaf renewals, %d CA rotations on %d replicas", leaves, authorities, replicas)
	res.figure = fmt.Sprintf("%d renewals by the clock, %d by rotations; %d looks, every leaf verifies with every bundle",
		byTheClock, leaves-byTheClock, pairs.samples)
	return res
}

// renewByClock has every replica renew its certificate so many times, an even number. Set back by days, the clock says
// that the certificate is not valid yet; set right again, that two thirds of the life of the one made meanwhile are
// over. All of them are valid by the API server's clock.
func (w *world) renewByClock(t *testing.T, times int, pairs *pairWatch) {
	t.Helper()
	for i := range times {
		before := w.leaves(t)
		seen, _ := pairs.renewals()
		offset := time.Duration(0)
		if i%2 == 0 {
			offset = firstOffset + time.Hour // not before the first CA was made
		}
		w.setClock(t, offset)
		w.eventually(t, 90*time.Second, "every certificate is renewed", func(context.Context) error {
			w.nudge(t)
			return renewed(before, w.leaves(t))
		})
		// The next one replaces these, and what was not looked at by then never is.
		w.eventually(t, 30*time.Second, "every renewal was seen", func(context.Context) error {
			if n, _ := pairs.renewals(); n < seen+len(before) {
				return fmt.Errorf("%d of %d", n-seen, len(before))
			}
			return nil
		})
	}
}

// renewed tells which replica still has its certificate of before.
func renewed(before, after map[string]*x509.Certificate) error {
	return eachLeaf(after, func(name string, leaf *x509.Certificate) bool { return !leaf.Equal(before[name]) })
}

func eachLeaf(leaves map[string]*x509.Certificate, wanted func(string, *x509.Certificate) bool) error {
	for name, leaf := range leaves {
		if !wanted(name, leaf) {
			return fmt.Errorf("%s serves a certificate from %s to %s", name, leaf.NotBefore, leaf.NotAfter)
		}
	}
	return nil
}

// nudge makes every replica look at its certificates, which it does once a minute by itself.
func (w *world) nudge(t *testing.T) {
	t.Helper()
	w.annotate(t, "chaos.test/nudge", time.Now().String())
}

func (w *world) annotate(t *testing.T, key, value string) {
	t.Helper()
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, key, value)
	_, err := w.kube.CoreV1().Secrets("revision-router").
		Patch(w.ctx, secretca.DefaultSecretName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// rotate asks for a new CA as docs/operations.md says, and waits until every replica serves a certificate of it. Then
// time passes for the old one.
func (w *world) rotate(t *testing.T) {
	t.Helper()
	old := w.leaves(t)
	w.annotate(t, secretca.RotateAnnotation, "now")
	w.eventually(t, 2*time.Minute, "every replica serves a certificate of the new CA", func(context.Context) error {
		return eachLeaf(w.leaves(t), func(name string, leaf *x509.Certificate) bool {
			return !bytes.Equal(leaf.AuthorityKeyId, old[name].AuthorityKeyId)
		})
	})
	w.endOverlap(t)
}

// endOverlap brings the day forward on which the previous CA is dropped, eight days after a rotation: by then no
// certificate of it is valid, as none is served any more at this moment.
func (w *world) endOverlap(t *testing.T) {
	t.Helper()
	secrets := w.kube.CoreV1().Secrets("revision-router")
	past := time.Now().Add(-time.Minute).UTC().Format(time.RFC3339)
	body, err := json.Marshal(corev1.Secret{Data: map[string][]byte{"previous-until": []byte(past)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.Patch(w.ctx, secretca.DefaultSecretName, types.MergePatchType, body, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	w.eventually(t, 30*time.Second, "the old CA is dropped", func(ctx context.Context) error {
		secret, err := secrets.Get(ctx, secretca.DefaultSecretName, metav1.GetOptions{})
		if err == nil && len(secret.Data["previous.crt"]) > 0 {
			err = errors.New("it is still there")
		}
		return err
	})
}
