package plans

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/cli"
	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	sailapi "github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/test/local"
	"github.com/revision-router/revision-router/test/sail"
	"github.com/revision-router/revision-router/webhook"
)

// world is a cluster that a plan can be carried out in: nodes, the stand-in for the operator and its istiods, and both
// kinds of the router's webhooks, which fail closed.
type world struct {
	t       *testing.T
	cluster *cluster.Cluster
	kube    kubernetes.Interface
	kubectl string
	// seen follows the cluster as the router does.
	seen *mesh.Skew
	// retried counts the changes that the router could not judge, because the API server was too slow.
	retried int
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
	w.kube, err = kubernetes.NewForConfig(c.Config())
	w.must(err)
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), sailapi.CRDs()))
	w.must(cluster.InstallCRDs(t.Context(), c.Config(), inventory.CRDs()))
	for _, name := range []string{"istio-system", "istio-cni", "ztunnel"} {
		w.bash("kubectl create namespace " + name)
	}
	operator, err := sail.Start(t.Context(), sail.Options{Config: c.Config(), Log: t.Output(), Injector: new(injector.Server)})
	w.must(err)
	t.Cleanup(operator.Stop)
	w.route()
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

const (
	// waitLimit bounds what takes a second or two on an idle machine.
	waitLimit = 10 * time.Minute
	// unjudged is what the router says where the API server is too slow for it, once for each object of a command.
	unjudged = "cannot be judged, because the mesh could not be read"
	// attempts bounds how often lines are run for that.
	attempts = 10
)

// bash runs lines as a person would paste them, and fails where one of them does. On a machine that is busy with other
// things the API server may be too slow for the router, which then says so: the lines are run again, as it asks for.
func (w *world) bash(lines string) {
	w.t.Helper()
	for attempt := range attempts {
		out, err := w.try(lines)
		if err == nil {
			return
		}
		n := strings.Count(out, unjudged)
		if n == 0 || attempt == attempts-1 {
			w.t.Fatalf("%s\n%s%v", lines, out, err)
		}
		w.retried += n
	}
}

// try runs lines of bash, and returns what they print.
func (w *world) try(lines string) (string, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), waitLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", lines)
	cmd.WaitDelay = 5 * time.Second // for what a killed shell leaves behind
	cmd.Env = append(os.Environ(), "KUBECONFIG="+w.cluster.Kubeconfig(), "PATH="+filepath.Dir(w.kubectl)+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// until runs a command, which may fail, until it prints a text.
func (w *world) until(command, prints string) {
	w.t.Helper()
	w.eventually(command, func() string {
		out, _ := w.try(command) // what is waited for may be a failure
		if strings.Contains(out, prints) {
			return ""
		}
		return out
	})
}

// eventually waits until try returns nothing to complain of.
func (w *world) eventually(what string, try func() string) {
	w.t.Helper()
	limit, tick := time.NewTimer(waitLimit), time.NewTicker(100*time.Millisecond)
	defer limit.Stop()
	defer tick.Stop()
	for {
		complaint := try()
		if complaint == "" {
			return
		}
		select {
		case <-limit.C:
			w.t.Fatalf("%s: still not after %s: %s", what, waitLimit, complaint)
		case <-tick.C:
		}
	}
}

// route serves the webhooks of the router as the chart configures them, failing closed.
func (w *world) route() {
	w.t.Helper()
	var err error
	w.seen, err = mesh.NewSkew(mesh.SkewOptions{Config: w.cluster.Config()})
	w.must(err)
	pods, err := mesh.New(mesh.Options{Config: w.cluster.Config()})
	w.must(err)
	ctx, cancel := context.WithCancel(w.t.Context())
	var done sync.WaitGroup
	done.Go(func() { _ = w.seen.Start(ctx) })
	done.Go(func() { _ = pods.Start(ctx) })
	w.t.Cleanup(func() { cancel(); done.Wait() })
	base, ca := w.serve(w.handlers(pods))
	objects, err := local.Chart(w.t.Context(), "--set", "changes.failurePolicy=Fail", "--set", "webhook.failurePolicy=Fail")
	w.must(err)
	w.eventually("the router sees the mesh", func() string {
		if err := w.seen.Ready(); err != nil {
			return err.Error()
		}
		if err := pods.Ready(); err != nil {
			return err.Error()
		}
		return ""
	})
	client, err := dynamic.NewForConfig(w.cluster.Config())
	w.must(err)
	for _, object := range objects {
		if plural := pluralOf(object); plural != "" {
			w.must(local.CallByURL(object, base, ca))
			kind := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: plural}
			_, err := client.Resource(kind).Create(w.t.Context(), object, metav1.CreateOptions{})
			w.must(err)
		}
	}
	// The API server takes a configuration up asynchronously: wait until a tag of nothing is refused, and so is a pod of
	// no revision.
	w.until(`kubectl create --dry-run=server -f - <<< '`+tag("await", "Istio", "nobody")+`'`, "TagTarget")
	w.until("kubectl run await --image=auto --labels=istio.io/rev=nobody --dry-run=server", "denied")
}

