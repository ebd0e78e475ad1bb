package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/revision-router/revision-router/internal/cli"
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
		"a quantity that is none":          {[]string{"--max-body-memory=lots"}, []string{"--max-body-memory", "32Mi"}},
		"more requests than connections":   {[]string{"--max-concurrent=100", "--max-connections=50"}, []string{"fewer than connections"}},
		"clients without a name":           {[]string{"--client-ca=x", "--client-name="}, []string{"--client-name"}},
		"no time to end":                   {[]string{"--shutdown-timeout=0s"}, []string{"--shutdown-timeout"}},
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

func TestADrainingReplicaIsUnreadyAndItsServerIsTold(t *testing.T) {
	told := 0
	d := &drain{delay: time.Millisecond, begin: func() { told++ }, log: logr.Discard()}
	if d.ready(nil) != nil {
		t.Error("a replica that was not told to stop is unready")
	}
	d.wait(t.Context())
	if told != 1 || d.ready(nil) == nil {
		t.Errorf("the server was told %d times; ready: %v", told, d.ready(nil))
	}
}

func TestTheReplicaServesUntilTheDrainIsOver(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	d := &drain{delay: 20 * time.Millisecond, begin: func() {}, log: logr.Discard()}
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
	d := &drain{delay: time.Hour, begin: func() {}, log: logr.Discard()}
	err := runAll(t.Context(), d, idle, func(context.Context) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want %v", err, broken)
	}
}

func TestRemarksLeaveAReplicaReady(t *testing.T) {
	broken := errors.New("no snapshot yet")
	checks := map[string]healthz.Checker{"snapshot": func(*http.Request) error { return broken }}
	handler := healthHandler(checks, func() []remark { return []remark{{"registration", "order: something is first"}} })
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
	if code, body := get("/readyz?verbose"); code != http.StatusOK || !strings.Contains(body, "[!]registration: order: something is first") {
		t.Errorf("with a remark: %d %q", code, body)
	}
	if code, body := get("/readyz"); code != http.StatusOK || strings.Contains(body, "registration") {
		t.Errorf("without asking for more: %d %q", code, body)
	}
}
