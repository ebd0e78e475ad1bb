package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// from dials from another address of the loopback network.
func (r *rig) from(source string) *tls.Conn {
	r.t.Helper()
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}},
		Config:    &tls.Config{RootCAs: r.bundle, ServerName: serverName},
	}
	c, err := d.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	tlsConn, _ := c.(*tls.Conn)
	return tlsConn
}

func heap() (bytes uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// 3,000 connections that say nothing, a thousand above the limit, while the API server works.
func TestACrowdOfIdleConnectionsKeepsNobodyOut(t *testing.T) {
	const crowd, limit = 3000, 2000
	r := newRig(t, handlers(), func(o *Options) { o.Limits.Connections, o.Limits.Concurrent, o.Limits.BodyBytes = limit, 512, 32<<20 })
	stop := r.wellBehaved()
	before, goroutines := heap(), runtime.NumGoroutine()
	var open sync.WaitGroup
	ports := make(chan struct{}, 16)
	conns := make([]net.Conn, crowd)
	for i := range crowd {
		open.Go(func() {
			ports <- struct{}{}
			defer func() { <-ports }()
			c, err := net.Dial("tcp", r.address)
			if err != nil {
				t.Error(err)
				return
			}
			conns[i] = c
		})
	}
	open.Wait()
	waitFor(t, "all have come", func() bool { return r.tally.of(string(Evicted)) >= crowd-limit })
	if got := r.server.table.total(); got > limit+maxFarewells {
		t.Errorf("%d connections, want at most %d", got, limit+maxFarewells)
	}
	grown, more := heap()-before, runtime.NumGoroutine()-goroutines
	t.Logf("%d connections open, %d evicted; %d goroutines and %.1f KiB of memory each", r.server.table.total(),
		r.tally.of(string(Evicted)), more/r.server.table.total(), float64(grown)/1024/float64(r.server.table.total()))
	if more > limit+200 || grown > 100<<20 {
		t.Errorf("%d goroutines, %d MiB more", more, grown>>20)
	}
	calls := stop()
	for _, c := range conns {
		if c != nil {
			_ = c.Close()
		}
	}
	t.Logf("%d calls of a well-behaved client meanwhile; %v", calls, r.tally.all())
}

// The address with most connections pays for what it opens, even where its connections were used for requests and
// those of the others were not.
func TestTheAddressWithMostConnectionsPays(t *testing.T) {
	r := newRig(t, handlers(), func(o *Options) { o.Limits = Limits{Connections: 16, Concurrent: 2, BodyBytes: 4 * MaxBody} })
	apiServer := make([]*tls.Conn, 5)
	for i := range apiServer {
		apiServer[i] = r.from("127.0.0.2")
	}
	for range 30 {
		c := r.from("127.0.0.3")
		if _, err := io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 1024))
	}
	waitFor(t, "the surplus is closed", func() bool { return r.tally.of(string(Evicted)) == 5+30-16 })
	for i, c := range apiServer {
		if _, err := io.WriteString(c, "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, 1024)
		n, err := c.Read(answer)
		if err != nil || !strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200") {
			t.Errorf("connection %d was closed: %q, %v", i, answer[:n], err)
		}
	}
}

// stuck is a handler that waits, and tells when it does.
func stuck() (handler http.Handler, entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}, 100), make(chan struct{})
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		in <- struct{}{}
		<-out
	}), in, sync.OnceFunc(func() { close(out) })
}

func TestAPathThatHangsLeavesHalfOfThePlaces(t *testing.T) {
	handler, entered, release := stuck()
	all := handlers()
	all["/stuck"] = handler
	r := newRig(t, all, func(o *Options) { o.Limits = Limits{Connections: 64, Concurrent: 8, BodyBytes: 4 * MaxBody} })
	defer release()
	var running sync.WaitGroup
	defer running.Wait()
	defer release()
	for range 4 {
		running.Go(func() { _, _ = call(context.Background(), r.apiServer(), "/stuck", []byte(`{}`)) })
		<-entered
	}
	if got := r.server.Stats().InFlight; got != 4 {
		t.Errorf("%d in flight, want 4", got)
	}
	if got := r.say("POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"); got != "429 Too Many Requests" {
		t.Errorf("a fifth was answered %q", got)
	}
	if _, err := call(t.Context(), r.apiServer(), "/echo", []byte(`{}`)); err != nil {
		t.Errorf("another path: %v", err)
	}
	if r.tally.of(string(TooManyOnPath)) != 1 || r.tally.of(string(TooManyRequests)) != 0 {
		t.Errorf("counted %v", r.tally.all())
	}
}

