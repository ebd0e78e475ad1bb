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
// What the server does then is told at server.Server.Start.
type drain struct {
	delay time.Duration
	// begin makes the server close its connections with their answers.
	begin  func()
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
	d.begin()
	timer := time.NewTimer(d.delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	d.log.Info("stopping")
}
