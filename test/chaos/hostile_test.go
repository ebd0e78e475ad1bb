//go:build chaos

package chaos

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/revision-router/revision-router/test/local"
)

const (
	// maxBody is what a review may have; the API server sends less than half of it.
	maxBody = 7 << 20
	// memoryLimit is that of the chart's container: with more, the kernel would end it.
	memoryLimit = 256 << 20
)

// stranger dials from another address of this machine than the API server, as another pod of the cluster would: what
// one source can take up is bounded.
func stranger() *net.Dialer {
	return &net.Dialer{Timeout: 30 * time.Second, LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 66)}}
}

// strangersAsker is an asker at that address.
func (w *world) strangersAsker(t *testing.T) *asker {
	t.Helper()
	a := w.asker(t, shop)
	if transport, ok := a.client.Transport.(*http.Transport); ok {
		transport.DialContext = stranger().DialContext
	}
	return a
}

// hostileClients has one of two replicas attacked by whoever can reach its port, while the load goes on through
// both. Rows 17, 22, 23, 24, 31 and 37 of the catalogue.
func hostileClients(w *world) result {
	t := w.t
	connections, fuzzing, slow := 10_000, 3*time.Minute, 200
	if w.short {
		connections, fuzzing, slow = 2_000, 20*time.Second, 50
	}
	w.scale(t, 2)
	victim := w.routers().Replicas()[0]
	asker := w.strangersAsker(t)
	_, stop := w.load(t)

	w.refusesLargeBodies(t, asker, victim)
	w.refusesDeepBodies(t, asker, victim)
	w.speaksHTTP1(t, victim)
	say("memory after large and deep bodies: %s", memory(t, victim))
	slowest := make(chan time.Duration, 1)
	go func() { slowest <- w.slowClients(t, victim, slow) }()
	held := w.idleConnections(t, victim, connections)
	say("memory with %d connections: %s", held.count(), memory(t, victim))
	f := w.fuzz(t, asker, victim, fuzzing)
	cutAfter := <-slowest
	held.close()

	report := stop()
	noneFailed(t, report)
	if n := w.metric(t, victim, "istio_revision_router_panics_total"); n > 0 {
		t.Errorf("%v panics were caught; the log of %s has the stacks", n, victim.Name)
	}
	_, most, err := victim.Memory()
	if err != nil || most > memoryLimit {
		t.Errorf("the replica held up to %d MiB (%v), and the chart allows %d", most>>20, err, memoryLimit>>20)
	}
	res := of(report)
	res.done = fmt.Sprintf("%d slow clients, %d connections, large, deep; fuzzed %.0f s", slow, connections, fuzzing.Seconds())
	res.figure = fmt.Sprintf("RSS at most %d MiB of %d; %d connections refused; slow clients cut after %.0f s; %d fuzzed reviews, 0 crashes",
		most>>20, memoryLimit>>20, held.failed, cutAfter.Seconds(), f)
	return res
}

func memory(t *testing.T, r *local.Replica) string {
	t.Helper()
	now, most, err := r.Memory()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d MiB, at most %d", now>>20, most>>20)
}

// padded is a review of exactly this length; white space is part of JSON.
func (a *asker) padded(length int) []byte {
	return append(bytes.Repeat([]byte{' '}, length-len(a.body)), a.body...)
}

func (w *world) refusesLargeBodies(t *testing.T, a *asker, r *local.Replica) {
	t.Helper()
	for _, tc := range []struct{ length, want int }{{maxBody, http.StatusOK}, {maxBody + 1, http.StatusRequestEntityTooLarge}} {
		for _, chunked := range []bool{false, true} {
			var body io.Reader = bytes.NewReader(a.padded(tc.length))
			if chunked {
				body = io.MultiReader(body) // net/http then knows no length
			}
			status, err := w.send(a, r, body)
			if err != nil || status != tc.want {
				t.Errorf("a body of %d bytes (chunked: %t) is answered %d (%v), want %d", tc.length, chunked, status, err, tc.want)
			}
		}
	}
}

