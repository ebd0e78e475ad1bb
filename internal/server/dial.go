package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// dialTimeout is less than the timeout of the chart's readiness probe, 3 s.
const dialTimeout = 2 * time.Second

// probes knows the server's own calls to itself, by their address: they show no client certificate. Nobody else can
// have the address while the call goes on.
type probes struct {
	mu        sync.Mutex
	addresses map[netip.AddrPort]bool
}

func (p *probes) add(c net.Conn) (remove func()) {
	address, err := netip.ParseAddrPort(c.LocalAddr().String())
	if err != nil {
		return func() {}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.addresses == nil {
		p.addresses = map[netip.AddrPort]bool{}
	}
	p.addresses[unmapped(address)] = true
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.addresses, unmapped(address))
	}
}

func (p *probes) has(c net.Conn) bool {
	address, err := netip.ParseAddrPort(c.RemoteAddr().String())
	p.mu.Lock()
	defer p.mu.Unlock()
	return err == nil && p.addresses[unmapped(address)]
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Dial calls the server as the API server does, through its port and TLS, and returns the certificates that it shows.
// It does not judge them.
func (s *Server) Dial(ctx context.Context, serverName string) ([]*x509.Certificate, error) {
	at := s.address.Load()
	if at == nil {
		return nil, errors.New("the port is not served yet")
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	host := "127.0.0.1"
	switch {
	case !at.IP.IsUnspecified():
		host = at.IP.String()
	case at.IP.To4() == nil && !hasLoopback4():
		host = "::1"
	}
	var dialer net.Dialer
	raw, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(at.Port)))
	if err != nil {
		return nil, fmt.Errorf("call this replica's own port: %w", err)
	}
	remove := s.probes.add(raw)
	defer func() {
		remove()
		_ = raw.Close()
	}()
	client := tls.Client(raw, &tls.Config{
		ServerName: serverName, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		InsecureSkipVerify: true, //nolint:gosec // the caller judges the certificates, against several bundles
	})
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with this replica's own port: %w", err)
	}
	return client.ConnectionState().PeerCertificates, nil
}

func hasLoopback4() bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return true
		}
	}
	return false
}
