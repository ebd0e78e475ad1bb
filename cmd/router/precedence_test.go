package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/test/cluster"
)

func TestAPolicyThatChangesReachesTheMesh(t *testing.T) {
	c := cluster.Shared(t)
	if err := cluster.InstallCRDs(t.Context(), c.Config(), sail.CRDs()); err != nil {
		t.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "first", Labels: map[string]string{"istio.io/rev": "prod", "team": "shop"}}}
	if _, err := kube.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(precedence string) {
		t.Helper()
		text := "apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\nprecedence: " + precedence + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("[{namespaceSelector: {matchLabels: {team: shop}}, precedence: Pod}]")
	policy, err := config.NewStore(path, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	o := parsed(t, "--mode=forward")
	source, _, err := shared{api: c.Config(), options: *o, policy: policy, log: logr.Discard()}.newSource()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- source.Start(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	podFirst := func() bool {
		m := source.Mesh()
		if m == nil {
			return false
		}
		ns, ok := m.Namespace("first")
		return ok && ns.PodFirst
	}
	waitUntil(t, podFirst)
	write("Namespace")
	policy.Reload()
	waitUntil(t, func() bool { return !podFirst() })
}
