package server

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"

	"github.com/revision-router/revision-router/certs"
)

// newTLSConfig offers HTTP/1.1 only: the API server speaks nothing else to a webhook behind a Service (apiserver,
// pkg/util/webhook), and HTTP/2 would only add to what can be attacked. No session tickets: the API server keeps no
// sessions, so that they would only cost.
func newTLSConfig(o Options) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"http/1.1"},
		GetCertificate:         o.GetCertificate,
		SessionTicketsDisabled: true,
	}
}

// handshake makes a connection a TLS connection. It is done here and not by net/http, which would log each failure
// and tell nobody the cause.
func (s *Server) handshake(ctx context.Context, c *conn) (*tls.Conn, HandshakeFailure, error) {
	config := s.tls.Clone()
	oldVersion := false
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		oldVersion = len(hello.SupportedVersions) > 0 && slices.Max(hello.SupportedVersions) < tls.VersionTLS12
		return nil, nil //nolint:nilnil // that is how to say that the configuration stays as it is
	}
	if s.options.Clients != nil && !s.probes.has(c.raw) {
		config.ClientAuth = tls.RequestClientCert
		config.VerifyConnection = s.options.Clients.verify
	}
	_ = c.raw.SetDeadline(s.options.Now().Add(handshakeTimeout))
	secure := tls.Server(c.raw, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		if oldVersion {
			return nil, OldVersion, err
		}
		return nil, handshakeFailure(err), err
	}
	_ = c.raw.SetDeadline(time.Time{})
	return secure, "", nil
}

// handshakeFailure classifies the error of a handshake.
func handshakeFailure(err error) HandshakeFailure {
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		if record.Conn != nil {
			_, _ = io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nThis port speaks HTTPS.\n")
		}
		return NotTLS
	}
	if remote, ok := errors.AsType[*net.OpError](err); ok && remote.Op == "remote error" { // an alert of the client
		return Distrusted
	}
	switch {
	case errors.Is(err, ErrClientUnknown):
		return ClientUnknown
	case errors.Is(err, certs.ErrNotAvailable):
		return NoCertificate
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return HandshakeTimeout
	case isGone(err), errors.Is(err, io.ErrUnexpectedEOF):
		return ClientGone
	}
	return HandshakeOther
}
