package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/flowcontrol"
)

// balancer stands for a Service: it dials one of the servers that are ready.
type balancer struct {
	mu    sync.Mutex
	ready []string
	next  int
}

func (b *balancer) set(addresses ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = addresses
}

func (b *balancer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	b.mu.Lock()
	b.next++
	address := b.ready[b.next%len(b.ready)]
	b.mu.Unlock()
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// apiServerTo is an API server that calls through a balancer.
func (r *rig) apiServerTo(b *balancer) *rest.RESTClient {
	r.t.Helper()
	transport := r.transport()
	transport.DialContext = b.dial
	c, err := rest.UnversionedRESTClientForConfigAndClient(&rest.Config{
		Host: "https://" + serverName, RateLimiter: flowcontrol.NewFakeAlwaysRateLimiter(),
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: statusSerializer()},
	}, &http.Client{Transport: transport})
	if err != nil {
		r.t.Fatal(err)
	}
	return c
}

// load calls with bursts, as many clients at a time as asked, until stopped. It returns the calls and the failures.
func load(t *testing.T, client *rest.RESTClient, clients int) (stop func() (calls, failures int64)) {
	t.Helper()
	var made, failed atomic.Int64
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				limited, end := context.WithTimeout(context.Background(), 10*time.Second)
				_, err := call(limited, client, "/echo", []byte(`{}`)) //nolint:contextcheck // a call that has begun is to end
				if err != nil {
					failed.Add(1)
					t.Errorf("call failed: %v", err)
				}
				end()
				made.Add(1)
			}
		})
	}
	return func() (int64, int64) {
		cancel()
		running.Wait()
		return made.Load(), failed.Load()
	}
}

// Ten replacements of a replica under load, with no pause at all between the end of the endpoints' change and the
// end of the server: the worst that a drain delay of 0 can do to the connections that are open.
func TestNoRequestIsLostWhenReplicasAreReplaced(t *testing.T) {
	first := newRig(t, handlers(), nil)
	b := &balancer{}
	b.set(first.address)
	client := first.apiServerTo(b)
	stop := load(t, client, 40)
	old := first
	for range 10 {
		next := newRig(t, handlers(), func(o *Options) {
			o.GetCertificate = first.server.options.GetCertificate
		})
		before := next.server.table.counts()
		b.set(old.address, next.address)
		waitFor(t, "the new replica is called", func() bool { return next.server.table.counts()[Idle] >= before[Idle] && next.server.table.total() > 0 })
		b.set(next.address)
		old.stop()
		if err := old.wait(); err != nil {
			t.Fatal(err)
		}
		old = next
	}
	calls, failures := stop()
	t.Logf("%d calls, %d failed; the first replica counted %v", calls, failures, first.tally.all())
	if calls < 100 {
		t.Errorf("only %d calls: this shows nothing", calls)
	}
}

// The race that there is without a farewell: a request is written on an idle connection in the moment in which the
// server closes it. It has to be answered, by the other replica or with "try again".
func TestNoRequestMeetsABareClose(t *testing.T) {
	const rounds = 60
	outcomes := map[string]int{}
	second := newRig(t, handlers(), nil)
	for range rounds {
		r := newRig(t, handlers(), func(o *Options) { o.GetCertificate = second.server.options.GetCertificate })
		b := &balancer{}
		b.set(r.address)
		transport := second.transport()
		transport.DialContext = b.dial
		post := func() (code int, retryAfter string, err error) {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+serverName+"/echo", strings.NewReader("{}"))
			if err != nil {
				return 0, "", err
			}
			answer, err := transport.RoundTrip(request)
			if err != nil {
				return 0, "", err
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			return answer.StatusCode, answer.Header.Get("Retry-After"), nil
		}
		if _, _, err := post(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, "the connection is idle", func() bool { return r.server.table.counts()[Idle] == 1 })
		b.set(second.address)
		// Both at once; what comes before the server stops is to meet what it does then, too.
		r.server.Drain()
		go r.server.table.drain()
		code, again, err := post()
		switch {
		case err != nil:
			t.Fatalf("lost: %v", err)
		case code == http.StatusOK:
			outcomes["answered"]++
		case code == http.StatusServiceUnavailable && again == "1":
			outcomes["told to try again"]++
		default:
			t.Fatalf("answer %d", code)
		}
		r.stop()
		if err := r.wait(); err != nil {
			t.Fatal(err)
		}
		if r.tally.of(string(Drained)) > 0 {
			outcomes["farewells"]++
		}
		transport.CloseIdleConnections()
	}
	t.Log(outcomes)
}

