package secretca_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/certs/secretca"
)

// between does something after the first read of a Secret.
type between struct {
	next http.RoundTripper
	do   func()
	seen atomic.Int32
}

func (b *between) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := b.next.RoundTrip(r)
	if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/secrets/") && b.seen.Add(1) == 1 {
		b.do()
	}
	return response, err
}

// While a rotation goes on the Secret changes under who follows it, as router certs rotate --wait does.
func TestWhoAsksForTheStatusLooksAgainWhenTheSecretChanges(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	m, stop := e.start(e.options())
	e.waitReady(m)
	stop()
	patch := []byte(`{"metadata":{"annotations":{"written":"by another replica"}}}`)
	change := &between{do: func() {
		_, err := e.client.CoreV1().Secrets(e.namespace).Patch(context.WithoutCancel(t.Context()), e.secret().Name, types.MergePatchType, patch, metav1.PatchOptions{})
		if err != nil {
			t.Error(err)
		}
	}}
	config := rest.CopyConfig(e.cluster.Config())
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		change.next = next
		return change
	})
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	options := e.options()
	options.Client = client
	looker, err := secretca.New(options)
	if err != nil {
		t.Fatal(err)
	}
	status, err := looker.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if reads := change.seen.Load(); reads != 4 || status.Current == nil {
		t.Errorf("%d reads, and the CA is %v; want two looks of two reads each, and the CA", reads, status.Current)
	}
}