// The API server's client waits for what Retry-After says, and tries again by itself.
func TestTheAPIServerTriesAgainWhereAllPlacesAreTaken(t *testing.T) {
	a, enteredA, releaseA := stuck()
	b, enteredB, releaseB := stuck()
	all := handlers()
	all["/a"], all["/b"] = a, b
	r := newRig(t, all, func(o *Options) { o.Limits = Limits{Connections: 64, Concurrent: 2, BodyBytes: 4 * MaxBody} })
	var running sync.WaitGroup
	defer running.Wait()
	defer releaseA()
	defer releaseB()
	running.Go(func() { _, _ = call(context.Background(), r.apiServer(), "/a", []byte(`{}`)) })
	running.Go(func() { _, _ = call(context.Background(), r.apiServer(), "/b", []byte(`{}`)) })
	<-enteredA
	<-enteredB
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := call(short, r.apiServer(), "/echo", []byte(`{}`)); err == nil {
		t.Error("answered although all places are taken")
	}
	answer := make(chan error, 1)
	refused := r.tally.of(string(TooManyRequests))
	client := r.apiServer()
	go func() {
		_, err := call(context.Background(), client, "/echo", []byte(`{}`))
		answer <- err
	}()
	waitFor(t, "the call is refused", func() bool { return r.tally.of(string(TooManyRequests)) > refused })
	releaseA()
	if err := <-answer; err != nil {
		t.Errorf("the API server gave up: %v", err)
	}
}

func TestSlowBodiesGiveWay(t *testing.T) {
	const budget = 4 * MaxBody // half of it, 14 MiB, for one address
	r := newRig(t, handlers(), func(o *Options) { o.Limits = Limits{Connections: 64, Concurrent: 8, BodyBytes: budget} })
	// All but the last byte of six or seven bodies of 3 MiB, in buffers of 4 MiB, from two addresses.
	for i := range 7 {
		c := r.from(fmt.Sprintf("127.0.0.%d", 2+i%2))
		before := r.server.Stats().BodyBytes
		if _, err := fmt.Fprintf(c, "%sContent-Length: %d\r\n\r\n%s", post, 3<<20+1, strings.Repeat("x", 3<<20)); err != nil {
			break // refused
		}
		waitFor(t, "it has arrived, or was refused", func() bool {
			return r.server.Stats().BodyBytes >= before+3<<20 || r.tally.of(string(TooManyBytes))+r.tally.of(string(SlowBody)) > 0
		})
	}
	if got := r.server.Stats().BodyBytes; got > budget {
		t.Errorf("bodies take %d bytes, want no more than %d", got, budget)
	}
	// For a second they are as good as any others; then they give way.
	body := []byte(strings.Repeat("y", 5<<20))
	answer, err := call(t.Context(), r.apiServer(), "/echo", body)
	if err != nil || len(answer) != len(body) {
		t.Errorf("a body that is not slow: %v", err)
	}
	if r.tally.of(string(SlowBody)) == 0 {
		t.Errorf("none gave way: %v", r.tally.all())
	}
}

func TestTheErrorOfARefusalIsReadable(t *testing.T) {
	r := newRig(t, handlers(), nil)
	_, err := call(t.Context(), r.apiServer(), "/echo", make([]byte, MaxBody+1))
	if !apierrors.IsRequestEntityTooLargeError(err) || !strings.Contains(err.Error(), "revision-router: the body is larger than 7340032 bytes") {
		t.Errorf("error %v", err)
	}
	_, err = call(t.Context(), r.apiServer(), "/panic", []byte(`{}`))
	if !apierrors.IsInternalError(err) || !strings.Contains(err.Error(), "the router's log has its stack") {
		t.Errorf("error %v", err)
	}
}
