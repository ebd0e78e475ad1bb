// Package forward is the client of the revisions' own sidecar injectors: what the router calls in forward mode, where it
// passes a pod's admission review on instead of leaving the choice of the injector to Istio's own webhooks.
package forward
