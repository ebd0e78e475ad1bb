// Package metrics exports what the handlers do as Prometheus metrics.
//
// Every label takes its values from a closed set, so that no request, however hostile, can create a series, and
// every series is there from the start, so that a rate is right from the first event on. Nothing is labelled
// with a namespace or a pod: that is what the audit log is for.
package metrics
