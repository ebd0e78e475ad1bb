package files

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/revision-router/revision-router/certs"
)

// The files of a Secret of type kubernetes.io/tls, which is also what cert-manager writes.
const (
	CertificateFile = "tls.crt"
	KeyFile         = "tls.key"
)

// PollEvery is explained in the package comment.
const PollEvery = 5 * time.Second

// Clock is all of a clock that a Watcher needs; k8s.io/utils/clock.RealClock is one.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Options configure a [Watcher]. All fields are required but Log and Hint.
type Options struct {
	// Dir holds the files.
	Dir string
	// Names are what clients dial: DNS names and IP addresses that the certificate must be valid for, each of them.
	Names []string
	Clock Clock
	Log   logr.Logger
	// Hint is what to look at when the files are missing or wrong: a question and a command.
	Hint string
}

func (o Options) validate() error {
	switch {
	case o.Dir == "":
		return errors.New("folder of the certificate is missing")
	case len(o.Names) == 0:
		return errors.New("names to serve are missing")
	case o.Clock == nil:
		return errors.New("clock is missing")
	}
	return nil
}

// Watcher keeps the serving certificate that files hold. Make it with New.
type Watcher struct {
	options Options
	source  certs.Source
	// problem is why the files as they are now cannot be used; nil where they are what is served.
	problem atomic.Pointer[error]

	// The rest belongs to the goroutine of Start.
	certificate, key []byte
	lastProblem      string
}

// New checks the options and makes a Watcher, which reads nothing before Start.
func New(o Options) (*Watcher, error) {
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("configure the certificate from files: %w", err)
	}
	return &Watcher{options: o}, nil
}

// Start follows the files until ctx is done. It returns nil then, and no error before: files that are missing or wrong
// may be put right without a restart, and until then Ready tells what it is.
func (w *Watcher) Start(ctx context.Context) error {
	for {
		w.look()
		select {
		case <-ctx.Done():
			return nil
		case <-w.options.Clock.After(PollEvery):
		}
	}
}

// Source is where a TLS server gets the serving certificate from.
func (w *Watcher) Source() *certs.Source { return &w.source }

// Ready returns nil if the certificate that is served has time left. Files that cannot be used do not make a replica
// unready that still serves the certificate they held before.
func (w *Watcher) Ready() error {
	var problem error
	if p := w.problem.Load(); p != nil {
		problem = *p
	}
	leaf := w.source.Leaf()
	if leaf == nil {
		if problem == nil {
			return fmt.Errorf("not ready to serve: %w", certs.ErrNotAvailable)
		}
		return fmt.Errorf("not ready to serve: %w: %w%s", certs.ErrNotAvailable, problem, w.hint())
	}
	if err := certs.CheckRemaining(leaf, w.now()); err != nil {
		if problem != nil {
			err = fmt.Errorf("%w, and what would replace it cannot be used: %w", err, problem)
		}
		return fmt.Errorf("not ready to serve: %w%s", err, w.hint())
	}
	return nil
}

// Failed tells whether the files as they are now cannot be used.
func (w *Watcher) Failed() bool { return w.problem.Load() != nil }

func (w *Watcher) hint() string {
	if w.options.Hint == "" {
		return ""
	}
	return ": " + w.options.Hint
}

// now is the wall clock: see secretca.Manager.
func (w *Watcher) now() time.Time { return w.options.Clock.Now().Round(0) }

// look takes up what has changed. A certificate and a key that do not belong together may have been read while the
// kubelet swapped them, so that the next look finds both.
func (w *Watcher) look() {
	certificate, key, err := w.read()
	if err == nil && bytes.Equal(certificate, w.certificate) && bytes.Equal(key, w.key) {
		w.settled()
		return
	}
	var pair *tls.Certificate
	if err == nil {
		pair, err = w.parse(certificate, key)
	}
	if err != nil {
		w.failed(err)
		return
	}
	w.certificate, w.key = certificate, key
	w.source.Set(pair)
	w.settled()
	w.options.Log.Info("serving the certificate of the files", "dir", w.options.Dir,
		"notAfter", pair.Leaf.NotAfter, "issuer", pair.Leaf.Issuer.String())
}

func (w *Watcher) settled() {
	w.problem.Store(nil)
	w.lastProblem = ""
}

func (w *Watcher) failed(err error) {
	w.problem.Store(&err)
	if err.Error() == w.lastProblem {
		return
	}
	w.lastProblem = err.Error()
	w.options.Log.Error(err, "cannot use the files of the serving certificate; will look again"+w.hint())
}

func (w *Watcher) read() (certificate, key []byte, _ error) {
	certificate, err := w.readFile(CertificateFile)
	if err != nil {
		return nil, nil, err
	}
	key, err = w.readFile(KeyFile)
	return certificate, key, err
}

func (w *Watcher) readFile(name string) ([]byte, error) {
	path := filepath.Join(w.options.Dir, name)
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the file %s is not there", path)
	case err != nil:
		return nil, fmt.Errorf("read the serving certificate: %w", err)
	case len(data) == 0: // cert-manager makes the Secret before it has a certificate
		return nil, fmt.Errorf("the file %s is empty", path)
	}
	return data, nil
}

// parse refuses what no client would accept, so that a certificate which works is never replaced by one that does not.
func (w *Watcher) parse(certificate, key []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("%s and %s in %s: %w", CertificateFile, KeyFile, w.options.Dir, err)
	}
	now := w.now()
	if now.Before(pair.Leaf.NotBefore) || now.After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("the certificate in %s is valid from %s to %s, not at %s", w.options.Dir,
			pair.Leaf.NotBefore.UTC().Format(time.RFC3339), pair.Leaf.NotAfter.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	for _, name := range w.options.Names {
		if err := pair.Leaf.VerifyHostname(name); err != nil {
			return nil, fmt.Errorf("the certificate in %s: %w", w.options.Dir, err)
		}
	}
	return &pair, nil
}
