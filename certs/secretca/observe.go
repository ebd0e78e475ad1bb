package secretca

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/certs"
)

// observation is what one look found: the state to decide on, and the Secret that a swap must find unchanged.
type observation struct {
	state  certs.State
	secret *corev1.Secret
	// problem is why the Secret cannot be used. It never tells what is in it.
	problem error
}

// observe reads the Secret, the configurations, and the Secret again, which must be the same (see package certs). An
// error comes with an observation of what could be read, except for a conflict.
func (m *Manager) observe(ctx context.Context) (observation, error) {
	seen := observation{state: certs.State{Policy: m.options.policy(), Leaf: m.leaf}}
	secretErr := m.readSecret(ctx, &seen)
	configurationErr := m.readConfigurations(ctx, &seen.state)
	if secretErr == nil {
		again, err := m.getSecret(ctx)
		if err != nil {
			secretErr = m.stale(&seen, err)
		} else if version(again) != version(seen.secret) {
			return seen, fmt.Errorf("%w: the CA Secret changed during a look", errConflict)
		}
	}
	return seen, errors.Join(secretErr, configurationErr)
}

func (m *Manager) getSecret(ctx context.Context) (*corev1.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return m.secret.get(ctx)
}

func (m *Manager) readSecret(ctx context.Context, seen *observation) error {
	secret, err := m.getSecret(ctx)
	if err != nil {
		return m.stale(seen, err)
	}
	seen.secret = secret
	if secret == nil {
		seen.state.Secret = certs.SecretMissing
		return nil
	}
	_, seen.state.Rotate = secret.Annotations[RotateAnnotation]
	seen.state.Authorities, seen.problem = decode(secret.Data)
	seen.state.Secret = certs.SecretPresent
	if seen.problem != nil {
		seen.state.Secret = certs.SecretCorrupt
	}
	return nil
}

// stale falls back on what an earlier look found in the Secret.
func (m *Manager) stale(seen *observation, err error) error {
	seen.state.Secret, seen.state.Authorities = certs.SecretUnread, certs.Authorities{}
	if last := m.last.Load(); last != nil && (last.state.Secret == certs.SecretPresent || last.state.Secret == certs.SecretStale) {
		seen.state.Secret, seen.state.Authorities = certs.SecretStale, last.state.Authorities
	}
	return err
}

// readConfigurations keeps what it knew of those that cannot be read.
func (m *Manager) readConfigurations(ctx context.Context, state *certs.State) error {
	var errs []error
	for _, t := range m.targets {
		c, err := m.readConfiguration(ctx, t)
		if err == nil {
			m.known[t.String()] = c
		} else {
			errs = append(errs, err)
		}
		c, ok := m.known[t.String()]
		if !ok {
			state.Unread = append(state.Unread, t.String())
			continue
		}
		for _, w := range c.webhooks {
			state.Published = append(state.Published, certs.ReadPublished(w.name+" of "+t.String(), w.caBundle))
		}
	}
	state.Complete = len(errs) == 0
	return errors.Join(errs...)
}

// readConfiguration takes a configuration that does not exist for an answer: it gets its bundle when it appears.
func (m *Manager) readConfiguration(ctx context.Context, t target) (configuration, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := t.api.get(ctx, t.name)
	if apierrors.IsNotFound(err) {
		return configuration{}, nil
	}
	return c, err
}

// version tells two contents of the Secret apart, also across a deletion.
func version(secret *corev1.Secret) string {
	if secret == nil {
		return ""
	}
	return string(secret.UID) + "/" + secret.ResourceVersion
}
