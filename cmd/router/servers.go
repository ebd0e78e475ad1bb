package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	ctrlwebhook "sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/internal/config"
)

// newLogger logs through slog, and takes in what controller-runtime and client-go log.
func newLogger(out io.Writer, o Options) (logr.Logger, error) {
	level, err := o.logLevel()
	if err != nil {
		return logr.Logger{}, err
	}
	options := &slog.HandlerOptions{Level: level}
	var handler slog.Handler = slog.NewTextHandler(out, options)
	if o.LogFormat == "json" {
		handler = slog.NewJSONHandler(out, options)
	}
	log := logr.FromSlogHandler(handler)
	ctrllog.SetLogger(log)
	klog.SetLogger(log)
	return log, nil
}

// newWebhookServer serves HTTP/1.1 only: the API server speaks nothing else to a webhook behind a Service, and
// HTTP/2 would only add to what can be attacked.
func newWebhookServer(o Options, source *certs.Source) ctrlwebhook.Server {
	return ctrlwebhook.NewServer(ctrlwebhook.Options{
		Host: o.WebhookHost,
		Port: o.WebhookPort,
		TLSOpts: []func(*tls.Config){func(c *tls.Config) {
			c.NextProtos = []string{"http/1.1"}
			c.MinVersion = tls.VersionTLS12
			c.GetCertificate = source.GetCertificate
		}},
	})
}

// healthHandler answers /healthz and /readyz, both with ?verbose. Liveness covers nothing that a restart cannot
// mend. A bad policy file does not make a replica unready, since the old policy is in force: it is named in the
// verbose answer only.
func healthHandler(ready map[string]healthz.Checker, policy *config.Store) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", http.StripPrefix("/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}}))
	readyz := http.StripPrefix("/readyz", &healthz.Handler{Checks: ready})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		readyz.ServeHTTP(w, r)
		if err := policy.Err(); err != nil && r.URL.Query().Has("verbose") {
			fmt.Fprintf(w, "[!]policy: the old policy stays in force: %v\n", err)
		}
	})
	mux.Handle("/readyz/", readyz)
	return mux
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{Registry: registry}))
	return mux
}

// httpServer serves plain HTTP on an address until its context is done. The address "0" switches it off.
func httpServer(address string, handler http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		if address == "0" {
			<-ctx.Done()
			return nil
		}
		var listen net.ListenConfig
		listener, err := listen.Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", address, err)
		}
		server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
		closed := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer closed()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return fmt.Errorf("serving on %s: %w", address, err)
		}
		return nil
	}
}
