package main

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// drain takes a replica out of service without dropping a request. The API server goes on using the connections
// it has to a pod that is being removed, until they are closed (kubernetes#127335): so the replica becomes
// unready, closes each connection with the answer it gives on it, and stops listening only when the delay is over.
type drain struct {
	delay  time.Duration
	log    logr.Logger
	active atomic.Bool
}

var errDraining = errors.New("stopping: this replica is being replaced")

func (d *drain) ready(*http.Request) error {
	if d.active.Load() {
		return errDraining
	}
	return nil
}

// wait starts the drain and returns when it is over, or when ctx is done.
func (d *drain) wait(ctx context.Context) {
	d.log.Info("draining", "delay", d.delay.String())
	d.active.Store(true)
	timer := time.NewTimer(d.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	d.log.Info("stopping")
}

// registrar is what takes handlers: controller-runtime's webhook server.
type registrar interface {
	Register(path string, handler http.Handler)
}

// wrap returns a registrar whose handlers close their connections while the drain is active.
func (d *drain) wrap(to registrar) registrar { return drainingRegistrar{d, to} }

type drainingRegistrar struct {
	drain *drain
	to    registrar
}

func (r drainingRegistrar) Register(path string, handler http.Handler) {
	r.to.Register(path, http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if r.drain.active.Load() {
			w.Header().Set("Connection", "close")
		}
		handler.ServeHTTP(w, request)
	}))
}
