package forward_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"

	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

func TestTheReplyComesAsItWasSent(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	reply, err := r.client.Forward(t.Context(), r.to, review(t), []byte("left over"))
	if err != nil {
		t.Fatal(err)
	}
	var got admissionv1.AdmissionReview
	if err := json.Unmarshal(reply, &got); err != nil {
		t.Fatalf("%v: %s", err, reply)
	}
	if !got.Response.Allowed || len(got.Response.Patch) == 0 {
		t.Errorf("response %+v", got.Response)
	}
	if diff := cmp.Diff(injector.Counts{Requests: 1, Injected: 1, Connections: 1}, r.istiod.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

// istiod answers 415 to anything but this, and the API server's review must reach it byte for byte.
func TestTheReviewIsSentAsItCame(t *testing.T) {
	type seen struct {
		Method, Path, ContentType, Proto, Length string
		Body                                     []byte
	}
	var got seen
	answer := func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			t.Error(err)
		}
		got = seen{r.Method, r.URL.Path, r.Header.Get("Content-Type"), r.Proto, r.Header.Get("Content-Length"), body.Bytes()}
		_, _ = w.Write([]byte("{}"))
	}
	path := "/inject/cluster/east/net/n1"
	r := newRig(t, injector.IstiodOptions{Path: path, Answer: http.HandlerFunc(answer)})
	sent := review(t)
	if _, err := r.client.Forward(t.Context(), r.to, sent, nil); err != nil {
		t.Fatal(err)
	}
	want := seen{"POST", path, "application/json", "HTTP/1.1", strconv.Itoa(len(sent)), sent}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

// Everything that an injector can do wrong, with how often it is asked about it.
func TestHostileInjectors(t *testing.T) {
	const short = 300 * time.Millisecond
	for name, tc := range map[string]struct {
		fault    injector.Fault
		want     forward.Result
		requests int64
		patience time.Duration
		message  string
	}{
		"it closes before the first byte, twice": {fault: injector.Drop, want: forward.Broken, requests: 2},
		"it breaks off in the answer":            {fault: injector.BreakOff, want: forward.Broken, requests: 1, message: "unexpected EOF"},
		"it never answers":                       {fault: injector.Hang, want: forward.TimedOut, requests: 1, patience: short, message: "deadline"},
		"it stalls in the answer":                {fault: injector.Stall, want: forward.TimedOut, requests: 1, patience: short},
		"it floods":                              {fault: injector.Flood, want: forward.TooLarge, requests: 1},
		"it announces a gigabyte":                {fault: injector.Claim, want: forward.TooLarge, requests: 1},
		"it fails":                               {fault: injector.Say(500, "panic"), want: forward.BadStatus, requests: 1, message: `HTTP status 500: "panic"`},
		"it does not know the path":              {fault: injector.Say(404, ""), want: forward.BadStatus, requests: 1, message: "404"},
		"it redirects":                           {fault: injector.Say(302, ""), want: forward.BadStatus, requests: 1, message: "302"},
		"its error is no text":                   {fault: injector.Say(503, "\x00\xff\n"+strings.Repeat("x", 9000)), want: forward.BadStatus, requests: 1, message: `"\x00\xff\nxxx`},
		"its answer is garbage, which the client does not read": {fault: injector.Say(200, "<html>"), requests: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, injector.IstiodOptions{})
			r.istiod.Break(tc.fault)
			ctx := t.Context()
			if tc.patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, tc.patience)
				defer cancel()
			}
			reply, err := r.client.Forward(ctx, r.to, review(t), nil)
			switch {
			case tc.want == "" && err != nil:
				t.Errorf("err %v, reply %q", err, reply)
			case tc.want != "" && (err == nil || forward.ResultOf(err) != tc.want):
				t.Errorf("err %v, want a result of %s", err, tc.want)
			case tc.want != "" && !strings.Contains(err.Error(), tc.message):
				t.Errorf("err %q, want it to have %q", err, tc.message)
			}
			if got := r.istiod.Counts().Requests; got != tc.requests {
				t.Errorf("%d requests, want %d", got, tc.requests)
			}
			if err != nil && len(err.Error()) > 500 {
				t.Errorf("a message of %d bytes", len(err.Error()))
			}
			r.istiod.Break(nil)
			if _, err := r.client.Forward(t.Context(), r.to, review(t), nil); err != nil {
				t.Errorf("the next review, which nothing is wrong with: %v", err)
			}
		})
	}
}

