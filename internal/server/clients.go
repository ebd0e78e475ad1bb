package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// ErrClientUnknown is in the error of a handshake with a client that is none of those who may call.
var ErrClientUnknown = errors.New("the client may not call this webhook")

// rereadEvery: a ConfigMap or Secret volume takes the kubelet up to a minute to change anyway.
const rereadEvery = 5 * time.Second

// ClientsOptions say who may call. All but Log are required.
type ClientsOptions struct {
	// File holds the certificates of the CAs, in PEM.
	File string
	// Names are those of which a certificate must have one, as its common name or as a DNS name.
	Names []string
	Now   func() time.Time
	Log   logr.Logger
}

// Clients checks certificates of clients. The API server shows one where its file for --admission-control-config-file
// has it; see docs/operations.md.
type Clients struct {
	options ClientsOptions
	pool    atomic.Pointer[x509.CertPool]

	mu   sync.Mutex
	last []byte
	err  error
}

// NewClients reads the file once: at the start a bad file is an error, later it only keeps the last good one in force.
func NewClients(o ClientsOptions) (*Clients, error) {
	if len(o.Names) == 0 {
		return nil, errors.New("name at least one client that may call")
	}
	c := &Clients{options: o}
	c.Reload()
	if err := c.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

// Start reads the file again and again until ctx is done.
func (c *Clients) Start(ctx context.Context) error {
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			c.Reload()
		}
	}
}

// Err tells why the file as it is now is not in force; nil when it is.
func (c *Clients) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Reload reads the file.
func (c *Clients) Reload() {
	c.mu.Lock()
	defer c.mu.Unlock()
	data, err := os.ReadFile(c.options.File)
	if err == nil && c.err == nil && c.last != nil && bytes.Equal(data, c.last) {
		return
	}
	was := c.err
	if err == nil {
		err = c.use(data)
	}
	if err != nil {
		err = fmt.Errorf("client CA %s: %w", c.options.File, err)
		if was == nil && c.last != nil {
			c.options.Log.Error(err, "the CAs of clients stay as they were")
		}
	}
	c.err = err
}

func (c *Clients) use(data []byte) error {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return errors.New("it holds no certificate in PEM")
	}
	c.pool.Store(pool)
	if c.last != nil && !bytes.Equal(c.last, data) {
		c.options.Log.Info("the CAs of clients have changed", "file", c.options.File)
	}
	c.last = data
	return nil
}

// verify fails closed: who cannot be told is not let in.
func (c *Clients) verify(state tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it shows no certificate", ErrClientUnknown)
	}
	leaf := state.PeerCertificates[0]
	intermediates := x509.NewCertPool()
	for _, i := range state.PeerCertificates[1:] {
		intermediates.AddCert(i)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: c.pool.Load(), Intermediates: intermediates, CurrentTime: c.options.Now(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		return fmt.Errorf("%w: its certificate %q: %w", ErrClientUnknown, leaf.Subject.CommonName, err)
	}
	names := append([]string{leaf.Subject.CommonName}, leaf.DNSNames...)
	if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(c.options.Names, n) }) {
		return fmt.Errorf("%w: its certificate is for %q, want one of %q", ErrClientUnknown,
			strings.Join(names[:min(len(names), 8)], " "), c.options.Names)
	}
	return nil
}
