package server

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

func statusSerializer() runtime.NegotiatedSerializer {
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"}) // Status
	return serializer.NewCodecFactory(scheme).WithoutConversion()
}

const post = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"

func handlers() map[string]http.Handler {
	return map[string]http.Handler{
		"/echo":  echo(),
		"/panic": http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("on purpose") }),
		"/panic-late": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte("half an answer"))
			panic("on purpose")
		}),
		"/controller-runtime": &admission.Webhook{Handler: admission.HandlerFunc(
			func(context.Context, admission.Request) admission.Response { return admission.Allowed("") },
		)},
	}
}

// say sends raw bytes on a new TLS connection, and returns the status line of the answer, or what went wrong.
func (r *rig) say(text string) string {
	r.t.Helper()
	c := r.dial()
	go func() { _, _ = io.WriteString(c, text) }() // an answer may come before all of it was read
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "no answer"
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Status
}

func chunked(n int) string {
	return post + "Transfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n", n) + strings.Repeat("x", n) + "\r\n0\r\n\r\n"
}

func sized(n int) string {
	return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", post, n, strings.Repeat("x", n))
}

func TestHostileRequestsAreAnsweredAndOthersGoOn(t *testing.T) {
	deep := strings.Repeat("[", 1<<20)
	cases := map[string]struct {
		send   string
		want   string
		counts map[string]int
	}{
		"the largest body that there is": {sized(MaxBody), "200 OK", nil},
		"one byte more than the largest body": {
			sized(MaxBody + 1), "413 Request Entity Too Large", map[string]int{"body_too_large": 1},
		},
		"the largest body in chunks": {chunked(MaxBody), "200 OK", nil},
		"one byte too many in chunks": {
			chunked(MaxBody + 1), "413 Request Entity Too Large", map[string]int{"body_too_large": 1},
		},
		"a length of a terabyte": {
			post + "Content-Length: 1099511627776\r\n\r\nx", "413 Request Entity Too Large", map[string]int{"body_too_large": 1},
		},
		"chunks that are none":  {post + "Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", "400 Bad Request", map[string]int{"body_broken": 1}},
		"a negative length":     {post + "Content-Length: -1\r\n\r\n", "400 Bad Request", nil},
		"two lengths":           {post + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx", "400 Bad Request", nil},
		"no body":               {post + "Content-Length: 0\r\n\r\n", "200 OK", nil},
		"a GET":                 {"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK", nil},
		"a path that is not":    {"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", "404 Not Found", map[string]int{"unknown_path": 1}},
		"headers without end":   {post + "X: " + strings.Repeat("x", 1<<20), "431 Request Header Fields Too Large", nil},
		"a thousand headers":    {post + strings.Repeat("X: y\r\n", 100_000) + "\r\n", "431 Request Header Fields Too Large", nil},
		"the preface of HTTP/2": {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404 Not Found", map[string]int{"unknown_path": 1}},
		"nonsense":              {"\x00\x01\x02\r\n\r\n", "400 Bad Request", nil},
		"a handler that panics": {"POST /panic HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", "500 Internal Server Error", map[string]int{"panic": 1}},
		"a panic in mid-answer": {"POST /panic-late HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx", "no answer", map[string]int{"panic": 1}},
		"an expectation it has": {"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: magic\r\nContent-Length: 1\r\n\r\nx", "417 Expectation Failed", nil},
		"JSON a million deep":   {strings.Replace(sized(len(deep)), strings.Repeat("x", len(deep)), deep, 1), "200 OK", nil},
		"deep JSON, other path": {reviewOf(deep), "200 OK", nil},
		"a length, and chunks":  {post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "200 OK", nil},
	}
	r := newRig(t, handlers(), nil)
	stop := r.wellBehaved()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := r.tally.all()
			if got := r.say(tc.send); got != tc.want {
				t.Errorf("answer %q, want %q", got, tc.want)
			}
			got := map[string]int{}
			for what, n := range r.tally.all() {
				if n > before[what] {
					got[what] = n - before[what]
				}
			}
			delete(got, string(ClientGone))
			want := tc.counts
			if want == nil {
				want = map[string]int{}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
		})
	}
	t.Logf("%d calls of a well-behaved client meanwhile", stop())
}

// reviewOf is a request to controller-runtime's handler, which answers 200 with what it thinks of the body.
func reviewOf(body string) string {
	return fmt.Sprintf("POST /controller-runtime HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestHandshakesThatFailAreTold(t *testing.T) {
	r := newRig(t, handlers(), nil)
	stop := r.wellBehaved()
	hello := func(c *tls.Config) func() {
		return func() {
			if conn, err := tls.Dial("tcp", r.address, c); err == nil {
				// In TLS 1.3 the client is done first.
				_, _ = conn.Read(make([]byte, 1))
				_ = conn.Close()
				t.Error("the handshake succeeded")
			}
		}
	}
	cases := map[string]struct {
		do   func()
		want HandshakeFailure
	}{
		"plain HTTP": {func() {
			c := r.dialTCP()
			_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			answer, _ := io.ReadAll(c)
			if !bytes.HasPrefix(answer, []byte("HTTP/1.0 400 ")) {
				t.Errorf("answer %q", answer)
			}
		}, NotTLS},
		"TLS 1.1": {hello(&tls.Config{
			RootCAs: r.bundle, ServerName: serverName, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
		}), OldVersion},
		"only HTTP/2":                    {hello(&tls.Config{RootCAs: r.bundle, ServerName: serverName, NextProtos: []string{"h2"}}), HandshakeOther},
		"a client that trusts another":   {hello(&tls.Config{ServerName: serverName}), Distrusted},
		"a connection that says nothing": {func() { _ = r.dialTCP().Close() }, ClientGone},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := r.tally.of(string(tc.want))
			tc.do()
			waitFor(t, "the failure is counted as "+string(tc.want), func() bool { return r.tally.of(string(tc.want)) > before })
		})
	}
	stop()
}
