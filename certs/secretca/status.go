package secretca

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/revision-router/revision-router/certs"
)

// ErrNoSecret means that there is no CA to rotate yet.
var ErrNoSecret = errors.New("the CA Secret does not exist")

// Certificate describes a certificate to people.
type Certificate struct {
	// Fingerprint is the SHA-256 of the certificate, as openssl x509 -fingerprint -sha256 prints it but for the colons.
	Fingerprint string    `json:"fingerprint"`
	Subject     string    `json:"subject"`
	NotBefore   time.Time `json:"notBefore"`
	NotAfter    time.Time `json:"notAfter"`
	// RenewAt is when it is due for replacement.
	RenewAt time.Time `json:"renewAt"`
}

// Status is what Manager.Status finds.
type Status struct {
	Secret      string            `json:"secret"`
	SecretState certs.SecretState `json:"secretState"`
	// Current signs. Next waits to sign, since NextPublished in every configuration. Previous used to sign, and is
	// trusted until PreviousUntil.
	Current           *Certificate  `json:"current,omitempty"`
	Next              *Certificate  `json:"next,omitempty"`
	NextPublished     *time.Time    `json:"nextPublished,omitempty"`
	Previous          []Certificate `json:"previous,omitempty"`
	PreviousUntil     *time.Time    `json:"previousUntil,omitempty"`
	RotationRequested bool          `json:"rotationRequested,omitempty"`
	// RequestedAt is when Rotate asked; nil where somebody else did, who may have written any value.
	RequestedAt *time.Time `json:"requestedAt,omitempty"`
	// RequestWaits: a request is not followed before PreviousUntil, because too many replaced CAs are still trusted.
	RequestWaits bool `json:"requestWaits,omitempty"`
	// Phase is where the rotation stands, since PhaseSince where that is known.
	Phase      certs.Phase `json:"phase"`
	PhaseSince *time.Time  `json:"phaseSince,omitempty"`
	// Leaf is what this replica serves, signed by the CA with the fingerprint Issuer.
	Leaf   *Certificate `json:"leaf,omitempty"`
	Issuer string       `json:"issuer,omitempty"`
	// Webhooks are those of every configuration that exists.
	Webhooks []Webhook `json:"webhooks,omitempty"`
	// Missing are the configurations that do not exist.
	Missing []string `json:"missing,omitempty"`
	// Action is what is due, and Reason why. Where nothing is, Until is when time alone will ask for something.
	Action certs.Kind `json:"action"`
	Reason string     `json:"reason"`
	Until  *time.Time `json:"until,omitempty"`
}

// Webhook tells how one webhook's CA bundle compares.
type Webhook struct {
	Name string `json:"name"`
	// InOrder: it holds what the Secret says, and nothing else.
	InOrder bool `json:"inOrder"`
	// TrustsLeaf: the API server accepts this replica's certificate.
	TrustsLeaf bool `json:"trustsLeaf"`

	published certs.Published
}

// Verifies returns nil if the API server accepts a certificate when it calls this webhook under this name.
func (w Webhook) Verifies(leaf *x509.Certificate, dnsName string, now time.Time) error {
	return w.published.Verifies(leaf, dnsName, now)
}

