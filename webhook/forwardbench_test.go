package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
	"github.com/revision-router/revision-router/webhook/forward"
)

// TestForwardBenchmarkTable prints the table of forward mode in docs/benchmarks.md:
//
//	go test ./webhook -run TestForwardBenchmarkTable -v -table
//
// The same reviews go to one stand-in for istiod, which takes five milliseconds: directly, and through a router. Both over
// TLS from a client with the transport of the API server, which resumes no sessions and keeps 25 connections. The load is
// open: a review is due when it is due, whatever became of those before, and its time counts from then. The two take turns
// every fifth of a second, so that what else the machine does hits both alike.
func TestForwardBenchmarkTable(t *testing.T) {
	if !*table {
		t.Skip("asked for with -table")
	}
	const rounds, length = 90, 200 * time.Millisecond
	direct, routed := forwardTargets(t)
	var out strings.Builder
	out.WriteString("| reviews a second | p50 direct | p50 routed | more | p99 direct | p99 routed | more | new connections, of reviews |\n")
	out.WriteString("|---:|---:|---:|---:|---:|---:|---:|---:|\n")
	for _, rate := range []int{100, 500} {
		var times [2][]time.Duration
		for round := range rounds {
			for i := range 2 {
				which := (i + round) % 2 // takes turns at being first
				times[which] = append(times[which], [2]*loadTarget{direct, routed}[which].openLoop(t, rate, length)...)
			}
		}
		a, b := quantile(times[0], 0.50), quantile(times[1], 0.50)
		c, d := quantile(times[0], 0.99), quantile(times[1], 0.99)
		fmt.Fprintf(&out, "| %d | %.2f ms | %.2f ms | %+.1f %% | %.2f ms | %.2f ms | %+.2f ms | %d and %d of %d |\n", rate,
			ms(a), ms(b), 100*(ms(b)/ms(a)-1), ms(c), ms(d), ms(d-c), direct.takeDials(), routed.takeDials(), len(times[0]))
	}
	t.Log("\n" + out.String())
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[min(int(q*float64(len(times))), len(times)-1)]
}

// loadTarget is something that reviews are sent to.
type loadTarget struct {
	url    string
	client *http.Transport
	body   []byte
	sent   atomic.Int64 // each review has a uid of its own
	mu     sync.Mutex
	dials  int
}

// newLoadTarget has the transport of the API server (client-go, transport/cache.go; apiserver, util/webhook/client.go).
func newLoadTarget(url string, config *tls.Config, body []byte) *loadTarget {
	target := &loadTarget{url: url + "?timeout=10s", body: body}
	config.MinVersion, config.NextProtos = tls.VersionTLS12, []string{"http/1.1"}
	target.client = &http.Transport{
		TLSClientConfig: config, MaxIdleConnsPerHost: 25, IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			target.mu.Lock()
			target.dials++
			target.mu.Unlock()
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	return target
}

func (l *loadTarget) takeDials() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.dials = 0 }()
	return l.dials
}

func (l *loadTarget) send(t testing.TB) {
	t.Helper()
	body := bytes.Replace(l.body, []byte(recordedUID), fmt.Appendf(nil, "%036d", l.sent.Add(1)), 1)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, l.url, bytes.NewReader(body))
	if err != nil {
		t.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := l.client.RoundTrip(req)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // read to the end
	reply, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || !bytes.Contains(reply, []byte(`"allowed":true,"patch"`)) {
		t.Errorf("status %d, %v: %.900s", resp.StatusCode, err, reply)
	}
}

// openLoop sends at a rate, and returns how long each review took from when it was due.
func (l *loadTarget) openLoop(t testing.TB, rate int, length time.Duration) []time.Duration {
	t.Helper()
	n := int(length * time.Duration(rate) / time.Second)
	times := make([]time.Duration, n)
	var done sync.WaitGroup
	began := time.Now()
	for i := range n {
		due := began.Add(time.Duration(i) * time.Second / time.Duration(rate))
		if wait := time.Until(due); wait > 0 {
			timer := time.NewTimer(wait)
			<-timer.C
		}
		done.Go(func() {
			l.send(t)
			times[i] = time.Since(due)
		})
	}
	done.Wait()
	return times
}

// forwardTargets are a stand-in, and a router in front of it.
func forwardTargets(t testing.TB) (direct, routed *loadTarget) {
	t.Helper()
	body := []byte(recordedReview(t, "bookinfo-productpage"))
	reply, err := os.ReadFile("testdata/injection/bookinfo-productpage.response.json")
	if err != nil {
		t.Fatal(err)
	}
	reply = bytes.Replace(reply, []byte(recordedUID), nil, 1)
	r := newForwardRig(t, injector.IstiodOptions{Delay: 5 * time.Millisecond, Answer: http.HandlerFunc(
		func(w http.ResponseWriter, req *http.Request) {
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				t.Error(err)
			}
			_, _ = w.Write(reply)
		})})
	options := quiet(forwardMesh(routing.Rollout{}))
	options.Now = time.Now
	options.Forwarding = Forwarding{Client: r.router.options.Forwarding.Client, Injectors: r, Recorder: nowhere{}}
	server := httptest.NewUnstartedServer(NewPodRouter(options).Handler(entryNamed(t, "namespace-revision")))
	server.StartTLS()
	t.Cleanup(server.Close)

	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(r.istiod.CABundle())
	direct = newLoadTarget("https://"+r.istiod.Address()+r.istiod.Path(), &tls.Config{RootCAs: roots, ServerName: r.istiod.ServerName()}, body)
	own := x509.NewCertPool()
	own.AddCert(server.Certificate())
	routed = newLoadTarget(server.URL, &tls.Config{RootCAs: own}, body)
	t.Cleanup(direct.client.CloseIdleConnections)
	t.Cleanup(routed.client.CloseIdleConnections)
	direct.send(t)
	routed.send(t)
	return direct, routed
}

// canned is an injector without a network, for what the router itself costs.
type canned struct{ reply []byte }

func (c canned) Injector(string) (forward.Injector, bool) { return forward.Injector{}, true }

func (c canned) Forward(_ context.Context, _ forward.Injector, _, reply []byte) ([]byte, error) {
	return append(reply[:0], c.reply...), nil
}

func cannedCall(t testing.TB, size int) *call {
	t.Helper()
	reply, err := os.ReadFile("testdata/injection/bookinfo-productpage.response.json")
	if err != nil {
		t.Fatal(err)
	}
	o := quiet(forwardMesh(routing.Rollout{}))
	o.Now = time.Now
	o.Forwarding = Forwarding{Client: canned{reply}, Injectors: canned{}, Recorder: nowhere{}}
	return newCall(t, NewPodRouter(o).Handler(entryNamed(t, "namespace-revision")), podOfSize(t, size))
}

func BenchmarkPodRouterForwards(b *testing.B) { cannedCall(b, 6<<10).bench(b) }

// What forwarding costs beside the network, of which net/http has its own share, gated in the package of the client.
func TestForwardingAllocatesLittle(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	const most = 24
	small, large := testing.AllocsPerRun(200, cannedCall(t, 6<<10).send), testing.AllocsPerRun(200, cannedCall(t, 1<<20).send)
	if small != large || small > most {
		t.Errorf("%v allocations for 6 KB, %v for 1 MB, want the same and at most %d", small, large, most)
	}
	t.Logf("%v allocations", small)
}
