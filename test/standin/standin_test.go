package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestWithoutDiscoveryItWaitsToBeStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, args := range [][]string{nil, {"proxy", "sidecar"}, {"proxy", "ztunnel"}} {
		if err := run(ctx, args); err != nil {
			t.Errorf("%q: %v", args, err)
		}
	}
}

func TestDiscoverySaysWhatItLacks(t *testing.T) {
	t.Setenv("REVISION", "stable")
	t.Setenv("ISTIO_VERSION", "")
	if err := run(t.Context(), []string{"discovery"}); err == nil || !strings.Contains(err.Error(), "ISTIO_VERSION") {
		t.Errorf("got %v, want that ISTIO_VERSION is not set", err)
	}
}

const podReview = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","namespace":"shop",` +
	`"object":{"metadata":{"name":"web"},"spec":{"containers":[{"name":"app"}]}}}}`

func TestItAnswersAtThePathsOfIstiod(t *testing.T) {
	d := &discovery{revision: "stable", version: "1.29.6"}
	cases := map[string]struct {
		path string
		want string
	}{
		"it injects":          {"/inject", `"patch":`},
		"everything is valid": {"/validate", `"allowed":true`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			request := httptest.NewRequest(http.MethodPost, tc.path, strings.NewReader(podReview))
			request.Header.Set("Content-Type", "application/json")
			answer := httptest.NewRecorder()
			d.handler().ServeHTTP(answer, request)
			if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), tc.want) {
				t.Errorf("%d %s, want %s", answer.Code, answer.Body, tc.want)
			}
		})
	}
}

func TestItIsReadyUnlessItsPodSaysOtherwise(t *testing.T) {
	d := &discovery{}
	ask := func() int {
		answer := httptest.NewRecorder()
		d.ready(answer, httptest.NewRequest(http.MethodGet, "/ready", http.NoBody))
		return answer.Code
	}
	if code := ask(); code != http.StatusOK {
		t.Errorf("ready is %d", code)
	}
	d.unready.Store(true)
	if code := ask(); code != http.StatusServiceUnavailable {
		t.Errorf("unready is %d", code)
	}
}

func TestItClosesConnectionsWhenItLeaves(t *testing.T) {
	d := &discovery{revision: "stable", version: "1.29.6"}
	for _, leaving := range []bool{false, true} {
		d.leaving.Store(leaving)
		answer := httptest.NewRecorder()
		d.handler().ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/inject", strings.NewReader(podReview)))
		if got := answer.Header().Get("Connection") == "close"; got != leaving {
			t.Errorf("leaving: %t, closes the connection: %t", leaving, got)
		}
	}
}