// Status reads everything and tells what is there and what is due. It changes nothing, and may be called at any time,
// also on a Manager that was not started. It returns what it could read beside an error.
func (m *Manager) Status(ctx context.Context) (Status, error) {
	// A Manager of its own keeps the memory of the one that runs out of it.
	looker := &Manager{options: m.options, targets: m.targets, secret: m.secret, known: map[string]configuration{}}
	if last := m.last.Load(); last != nil {
		looker.leaf = last.state.Leaf
	}
	seen, err := looker.observe(ctx)
	// While a rotation goes on, the replicas write the Secret again and again: who asks looks again, as they do.
	for conflicts := 0; errors.Is(err, errConflict) && conflicts < maxConflicts; conflicts++ {
		seen, err = looker.observe(ctx)
	}
	if err != nil {
		err = fmt.Errorf("look at the serving certificate and its CA: %w", err)
	}
	state, now := seen.state, m.now()
	state.Onlooker = state.Leaf == nil // the one who asks serves nothing
	action, reason := certs.Next(state, now)
	a := state.Authorities
	s := Status{
		Secret:      m.options.Namespace + "/" + m.options.SecretName,
		SecretState: state.Secret,
		Current:     describeAuthority(a.Current), Next: describeAuthority(a.Next),
		NextPublished: timeOrNil(a.NextPublished), PreviousUntil: timeOrNil(a.PreviousUntil),
		RotationRequested: state.Rotate,
		RequestWaits:      a.RequestWaits(),
		Phase:             a.Phase(),
		Action:            action.Kind, Reason: reason, Until: timeOrNil(action.Until),
	}
	s.RequestedAt, s.PhaseSince = requestedAt(seen.secret), phaseSince(a)
	for _, c := range a.Previous.Certificates() {
		s.Previous = append(s.Previous, describe(c))
	}
	if state.Leaf != nil {
		leaf := describe(state.Leaf.Certificate())
		s.Leaf, s.Issuer = &leaf, fingerprint(state.Leaf.Issuer)
	}
	for _, t := range m.targets {
		if c, read := looker.known[t.String()]; read && !c.exists {
			s.Missing = append(s.Missing, t.String())
		}
	}
	for _, p := range state.Published {
		w := Webhook{Name: p.Webhook, InOrder: p.Holds(a.Bundle()), published: p}
		w.TrustsLeaf = state.Leaf != nil && p.Trusts(state.Leaf.Issuer)
		s.Webhooks = append(s.Webhooks, w)
	}
	return s, err
}

// Rotate asks for a new CA, as the annotation RotateAnnotation on the Secret does. It returns once the request is
// written; the rotation takes about Options.Settle, and the old CA stays trusted for certs.Overlap. A request during a
// rotation is met by that rotation.
func (m *Manager) Rotate(ctx context.Context) error { return m.requestRotation(ctx, nil) }

// RotateDryRun lets the API server check everything about Rotate, permissions too, and change nothing.
func (m *Manager) RotateDryRun(ctx context.Context) error {
	return m.requestRotation(ctx, []string{metav1.DryRunAll})
}

func (m *Manager) requestRotation(ctx context.Context, dryRun []string) error {
	err := retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		secret, err := m.secret.get(ctx)
		if err != nil {
			return err
		}
		if secret == nil {
			return ErrNoSecret
		}
		if secret.Annotations == nil {
			secret.Annotations = map[string]string{}
		}
		secret.Annotations[RotateAnnotation] = m.now().UTC().Format(time.RFC3339)
		_, err = m.secret.client.Update(ctx, secret, metav1.UpdateOptions{FieldManager: fieldManager, DryRun: dryRun})
		return err
	})
	switch {
	case errors.Is(err, ErrNoSecret) || apierrors.IsNotFound(err):
		return fmt.Errorf("rotate the CA in Secret %s/%s: %w; it is created by the first replica that runs",
			m.options.Namespace, m.options.SecretName, ErrNoSecret)
	case err != nil:
		return fmt.Errorf("rotate the CA in Secret %s/%s: %w", m.options.Namespace, m.options.SecretName, err)
	}
	return nil
}

// requestedAt is the time that requestRotation wrote.
func requestedAt(secret *corev1.Secret) *time.Time {
	if secret == nil {
		return nil
	}
	at, err := time.Parse(time.RFC3339, secret.Annotations[RotateAnnotation])
	if err != nil {
		return nil
	}
	return &at
}

// phaseSince is when the phase of a rotation began, as far as the Secret tells.
func phaseSince(a certs.Authorities) *time.Time {
	switch phase := a.Phase(); {
	case phase == certs.Settling:
		return &a.NextPublished
	case phase.Rotating():
		return timeOrNil(a.Next.MadeAt())
	}
	return nil
}

// Describe describes a certificate to people.
func Describe(c *x509.Certificate) Certificate { return describe(c) }

func describe(c *x509.Certificate) Certificate {
	return Certificate{
		Fingerprint: fingerprint(c), Subject: c.Subject.String(),
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, RenewAt: certs.Renewal(c.NotBefore, c.NotAfter),
	}
}

func describeAuthority(a *certs.Authority) *Certificate {
	if a == nil {
		return nil
	}
	d := describe(a.Certificate)
	return &d
}

func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:])
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
