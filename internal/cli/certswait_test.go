package cli

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Whoever waits for a rotation goes on waiting where the API server fails to answer now and then.
func TestCertsRotateWaitsThroughFailures(t *testing.T) {
	r := newCertsRig(t)
	_, stop := r.replica()
	defer stop()
	var failures atomic.Int32
	twice := r.front(func(w http.ResponseWriter) bool {
		if failures.Add(1) > 2 {
			return false
		}
		http.Error(w, "etcdserver: request timed out", http.StatusInternalServerError)
		return true
	})
	r.run("rotate", "--wait", "--kubeconfig", twice).expect(t, 0, "warning: look at the serving certificate and its CA", "; looking again", "done: the new CA ")
	if failures.Load() <= 2 {
		t.Errorf("%d looks while it waited, want two that failed and another", failures.Load())
	}
	forbidden := r.front(func(w http.ResponseWriter) bool {
		http.Error(w, "no", http.StatusForbidden)
		return true
	})
	r.run("rotate", "--wait", "--kubeconfig", forbidden).expect(t, ExitUsage, "asked for a new CA", "auth can-i get secret/revision-router-ca")
}

// front stands before the API server, and returns the kubeconfig of who asks it. Once a new CA was asked for, answer may answer
// in its place who reads the Secret.
func (r *certsRig) front(answer func(http.ResponseWriter) bool) string {
	r.t.Helper()
	config := r.cluster.Config()
	target, err := url.Parse(config.Host)
	if err != nil {
		r.t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		r.t.Fatal(err)
	}
	proxy := httputil.ReverseProxy{Transport: transport, Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	var asked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		reads := request.Method == http.MethodGet && strings.HasSuffix(request.URL.Path, "/secrets/revision-router-ca")
		if reads && asked.Load() && answer(w) {
			return
		}
		proxy.ServeHTTP(w, request)
		if request.Method != http.MethodGet {
			asked.Store(true)
		}
	}))
	r.t.Cleanup(server.Close)
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["front"] = &clientcmdapi.Cluster{Server: server.URL}
	kubeconfig.Contexts["front"] = &clientcmdapi.Context{Cluster: "front"}
	kubeconfig.CurrentContext = "front"
	file := filepath.Join(r.t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*kubeconfig, file); err != nil {
		r.t.Fatal(err)
	}
	return file
}
