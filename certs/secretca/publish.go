package secretca

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/certs"
)

// errConflict: somebody else was faster, and everything has to be looked at again.
var errConflict = errors.New("somebody else was faster")

// operation is one of RFC 6902.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// bundlePatch sets caBundle, and nothing else, of the webhooks that do not hold the bundle.
//
// It is a JSON patch and not server-side apply, which would be the obvious choice for owning a single field. The list of
// webhooks is a map by name, so an applied configuration must name each entry, and so owns it together with whoever
// made it. When that owner applies again without the entry (Helm 4, Flux, Argo CD: a chart value that switches one
// webhook off), the API server keeps what is still owned: an entry of nothing but a name and a CA bundle. That is
// invalid, and the owner's whole update fails with 422 "webhooks[1].sideEffects: Required value" for as long as we
// live. A patch owns the field inside the entry, but not the entry, which then goes away with its owner. It can also
// not create the configuration, as an apply to a name that was deleted a moment ago would.
//
// A JSON patch addresses entries by position, which holds for one version of the object only. The resourceVersion
// makes it a compare-and-swap. It is replaced and not tested: a test that fails is 422, the same as a patch that
// is wrong, while another resourceVersion is 409, which can mean only one thing.
func bundlePatch(c configuration, bundle certs.Bundle) ([]byte, error) {
	operations := []operation{{"replace", "/metadata/resourceVersion", c.resourceVersion}}
	pem := bundle.PEM()
	for i, w := range c.webhooks {
		if !certs.ReadPublished(w.name, w.caBundle).Holds(bundle) {
			// add replaces what is there, and does not mind if nothing is.
			operations = append(operations, operation{"add", fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", i), pem})
		}
	}
	if len(operations) == 1 {
		return nil, nil
	}
	patch, err := json.Marshal(operations)
	if err != nil {
		return nil, fmt.Errorf("encode patch: %w", err)
	}
	return patch, nil
}

// publish writes the bundle to every configuration that exists and lacks it somewhere. One that cannot be written does
// not keep the others from it.
func (m *Manager) publish(ctx context.Context, bundle certs.Bundle) error {
	var errs []error
	for _, t := range m.targets {
		c := m.known[t.String()]
		patch, err := bundlePatch(c, bundle)
		if err != nil {
			return err
		}
		if !c.exists || patch == nil {
			continue
		}
		if err := m.patch(ctx, t, patch); err != nil {
			errs = append(errs, fmt.Errorf("publish the CA bundle in %s: %w", t, err))
			continue
		}
		now := m.now()
		m.published.Store(&now)
		m.options.Log.Info("published the CA bundle", "configuration", t.String(), "certificates", bundle.Len(), "lastWriter", c.writer)
	}
	return errors.Join(errs...)
}

func (m *Manager) patch(ctx context.Context, t target, patch []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return conflictOr(t.api.patch(ctx, t.name, patch))
}

// conflictOr marks errors that mean no more than that this replica was late. AlreadyExists: another created the Secret.
// NotFound: what was to be changed is gone.
func conflictOr(err error) error {
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: %w", errConflict, err)
	}
	return err
}