func pluralOf(object *unstructured.Unstructured) string {
	switch object.GetKind() {
	case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration":
		return strings.ToLower(object.GetKind()) + "s"
	}
	return ""
}

// handlers are those of a router in guard mode.
func (w *world) handlers(pods *mesh.Source) http.Handler {
	w.t.Helper()
	changes, err := metrics.NewChangeRecorder(prometheus.NewRegistry())
	w.must(err)
	decisions, err := metrics.NewRecorder(prometheus.NewRegistry())
	w.must(err)
	mux := http.NewServeMux()
	webhook.NewChangeValidator(webhook.ChangeValidatorOptions{
		Mesh: w.seen, Policy: skew.DefaultPolicy, Recorder: changes, Log: logr.Discard(),
	}).Register(registrar{mux})
	router := webhook.NewPodRouter(webhook.PodRouterOptions{
		Meshes: pods, Namespaces: pods, Policy: routing.DefaultPolicy, Recorder: decisions, Log: logr.Discard(), Now: time.Now,
	})
	for _, entry := range webhook.Entries() {
		mux.Handle(entry.Path, router.Handler(entry))
	}
	return mux
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
	Possible          bool
	Reason, WaitFirst string
	Steps             []printedStep
}

type printedStep struct{ Object, From, To, Command, WaitFor, Undo string }

// plan is that of the mesh as it is.
func (w *world) plan(args ...string) printed {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := cli.NewPlanCommand(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	cmd.SetArgs(append(args, "--kubeconfig", w.cluster.Kubeconfig(), "-o", "json"))
	if err := cmd.ExecuteContext(w.t.Context()); err != nil {
		objects, _ := w.try("kubectl get istios,istiorevisions,istiorevisiontags,istiocnis,ztunnels,namespaces,gateways,gatewayclasses -A -o yaml")
		w.t.Fatalf("router plan %s: %v\n%s%s\nof the mesh\n%s", strings.Join(args, " "), err, out.String(), errs.String(), objects)
	}
	var p printed
	w.must(json.Unmarshal(out.Bytes(), &p))
	return p
}

// status is what router status -o json says of the mesh as it is.
func (w *world) status() status.Report {
	w.t.Helper()
	var out, errs bytes.Buffer
	cmd := cli.NewStatusCommand(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, clock.RealClock{})
	cmd.SetArgs([]string{"--kubeconfig", w.cluster.Kubeconfig(), "-o", "json"})
	runErr := cmd.ExecuteContext(w.t.Context()) // it fails where there is an error to report
	var r status.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		w.t.Fatalf("router status: %v, %v\n%s%s", runErr, err, out.String(), errs.String())
	}
	return r
}
