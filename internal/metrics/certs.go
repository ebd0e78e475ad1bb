package metrics

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// The values of the label certificate.
const (
	certificateLeaf     = "leaf"
	certificateCA       = "ca"
	certificateNextCA   = "next_ca"
	certificatePrevious = "previous_ca"
)

// The values of the label state of webhooks.
const (
	bundleInOrder   = "in_order"
	bundleDifferent = "different"
)

// CertificateRecorder counts what is done for the serving certificate.
type CertificateRecorder struct {
	actions map[certificateAction]prometheus.Counter
}

var _ secretca.Recorder = (*CertificateRecorder)(nil)

type certificateAction struct {
	kind    certs.Kind
	outcome secretca.Outcome
}

// NewCertificateRecorder registers the counter. It is of use where the router keeps a CA of its own.
func NewCertificateRecorder(registry prometheus.Registerer) (*CertificateRecorder, error) {
	f := factory{registry: registry}
	vec := f.counters(certificateActions)
	r := &CertificateRecorder{actions: map[certificateAction]prometheus.Counter{}}
	for _, kind := range certs.Kinds() {
		if kind == certs.Nothing {
			continue
		}
		for _, outcome := range secretca.Outcomes() {
			r.actions[certificateAction{kind, outcome}] = vec.WithLabelValues(string(kind), string(outcome))
		}
	}
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics of certificates: %w", errors.Join(f.errs...))
	}
	return r, nil
}

// CertificateAction implements [secretca.Recorder].
func (r *CertificateRecorder) CertificateAction(kind certs.Kind, outcome secretca.Outcome) {
	inc(r.actions, certificateAction{kind, outcome})
}

// Certificates are the gauges of certificates, read when they are asked for. Exactly one of the fields is set.
type Certificates struct {
	// SelfManaged tells of a CA of the router's own.
	SelfManaged func() secretca.Report
	// Mounted tells of a certificate that somebody else keeps, and whether its files cannot be used.
	Mounted func() (leaf *x509.Certificate, failed bool)
}

// Register registers the gauges.
func (c Certificates) Register(registry prometheus.Registerer) error {
	collector := &certificateCollector{
		Certificates: c,
		expiry:       gauge(certificateExpiry),
		failed:       gauge(certificateFailed),
		webhooks:     gauge(bundleWebhooks),
		published:    gauge(bundlePublished),
		phase:        gauge(rotationPhase),
		writer:       gauge(writes),
	}
	if err := registry.Register(collector); err != nil {
		return fmt.Errorf("register the metrics of certificates: %w", err)
	}
	return nil
}

type certificateCollector struct {
	Certificates
	expiry, failed, webhooks, published, phase, writer *prometheus.Desc
}

var _ prometheus.Collector = (*certificateCollector)(nil)

// Describe lists the metrics.
func (c *certificateCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.expiry, c.failed, c.webhooks, c.published, c.phase, c.writer} {
		ch <- d
	}
}

// Collect reads the state.
func (c *certificateCollector) Collect(ch chan<- prometheus.Metric) {
	set := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	// Without a certificate there is no time: 0 would be 1970, which alerts would take for expired.
	expires := func(label string, certificate *x509.Certificate) {
		if certificate != nil {
			set(c.expiry, seconds(certificate.NotAfter), label)
		}
	}
	if c.Mounted != nil {
		leaf, failed := c.Mounted()
		expires(certificateLeaf, leaf)
		set(c.failed, boolean(failed))
		return
	}
	report := c.SelfManaged()
	expires(certificateLeaf, report.Leaf)
	expires(certificateCA, report.Current)
	expires(certificateNextCA, report.Next)
	expires(certificatePrevious, last(report.Previous))
	set(c.failed, boolean(report.Failed))
	set(c.webhooks, float64(report.InOrder), bundleInOrder)
	set(c.webhooks, float64(report.Webhooks-report.InOrder), bundleDifferent)
	if !report.Published.IsZero() {
		set(c.published, seconds(report.Published))
	}
	for _, phase := range certs.Phases() {
		set(c.phase, boolean(phase == report.Phase), string(phase))
	}
	set(c.writer, boolean(report.Writes))
}

// last is the certificate that expires last. There is no series for each: their number is not bounded by a set.
func last(certificates []*x509.Certificate) *x509.Certificate {
	var latest *x509.Certificate
	for _, certificate := range certificates {
		if latest == nil || certificate.NotAfter.After(latest.NotAfter) {
			latest = certificate
		}
	}
	return latest
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
