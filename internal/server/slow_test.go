package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs"
)

// pipes is a listener within a bubble of synctest, where sockets do not work.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// inBubble runs a test with a clock of its own, against a server on pipes.
func inBubble(t *testing.T, test func(t *testing.T, dial func() *tls.Conn, tally *tally)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		authority := mustAuthority(t)
		leaf, err := authority.Issue(certs.LeafRequest{
			DNSNames: []string{serverName}, IPs: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Lifetime: 12 * time.Hour,
		}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		tally := &tally{}
		s, err := New(Options{
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return leaf.TLS, nil },
			Recorder:       tally, Log: logr.Discard(), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Register("/echo", echo())
		listener := &pipes{conns: make(chan net.Conn), done: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.serveOn(ctx, listener) }()
		test(t, func() *tls.Conn {
			client, server := net.Pipe()
			listener.conns <- server
			return tls.Client(client, &tls.Config{InsecureSkipVerify: true})
		}, tally)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if left := s.table.total(); left != 0 {
			t.Errorf("%d connections are left", left)
		}
	})
}

func TestHowLongAClientMayTake(t *testing.T) {
	cases := map[string]struct {
		send string
		// more is sent every second.
		more string
		// want is when the server closes; the answer is what it says before.
		want   time.Duration
		answer string
		counts Refusal
	}{
		"a new connection that is not used yet lives as long as an idle one": {"", "", IdleTimeout, "HTTP/1.1 503 ", ""},
		"an idle connection outlives the API server's 90 s twice": {
			"GET /echo HTTP/1.1\r\nHost: x\r\n\r\n", "", IdleTimeout, "HTTP/1.1 200 ", "",
		},
		"headers that stop":                    {"GET /echo HTTP/1.1\r\nHost: x\r\n", "", headerTimeout, "", ""},
		"headers that never end (slowloris)":   {"GET /echo HTTP/1.1\r\nHost: x\r\n", "X: y\r\n", headerTimeout, "", ""},
		"a body that stops":                    {post + "Content-Length: 100\r\n\r\nx", "", readTimeout, "HTTP/1.1 408 ", BodyTooSlow},
		"a body that comes by a byte a second": {post + "Content-Length: 100\r\n\r\nx", "x", readTimeout, "HTTP/1.1 408 ", BodyTooSlow},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, dial func() *tls.Conn, tally *tally) { //nolint:thelper // it is the test
				c := dial()
				if err := c.HandshakeContext(t.Context()); err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if _, err := io.WriteString(c, tc.send); err != nil {
					t.Fatal(err)
				}
				var drip sync.WaitGroup
				if tc.more != "" {
					drip.Go(func() {
						for err := error(nil); err == nil; {
							time.Sleep(time.Second)
							_, err = io.WriteString(c, tc.more)
						}
					})
				}
				answer, _ := io.ReadAll(c) // until the server has said its last
				took := time.Since(began)
				_ = c.Close()
				drip.Wait()
				if took < tc.want || took > tc.want+time.Second {
					t.Errorf("closed after %s, want %s", took, tc.want)
				}
				if !strings.HasPrefix(string(answer), tc.answer) || tc.answer == "" && len(answer) > 0 {
					t.Errorf("answer %q, want %q", answer, tc.answer)
				}
				if tc.counts != "" && tally.of(string(tc.counts)) != 1 {
					t.Errorf("counted %v", tally.all())
				}
			})
		})
	}
}

func TestAHandshakeThatDoesNotEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, dial func() *tls.Conn, tally *tally) { //nolint:thelper // it is the test
		raw := dial().NetConn()
		began := time.Now()
		if _, err := raw.Read(make([]byte, 1)); err == nil || errors.Is(err, io.ErrNoProgress) {
			t.Errorf("read %v", err)
		}
		if took := time.Since(began); took != handshakeTimeout {
			t.Errorf("closed after %s, want %s", took, handshakeTimeout)
		}
		synctest.Wait()
		if tally.of(string(HandshakeTimeout)) != 1 {
			t.Errorf("counted %v", tally.all())
		}
	})
}

// A connection is closed with an answer after a while, so that the API server spreads over new replicas.
func TestAnOldConnectionIsClosedWithItsNextAnswer(t *testing.T) {
	inBubble(t, func(t *testing.T, dial func() *tls.Conn, _ *tally) { //nolint:thelper // it is the test
		c := dial()
		transport := &http.Transport{DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return c, nil }}
		began := time.Now()
		for {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://x/echo", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.Close {
				break
			}
			time.Sleep(30 * time.Second)
		}
		if took := time.Since(began); took <= maxAge || took > maxAge+time.Minute {
			t.Errorf("closed after %s, want %s", took, maxAge)
		}
	})
}
