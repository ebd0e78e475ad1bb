package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/webhook"
)

// outcomes of a finding, besides its level: an override and an excuse are warnings that would have been denials.
const (
	outcomeDenied     = "denied"
	outcomeWarned     = "warned"
	outcomeOverridden = "overridden"
	outcomeExcused    = "excused"
)

func findingOutcomes() []string {
	return []string{outcomeDenied, outcomeWarned, outcomeOverridden, outcomeExcused}
}

// changeKinds are the kinds whose changes are judged.
func changeKinds() []skew.Kind {
	return []skew.Kind{
		skew.KindIstio, skew.KindRevision, skew.KindTag, skew.KindCNI, skew.KindZTunnel, skew.KindGateway,
		skew.KindNamespace, skew.KindService, skew.KindServiceEntry, skew.KindWorkloadEntry,
		skew.KindAuthorizationPolicy, skew.KindHTTPRoute,
	}
}

type finding struct {
	rule    skew.Rule
	outcome string
}

// ChangeRecorder counts what the validating webhooks do.
type ChangeRecorder struct {
	findings         map[finding]prometheus.Counter
	judged, unjudged map[skew.Kind]prometheus.Counter
}

var _ webhook.ChangeRecorder = (*ChangeRecorder)(nil)

// NewChangeRecorder registers the metrics of the validating webhooks.
func NewChangeRecorder(registry prometheus.Registerer) (*ChangeRecorder, error) {
	f := factory{registry: registry}
	vec := f.counters(findings)
	r := &ChangeRecorder{
		findings: map[finding]prometheus.Counter{},
		judged:   countersFor(&f, changes, changeKinds()),
		unjudged: countersFor(&f, unjudged, changeKinds()),
	}
	for _, rule := range skew.Rules() {
		for _, outcome := range findingOutcomes() {
			r.findings[finding{rule.Rule, outcome}] = vec.WithLabelValues(string(rule.Rule), outcome)
		}
	}
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics of changes: %w", errors.Join(f.errs...))
	}
	return r, nil
}

// Judged implements [webhook.ChangeRecorder].
func (r *ChangeRecorder) Judged(kind skew.Kind, found []skew.Finding) {
	inc(r.judged, kind)
	for _, f := range found {
		outcome := outcomeWarned
		switch {
		case f.Level == skew.Deny:
			outcome = outcomeDenied
		case f.Overridden != "":
			outcome = outcomeOverridden
		case f.Excused:
			outcome = outcomeExcused
		}
		inc(r.findings, finding{f.Rule, outcome})
	}
}

// Unjudged implements [webhook.ChangeRecorder].
func (r *ChangeRecorder) Unjudged(kind skew.Kind) { inc(r.unjudged, kind) }