func (w *world) refusesDeepBodies(t *testing.T, a *asker, r *local.Replica) {
	t.Helper()
	const depth = 3 << 20
	for name, body := range map[string]string{
		"arrays":                 strings.Repeat("[", depth),
		"objects":                strings.Repeat(`{"a":`, depth/4),
		"arrays within a review": `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"object":` + strings.Repeat("[", depth),
		"arrays that end":        `{"request":{"object":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}}",
	} {
		status, err := w.send(a, r, strings.NewReader(body))
		if err != nil || status != http.StatusBadRequest {
			t.Errorf("deep %s are answered %d (%v), want 400", name, status, err)
		}
	}
}

func (w *world) send(a *asker, r *local.Replica, body io.Reader) (int, error) {
	request, err := http.NewRequestWithContext(w.ctx, http.MethodPost, "https://"+r.Webhook+injectionPath, body)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := a.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// speaksHTTP1: with HTTP/2, one client could begin and reset streams as fast as it can write.
func (w *world) speaksHTTP1(t *testing.T, r *local.Replica) {
	t.Helper()
	conn, err := w.dial(w.ctx, r, "h2", "http/1.1")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if got := conn.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("the server chose %q, want http/1.1", got)
	}
}

func (w *world) dial(ctx context.Context, r *local.Replica, protocols ...string) (*tls.Conn, error) {
	dialer := tls.Dialer{
		NetDialer: stranger(),
		Config:    &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: protocols}, // an attacker does not care
	}
	conn, err := dialer.DialContext(ctx, "tcp", r.Webhook)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil //nolint:errcheck,forcetypeassert // what tls.Dialer returns
}

// slowClients send the headers of a review and then one byte a second. It returns when the server has cut all of
// them off, with the longest time that took.
func (w *world) slowClients(t *testing.T, r *local.Replica, n int) time.Duration {
	t.Helper()
	const patience = 40 * time.Second
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	var slowest time.Duration
	var lasted int
	for range n {
		all.Go(func() {
			began := time.Now()
			cut := w.slowClient(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			if !cut {
				lasted++
			}
			slowest = max(slowest, time.Since(began))
		})
	}
	all.Wait()
	if lasted > 0 {
		t.Errorf("%d of %d slow clients were not cut off within %s", lasted, n, patience)
	}
	return slowest
}

// slowClient tells whether the server ended the connection.
func (w *world) slowClient(ctx context.Context, r *local.Replica) bool {
	conn, err := w.dial(ctx, r)
	if err != nil {
		return ctx.Err() == nil // refused is cut off, too
	}
	defer func() { _ = conn.Close() }()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, conn)
	}()
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: slow\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n", injectionPath)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return true
		case <-ctx.Done():
			return false
		case <-tick.C:
			_, _ = conn.Write([]byte(" "))
		}
	}
}

// connections are held open and do nothing.
type connections struct {
	mu     sync.Mutex
	open   []*tls.Conn
	opened int
	failed int
}

func (c *connections) count() int { return c.opened }

func (c *connections) close() {
	for _, conn := range c.open {
		_ = conn.NetConn().Close()
	}
}

// idleConnections opens connections, with everything up to the first request. The server may refuse some of them, as
// long as it answers the API server.
func (w *world) idleConnections(t *testing.T, r *local.Replica, n int) *connections {
	t.Helper()
	const atOnce = 16
	c := &connections{}
	t.Cleanup(c.close)
	var all sync.WaitGroup
	began := time.Now()
	for range atOnce {
		all.Go(func() {
			for range n / atOnce {
				conn, err := w.dial(w.ctx, r)
				c.mu.Lock()
				if err != nil {
					c.failed++
				} else {
					c.open = append(c.open, conn)
				}
				c.mu.Unlock()
			}
		})
	}
	all.Wait()
	c.opened = len(c.open)
	say("%d connections were opened in %s, %d refused", c.opened, time.Since(began).Round(time.Second), c.failed)
	if c.opened == 0 {
		t.Error("no connection could be opened at all")
	}
	return c
}
