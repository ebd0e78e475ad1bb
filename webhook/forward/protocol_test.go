package forward

import (
	"context"
	"flag"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/injector"
)

var protocols = flag.Bool("protocols", false, "measure HTTP/1.1 against HTTP/2")

// TestProtocols is the measurement behind the choice of HTTP/1.1, in docs/benchmarks.md:
//
//	go test ./webhook/forward -run TestProtocols -v -protocols
func TestProtocols(t *testing.T) {
	if !*protocols {
		t.Skip("asked for with -protocols")
	}
	reply := make([]byte, 8<<10)
	var spoken atomic.Int64
	istiod, err := injector.StartIstiod(injector.IstiodOptions{
		Revision: "x", Now: time.Now, Answer: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			spoken.Store(int64(r.ProtoMajor))
			var buf [8192]byte
			for {
				if _, err := r.Body.Read(buf[:]); err != nil {
					break
				}
			}
			_, _ = w.Write(reply)
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer istiod.Close() //nolint:errcheck // the process ends
	to := Injector{Address: istiod.Host(), ServerName: istiod.ServerName(), Path: istiod.Path(), CABundle: istiod.CABundle()}
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, istiod.Address())
	}
	measure := func(http2 bool) testing.BenchmarkResult {
		p, e := newPool(to, dial)
		if e != nil {
			t.Fatal(e)
		}
		defer p.retire()
		if http2 {
			config := p.transport.TLSClientConfig.Clone()
			config.NextProtos = nil
			second := new(http.Protocols)
			second.SetHTTP2(true)
			p.transport = &http.Transport{DialContext: dial, TLSClientConfig: config, Protocols: second, DisableCompression: true}
		}
		body := make([]byte, 6<<10)
		return testing.Benchmark(func(b *testing.B) {
			b.Helper()
			b.ReportAllocs()
			b.SetParallelism(8)
			b.RunParallel(func(pb *testing.PB) {
				var buf []byte
				for pb.Next() {
					var e *Error
					if buf, _, e = p.send(b.Context(), p.transport, body, buf); e != nil {
						b.Error(e)
						return
					}
				}
			})
			if (spoken.Load() == 2) != http2 {
				b.Errorf("it was HTTP/%d", spoken.Load())
			}
		})
	}
	for range 5 {
		one, two := measure(false), measure(true)
		t.Logf("HTTP/1.1 %s %s   HTTP/2 %s %s   HTTP/2 takes %.2f times as long", one, one.MemString(), two, two.MemString(),
			float64(two.NsPerOp())/float64(one.NsPerOp()))
	}
}