func TestOneSecondTry(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(r *rig)
		want    forward.Result
		retries int64
	}{
		"the connection is refused once":         {prepare: func(r *rig) { r.refuse.Store(1) }, retries: 1},
		"the connection is refused twice":        {prepare: func(r *rig) { r.refuse.Store(2) }, want: forward.Unreachable, retries: 1},
		"the connection breaks before an answer": {prepare: func(r *rig) { r.istiod.Break(once(injector.Drop)) }, retries: 1},
		"the connection breaks in an answer":     {prepare: func(r *rig) { r.istiod.Break(once(injector.BreakOff)) }, want: forward.Broken},
		"an answer that is an error":             {prepare: func(r *rig) { r.istiod.Break(once(injector.Say(503, ""))) }, want: forward.BadStatus},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, injector.IstiodOptions{})
			tc.prepare(r)
			_, err := r.client.Forward(t.Context(), r.to, review(t), nil)
			if (tc.want == "") != (err == nil) || err != nil && forward.ResultOf(err) != tc.want {
				t.Errorf("err %v, want %q", err, tc.want)
			}
			if got := r.retries.Load(); got != tc.retries {
				t.Errorf("%d retries, want %d", got, tc.retries)
			}
		})
	}
}

// once is a fault that heals after one answer.
func once(f injector.Fault) injector.Fault {
	used := make(chan struct{}, 1)
	return func(w http.ResponseWriter, r *http.Request, answer http.Handler) {
		select {
		case used <- struct{}{}:
			f(w, r, answer)
		default:
			answer.ServeHTTP(w, r)
		}
	}
}

func TestWhoIsTrusted(t *testing.T) {
	other := startIstiod(t, injector.IstiodOptions{Revision: "other"})
	for name, tc := range map[string]struct {
		edit func(to *forward.Injector)
		want forward.Result
	}{
		"the CA and the name of the revision": {edit: func(*forward.Injector) {}},
		"a name that every istiod has":        {edit: func(to *forward.Injector) { to.ServerName = "istiod.istio-system.svc" }},
		"both CAs during a rotation":          {edit: func(to *forward.Injector) { to.CABundle = append(other.CABundle(), to.CABundle...) }},
		"another CA":                          {edit: func(to *forward.Injector) { to.CABundle = other.CABundle() }, want: forward.Untrusted},
		"the name of a tag":                   {edit: func(to *forward.Injector) { to.ServerName = "istiod-revision-tag-prod.istio-system.svc" }, want: forward.Untrusted},
		"the name of another revision":        {edit: func(to *forward.Injector) { to.ServerName = "istiod-other.istio-system.svc" }, want: forward.Untrusted},
		"no CA":                               {edit: func(to *forward.Injector) { to.CABundle = nil }, want: forward.NoCA},
		"a CA bundle of nonsense":             {edit: func(to *forward.Injector) { to.CABundle = []byte("-----BEGIN") }, want: forward.NoCA},
		"an address with a path":              {edit: func(to *forward.Injector) { to.Address = "a/b:443" }, want: forward.NoInjector},
		"an address with a user":              {edit: func(to *forward.Injector) { to.Address = "a@b:443" }, want: forward.NoInjector},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, injector.IstiodOptions{})
			tc.edit(&r.to)
			_, err := r.client.Forward(t.Context(), r.to, review(t), nil)
			if (tc.want == "") != (err == nil) || err != nil && forward.ResultOf(err) != tc.want {
				t.Errorf("err %v, want %q", err, tc.want)
			}
			if got := r.istiod.Counts().Requests; got != 0 && tc.want != "" {
				t.Errorf("the review was sent %d times", got)
			}
		})
	}
}

func TestCancellationIsNoFailureOfTheInjector(t *testing.T) {
	r := newRig(t, injector.IstiodOptions{})
	for range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r.istiod.Break(func(w http.ResponseWriter, req *http.Request, answer http.Handler) {
			cancel() // once the review has arrived
			injector.Hang(w, req, answer)
		})
		_, err := r.client.Forward(ctx, r.to, review(t), nil)
		cancel()
		if forward.ResultOf(err) != forward.Canceled || !errors.Is(err, context.Canceled) {
			t.Fatalf("err %v", err)
		}
	}
	if got := r.client.Circuits(); len(got) != 1 || got[0].Open {
		t.Errorf("circuits %+v", got)
	}
}
