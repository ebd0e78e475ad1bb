package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/revision-router/revision-router/internal/cli"
	"github.com/revision-router/revision-router/internal/config"
)

func TestExitCodes(t *testing.T) {
	cases := map[string]struct {
		err  error
		want int
	}{
		"nothing went wrong":                 {nil, 0},
		"something is refused":               {cli.ExitError{Code: 1}, 1},
		"a refusal that was wrapped":         {fmt.Errorf("resolving: %w", cli.ExitError{Code: 1}), 1},
		"usage, unreadable input, a failure": {errors.New("unknown flag: --x"), 2},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := exitCode(tc.err); got != tc.want {
				t.Errorf("exit code %d, want %d", got, tc.want)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	cases := map[string]struct {
		args []string
		want []string // in the message; none: accepted by validation
	}{
		"a port that is none":              {[]string{"--webhook-port=0"}, []string{"--webhook-port 0", "1 to 65535"}},
		"every mistake is named at once":   {[]string{"--namespace=", "--log-format=xml"}, []string{"--namespace", "--log-format"}},
		"a level that does not exist":      {[]string{"--log-level=loud"}, []string{`--log-level "loud"`, "debug, info, warn or error"}},
		"a negative delay":                 {[]string{"--drain-delay=-1s"}, []string{"--drain-delay"}},
		"a flag that does not exist":       {[]string{"--webhok-port=1"}, []string{"unknown flag"}},
		"an argument where none is wanted": {[]string{"please"}, []string{"unknown command"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			root := newRootCommand(cli.Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
			root.SetArgs(append([]string{"serve"}, tc.args...))
			err := root.ExecuteContext(t.Context())
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q does not mention %q", err, want)
				}
			}
		})
	}
}

func TestServingNames(t *testing.T) {
	o := Options{Service: "router", Namespace: "mesh", TLSNames: []string{"127.0.0.1", "router.example", "::1"}}
	dns, ips := o.servingNames()
	if diff := cmp.Diff([]string{"router.mesh.svc", "router.mesh.svc.cluster.local", "router.example"}, dns); diff != "" {
		t.Errorf("DNS names (-want +got):\n%s", diff)
	}
	if got := fmt.Sprint(ips); got != "[127.0.0.1 ::1]" {
		t.Errorf("IP addresses %s", got)
	}
}

func TestVersionIsReadFromTheBuild(t *testing.T) {
	var out bytes.Buffer
	root := newRootCommand(cli.Streams{In: strings.NewReader(""), Out: &out, Err: io.Discard})
	root.SetArgs([]string{"version"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(out.String(), "router ") || !strings.Contains(out.String(), "go1.") {
		t.Errorf("version: %q", out.String())
	}
}

type mux map[string]http.Handler

func (m mux) Register(path string, handler http.Handler) { m[path] = handler }

func TestADrainingReplicaIsUnreadyAndClosesItsConnections(t *testing.T) {
	d := &drain{delay: time.Millisecond, log: logr.Discard()}
	handlers := mux{}
	d.wrap(handlers).Register("/x", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
	}))
	answer := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handlers["/x"].ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/x", http.NoBody))
		return w
	}
	if answer().Header().Get("Connection") != "" || d.ready(nil) != nil {
		t.Error("a replica that was not told to stop closes connections, or is unready")
	}
	d.wait(t.Context())
	if answer().Header().Get("Connection") != "close" || d.ready(nil) == nil {
		t.Error("a draining replica keeps connections open, or is ready")
	}
}

func TestTheReplicaServesUntilTheDrainIsOver(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	d := &drain{delay: 20 * time.Millisecond, log: logr.Discard()}
	drainedFirst := false
	err := runAll(ctx, d, func(serving context.Context) error {
		stop()
		<-serving.Done()
		drainedFirst = d.active.Load()
		return nil
	})
	if err != nil || !drainedFirst {
		t.Errorf("error %v, stopped after the drain: %v", err, drainedFirst)
	}
}

func TestTheFirstPartThatFailsEndsTheProcess(t *testing.T) {
	broken := errors.New("broken")
	d := &drain{delay: time.Hour, log: logr.Discard()}
	err := runAll(t.Context(), d, idle, func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestReadinessNamesABadPolicyAndStaysReady(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	good := []byte("apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\n")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	policy, err := config.NewStore(path, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("no snapshot yet")
	checks := map[string]healthz.Checker{"snapshot": func(*http.Request) error { return broken }}
	handler := healthHandler(checks, policy)
	get := func(url string) (int, string) {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody))
		return w.Code, w.Body.String()
	}
	if code, _ := get("/readyz"); code == http.StatusOK {
		t.Error("ready without a snapshot")
	}
	if code, _ := get("/healthz"); code != http.StatusOK {
		t.Errorf("liveness %d: a restart mends no missing snapshot", code)
	}
	broken = nil
	if err := os.WriteFile(path, []byte("kind: Nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy.Reload()
	if code, body := get("/readyz?verbose"); code != http.StatusOK || !strings.Contains(body, "the old policy stays in force") {
		t.Errorf("with a bad policy: %d %q", code, body)
	}
}
