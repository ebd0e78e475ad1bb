package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
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

// remark is what /readyz?verbose says beside its checks, and what makes no replica unready.
type remark struct{ name, text string }

// healthHandler answers /healthz and /readyz, both with ?verbose. Liveness covers nothing that a restart cannot
// mend. What is wrong for all replicas at once does not make them unready: no replica at all would be worse. It is
// remarked on in the verbose answer.
func healthHandler(ready map[string]healthz.Checker, remarks func() []remark) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/healthz", http.StripPrefix("/healthz", &healthz.Handler{Checks: map[string]healthz.Checker{"ping": healthz.Ping}}))
	readyz := http.StripPrefix("/readyz", &healthz.Handler{Checks: ready})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, r *http.Request) {
		readyz.ServeHTTP(w, r)
		if r.URL.Query().Has("verbose") {
			// The checks' own lines withhold their reasons, which are what somebody who asks wants to know.
			for _, name := range slices.Sorted(maps.Keys(ready)) {
				if err := ready[name](r); err != nil {
					fmt.Fprintf(w, "[!]%s: %v\n", name, err)
				}
			}
			for _, m := range remarks() {
				fmt.Fprintf(w, "[!]%s: %s\n", m.name, m.text)
			}
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
