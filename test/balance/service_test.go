package balance

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"testing"
)

// echo is a replica that puts its name before each line that it gets.
func echo(t *testing.T, name string) *Endpoint {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					_, _ = fmt.Fprintln(conn, name, lines.Text())
				}
			})
		}
	})
	t.Cleanup(running.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	return NewEndpoint(listener.Addr().String())
}

// client is a connection through the Service.
type client struct {
	net.Conn
	lines *bufio.Scanner
}

func dial(t *testing.T, s *Service) client {
	t.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return client{conn, bufio.NewScanner(conn)}
}

func (c client) ask(t *testing.T, line string) string {
	t.Helper()
	if _, err := fmt.Fprintln(c, line); err != nil {
		t.Fatal(err)
	}
	c.lines.Scan()
	return c.lines.Text()
}

func startService(t *testing.T) *Service {
	t.Helper()
	s, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func mustAdd(t *testing.T, s *Service, e *Endpoint) {
	t.Helper()
	if err := s.Add(e); err != nil {
		t.Fatal(err)
	}
}

func TestConnectionsStayWhereTheyAreWhenTheirEndpointLeaves(t *testing.T) {
	s := startService(t)
	old, successor := echo(t, "old"), echo(t, "new")
	mustAdd(t, s, old)
	first := dial(t, s)
	if got := first.ask(t, "1"); got != "old 1" {
		t.Fatalf("%q", got)
	}
	mustAdd(t, s, successor)
	s.Remove(old)
	if got := first.ask(t, "2"); got != "old 2" {
		t.Errorf("the open connection answers %q", got)
	}
	for range 10 {
		if got := dial(t, s).ask(t, "3"); got != "new 3" {
			t.Errorf("a new connection answers %q", got)
		}
	}
	if old.Open() != 1 || old.Made() != 1 || successor.Made() != 10 {
		t.Errorf("old: %d open, %d made; new: %d made", old.Open(), old.Made(), successor.Made())
	}
}

func TestNewConnectionsGoToAllThatAreReady(t *testing.T) {
	s := startService(t)
	all := []*Endpoint{echo(t, "a"), echo(t, "b")}
	for _, e := range all {
		mustAdd(t, s, e)
		mustAdd(t, s, e) // twice equals once
	}
	for range 64 { // that one gets none is as likely as 1 in 2^63
		dial(t, s).ask(t, "x")
	}
	if s.Ready() != 2 || all[0].Made() == 0 || all[1].Made() == 0 || all[0].Made()+all[1].Made() != 64 {
		t.Errorf("%d ready, which got %d and %d connections", s.Ready(), all[0].Made(), all[1].Made())
	}
}

func TestWithoutEndpointsConnectionsAreRefused(t *testing.T) {
	s := startService(t)
	refused := func() bool {
		conn, err := net.Dial("tcp", s.address)
		if err == nil {
			_ = conn.Close()
		}
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	if !refused() {
		t.Error("not refused before the first endpoint")
	}
	e := echo(t, "a")
	mustAdd(t, s, e)
	if got := dial(t, s).ask(t, "1"); got != "a 1" {
		t.Errorf("%q", got)
	}
	s.Remove(e)
	if !refused() {
		t.Error("not refused after the last endpoint")
	}
	mustAdd(t, s, e)
	if got := dial(t, s).ask(t, "2"); got != "a 2" {
		t.Errorf("%q", got)
	}
}

func TestADeadEndpointIsTellable(t *testing.T) {
	s := startService(t)
	nobody, err := New() // without an endpoint it does not listen
	if err != nil {
		t.Fatal(err)
	}
	dead := NewEndpoint(nobody.Address())
	mustAdd(t, s, dead)
	conn, err := net.Dial("tcp", s.address)
	if err == nil { // the reset may come while the client still connects, or after
		_, err = conn.Read(make([]byte, 1))
		_ = conn.Close()
	}
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the client sees %v, want a reset", err)
	}
	s.Close() // so that all is counted
	if dead.Refused() != 1 || dead.Made() != 0 {
		t.Errorf("%d refused, %d made", dead.Refused(), dead.Made())
	}
}