// What the API server makes of "try again": it does.
func TestTheAPIServerSendsARequestAgainThatMetTheFarewell(t *testing.T) {
	second := newRig(t, handlers(), nil)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() { // a server that answers the first request with the farewell, whatever it is
		raw, err := listener.Accept()
		if err != nil {
			return
		}
		defer func() { _ = raw.Close() }()
		c := tls.Server(raw, &tls.Config{GetCertificate: second.server.options.GetCertificate, MinVersion: tls.VersionTLS12})
		_, _ = c.Read(make([]byte, 4096))
		_, _ = c.Write(goodbye())
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	}()
	b := &balancer{}
	b.set(listener.Addr().String(), second.address)
	b.next = 1
	answer, err := call(t.Context(), second.apiServerTo(b), "/echo", []byte(`{"a":1}`))
	if err != nil || string(answer) != `{"a":1}` {
		t.Errorf("answer %q, error %v", answer, err)
	}
	if b.next != 3 {
		t.Errorf("%d connections were opened, want 2", b.next-1)
	}
}

func TestADrainingServerServesOnAndClosesWithTheAnswer(t *testing.T) {
	r := newRig(t, handlers(), nil)
	r.server.Drain()
	transport := r.transport()
	for range 3 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+r.address+"/echo", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || !answer.Close {
			t.Errorf("status %s, and the connection stays: %v", answer.Status, !answer.Close)
		}
	}
	waitFor(t, "no connection is left", func() bool { return r.server.table.total() == 0 })
}

func TestWhatIsUnderWayIsAnsweredBeforeTheEnd(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	r := newRig(t, map[string]http.Handler{"/slow": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-proceed
		_, _ = io.WriteString(w, "done")
	})}, nil)
	answer := make(chan error, 1)
	client := r.apiServer()
	go func() {
		body, err := call(context.Background(), client, "/slow", []byte(`{}`))
		if err == nil && string(body) != "done" {
			err = errors.New("answer " + string(body))
		}
		answer <- err
	}()
	<-entered
	r.stop()
	waitFor(t, "the port is closed", func() bool {
		c, err := net.Dial("tcp", r.address)
		if err == nil {
			_ = c.Close()
		}
		return err != nil
	})
	close(proceed)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	if err := r.wait(); err != nil || r.tally.of(string(Dropped)) > 0 {
		t.Errorf("ended with %v, %d dropped", err, r.tally.of(string(Dropped)))
	}
}

func TestWhatDoesNotEndInTimeIsDroppedAndCounted(t *testing.T) {
	entered, proceed := make(chan struct{}), make(chan struct{})
	r := newRig(t, map[string]http.Handler{"/stuck": http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-proceed
	})}, func(o *Options) { o.Grace = 20 * time.Millisecond })
	c := r.dial()
	if _, err := io.WriteString(c, "POST /stuck HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx"); err != nil {
		t.Fatal(err)
	}
	<-entered
	r.stop()
	waitFor(t, "it is dropped", func() bool { return r.tally.of(string(Dropped)) == 1 })
	close(proceed)
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}

// A client that had no request on its way gets an answer that it did not ask for, and knows that the connection ends.
func TestTheFarewell(t *testing.T) {
	r := newRig(t, handlers(), nil)
	c := r.dial()
	waitFor(t, "it is open", func() bool { return r.server.table.counts()[Unused] == 1 })
	r.stop()
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil || answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Retry-After") != "1" || !answer.Close {
		t.Errorf("answer %s, header %v, body %q, error %v", answer.Status, answer.Header, body, err)
	}
	_ = c.Close()
	if err := r.wait(); err != nil {
		t.Error(err)
	}
}
