package sail

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
)

// reconcileRevision installs istiod and reports about it.
func (o *Operator) reconcileRevision(ctx context.Context, revision *object) error {
	chart := o.istiodChart(revision)
	if gone, err := o.adopt(ctx, revisions, revision, chart); gone || err != nil {
		return err
	}
	conditions := conditionsOf(revision)
	if taken, err := o.taken(ctx, tags, revision); err != nil || taken {
		conditions = merge(conditions, condition{
			Type: reconciled, Status: isFalse, Reason: nameAlreadyExists, Message: "an IstioRevisionTag exists with this name",
		})
		return errors.Join(err, o.report(ctx, revision, conditions, map[string]any{"state": nameAlreadyExists}))
	}
	err := o.install(ctx, revision, chart)
	if err == nil && o.chance().PodsFirst && conditionOf(revision, ready).Status != isFalse {
		err = o.awaitIstiod(ctx, revision)
	}
	if err != nil {
		first, second := failed(err)
		conditions = merge(conditions, first, second)
	} else {
		istiod, getErr := o.get(ctx, deployments, namespaceOf(revision), istiodName(revision))
		if getErr != nil {
			return getErr
		}
		conditions = merge(conditions, good(reconciled), istiodReady(istiod))
	}
	healthy, depErr := o.dependencies(ctx, revision)
	used, useErr := o.revisionUsed(ctx, revision)
	if depErr != nil || useErr != nil {
		return errors.Join(err, depErr, useErr)
	}
	conditions = merge(conditions, healthy, used)
	return errors.Join(err, o.report(ctx, revision, conditions, map[string]any{
		"state": stateOf(conditions, reconciled, ready, dependencies),
	}))
}

// istiodReady judges as the operator does: by numbers alone, whatever generation they are of.
func istiodReady(istiod *object) condition {
	c := condition{Type: ready, Status: isFalse, Reason: istiodNotReady}
	switch {
	case istiod == nil:
		c.Message = "istiod Deployment not found"
	case number(istiod, 0, "status", "replicas") == 0:
		c.Message = "istiod Deployment is scaled to zero replicas"
	case number(istiod, 0, "status", "readyReplicas") < number(istiod, 0, "status", "replicas"):
		c.Message = "not all istiod pods are ready"
	default:
		return good(ready)
	}
	return c
}

// rolledOut reports whether a Deployment has nothing but ready pods of its latest template.
func rolledOut(d *object) bool {
	replicas := number(d, 1, "spec", "replicas")
	return number(d, 0, "status", "observedGeneration") == d.GetGeneration() &&
		number(d, 0, "status", "updatedReplicas") == replicas &&
		number(d, 0, "status", "replicas") == replicas && number(d, 0, "status", "readyReplicas") == replicas
}

// awaitIstiod waits until a new or changed istiod has rolled out. One that does not is no error here: it is reported.
func (o *Operator) awaitIstiod(ctx context.Context, revision *object) error {
	ctx, cancel := context.WithTimeout(ctx, podsLimit)
	defer cancel()
	name := istiodName(revision)
	watcher, err := o.client.Resource(deployments).Namespace(namespaceOf(revision)).Watch(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("metadata.name", name).String(),
	})
	if err != nil {
		return fmt.Errorf("watch %s: %w", name, err)
	}
	defer watcher.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.ResultChan():
			if !ok {
				return nil
			}
			if d, isObject := event.Object.(*object); isObject && event.Type != watch.Deleted && rolledOut(d) {
				return nil
			}
		}
	}
}

// dependencies are healthy where nothing is needed. Versions are not compared.
func (o *Operator) dependencies(ctx context.Context, revision *object) (condition, error) {
	for _, need := range []struct {
		needed           bool
		kind             resource
		missing, unhappy string
		name             string
	}{
		{boolean(revision, "spec", "values", "pilot", "cni", "enabled"), cnis, cniNotFound, cniNotHealthy, "IstioCNI"},
		{ambient(revision), ztunnels, zTunnelNotFound, zTunnelNotHealthy, "ZTunnel"},
	} {
		if !need.needed {
			continue
		}
		found, err := o.get(ctx, need.kind, "", "default")
		c := condition{Type: dependencies, Status: isFalse}
		switch {
		case err != nil:
			return c, err
		case found == nil:
			c.Reason, c.Message = need.missing, need.name+" resource does not exist"
			return c, nil
		case text(found, "status", "state") != healthy:
			c.Reason = need.unhappy
			c.Message = need.name + " resource status indicates that the component is not healthy"
			return c, nil
		}
	}
	return good(dependencies), nil
}

func ambient(revision *object) bool {
	return isAmbient(text(revision, "spec", "values", "profile")) ||
		text(revision, "spec", "values", "pilot", "env", "PILOT_ENABLE_AMBIENT") == "true"
}

func namespaceOf(o *object) string { return text(o, "spec", "namespace") }
