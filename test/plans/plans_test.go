// Package plans runs what router plan prints: every command, by bash and kubectl, against a real API server that asks
// the router's validating webhooks, with a stand-in for the Sail Operator. Nothing is refused on the way, and the mesh
// ends at the version.
package plans

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/cli"
	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/sail"
	"github.com/revision-router/revision-router/webhook"
)

func TestMain(m *testing.M) {
	ctrllog.SetLogger(logr.Discard())
	os.Exit(cluster.Main(m))
}

// world is a mesh that a plan can be carried out in.
type world struct {
	t       *testing.T
	cluster *cluster.Cluster
	kubectl string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	kubectl, err := cluster.Tool(t.Context(), "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Nodes: 2})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, cluster: c, kubectl: kubectl}
	t.Cleanup(func() { w.must(c.Stop()) })
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), sailapi.CRDs()))
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()))
	for _, name := range []string{"istio-system", "istio-cni", "ztunnel", "bookinfo"} {
		w.bash("kubectl create namespace " + name)
	}
	operator, err := sail.Start(t.Context(), sail.Options{Config: c.Config(), Log: t.Output(), Injector: new(injector.Server)})
	w.must(err)
	t.Cleanup(operator.Stop)
	w.judge()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// bash runs lines as a person would paste them, and fails where one of them does.
func (w *world) bash(lines string) string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", lines)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.Kubeconfig(), "PATH="+filepath.Dir(w.kubectl)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s\n%s%v", lines, out, err)
	}
	return string(out)
}

// judge serves the validating webhooks of the router as the chart configures them, failing closed.
func (w *world) judge() {
	w.t.Helper()
	inv, err := mesh.NewSkew(mesh.SkewOptions{Config: w.cluster.Config()})
	w.must(err)
	ctx, cancel := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = inv.Start(ctx) })
	w.t.Cleanup(func() { cancel(); done.Wait() })
	recorder, err := metrics.NewChangeRecorder(prometheus.NewRegistry())
	w.must(err)
	mux := http.NewServeMux()
	webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh: inv, Policy: skew.DefaultPolicy, Recorder: recorder, Log: logr.Discard(),
	}).Register(registrar{mux})
	base, ca := w.serve(mux)
	objects, err := local.Chart(w.t.Context(), "--set", "changes.failurePolicy=Fail")
	w.must(err)
	kube, err := kubernetes.NewForConfig(w.cluster.Config())
	w.must(err)
	for _, object := range objects {
		if object.GetKind() != "ValidatingWebhookConfiguration" {
			continue
		}
		w.must(local.CallByURL(object, base, ca))
		var configuration admissionregistrationv1.ValidatingWebhookConfiguration
		w.must(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &configuration))
		_, err := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Create(w.t.Context(), &configuration, metav1.CreateOptions{})
		w.must(err)
	}
	// The API server takes a configuration up asynchronously: wait until a tag of nothing is refused.
	w.bash(`set +o pipefail; until kubectl create --dry-run=server -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"IstioRevisionTag","metadata":{"name":"await"},` +
		`"spec":{"targetRef":{"kind":"Istio","name":"nobody"}}}' 2>&1 | grep -q TagTarget; do sleep 0.1; done`)
}

type registrar struct{ *http.ServeMux }

func (r registrar) Register(path string, handler http.Handler) { r.Handle(path, handler) }

func (w *world) serve(handler http.Handler) (base string, ca []byte) {
	w.t.Helper()
	now := time.Now()
	authority, err := certs.NewAuthority(now, 24*time.Hour)
	w.must(err)
	leaf, err := authority.Issue(certs.LeafRequest{IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Lifetime: 24 * time.Hour}, now)
	w.must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_ = server.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{*leaf.TLS}, MinVersion: tls.VersionTLS12}))
	}()
	w.t.Cleanup(func() { _ = server.Close() })
	return "https://" + listener.Addr().String(), certs.EncodeCertificate(authority.Certificate)
}

// printed is what router plan -o json prints.
type printed struct {
	Possible bool
	Reason   string
	Steps    []struct{ Object, Command, WaitFor string }
}

// plan is that of the mesh as it is.
func (w *world) plan(args ...string) printed {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := cli.NewPlanCommand(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	cmd.SetArgs(append(args, "--kubeconfig", w.cluster.Kubeconfig(), "-o", "json"))
	if err := cmd.ExecuteContext(w.t.Context()); err != nil {
		w.t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	var p printed
	w.must(json.Unmarshal(out.Bytes(), &p))
	return p
}

// create installs the mesh with a workload, and waits until both run.
func (w *world) create(strategy, version string, ambient bool) {
	w.t.Helper()
	w.bash(fmt.Sprintf(`kubectl create -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"Istio","metadata":{"name":"default"},`+
		`"spec":{"namespace":"istio-system","version":%q,"updateStrategy":{"type":%q,"inactiveRevisionDeletionGracePeriodSeconds":1}}}'
kubectl create -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"IstioCNI","metadata":{"name":"default"},"spec":{"namespace":"istio-cni","version":%q}}'`,
		version, strategy, version))
	revision := "default"
	if strategy == "RevisionBased" {
		revision += "-" + strings.ReplaceAll(version, ".", "-")
	}
	if ambient {
		w.bash(fmt.Sprintf(`kubectl create -f - <<< '{"apiVersion":"sailoperator.io/v1","kind":"ZTunnel","metadata":{"name":"default"},`+
			`"spec":{"namespace":"ztunnel","version":%q,"targetRef":{"kind":"Istio","name":"default"}}}'`, version))
	}
	w.bash("kubectl wait --for=condition=Ready istiorevision/" + revision + " istiocni/default --timeout=1m")
	w.bash("kubectl label namespace bookinfo istio.io/rev=" + revision)
	w.bash(`set +o pipefail; until kubectl run probe -n bookinfo --image=app:1 --dry-run=server -o yaml | grep -q 'istio.io/rev: ` + revision + `'; do sleep 0.1; done
kubectl create deployment reviews -n bookinfo --image=app:1
kubectl rollout status deployment/reviews -n bookinfo --timeout=1m`)
}

func TestPrintedCommands(t *testing.T) {
	for name, tc := range map[string]struct {
		strategy, from, to string
		ambient            bool
		steps              int
		revision           string
	}{
		"in place, through a minor":    {"InPlace", "v1.28.5", "v1.30.3", false, 6, "default"},
		"a second revision":            {"RevisionBased", "v1.29.6", "v1.30.3", false, 4, "default-v1-30-3"},
		"ambient, in place by a minor": {"InPlace", "v1.29.6", "v1.30.3", true, 4, "default"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.create(tc.strategy, tc.from, tc.ambient)
			args := []string{"--to", tc.to, "--available", "v1.28.5,v1.29.6,v1.30.3"}
			p := w.plan(args...)
			if !p.Possible || len(p.Steps) != tc.steps {
				t.Fatalf("got %+v", p)
			}
			for _, s := range p.Steps {
				w.bash(s.Command)
				w.bash(s.WaitFor)
			}
			if again := w.plan(args...); len(again.Steps) > 0 {
				t.Errorf("there are steps left: %+v", again.Steps)
			}
			pods := w.bash(`kubectl get pods -n bookinfo -o jsonpath='{range .items[*]}{.metadata.annotations.istio\.io/rev} {.spec.containers[*].image}{"\n"}{end}'`)
			if !strings.Contains(pods, tc.revision+" ") || !strings.Contains(pods, strings.TrimPrefix(tc.to, "v")) {
				t.Errorf("the pods are\n%s", pods)
			}
		})
	}
}
