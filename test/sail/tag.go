package sail

import (
	"context"
	"errors"
	"fmt"
)

// reconcileTag moves the tag's webhook to where its target leads now, whether an istiod is ready there or not.
func (o *Operator) reconcileTag(ctx context.Context, tag *object) error {
	last := target{revision: text(tag, "status", "istioRevision"), namespace: text(tag, "status", "istiodNamespace")}
	if tag.GetDeletionTimestamp() != nil {
		_, err := o.adopt(ctx, tags, tag, o.tagChart(tag, last.stub()))
		return err
	}
	if _, err := o.adopt(ctx, tags, tag, nil); err != nil {
		return err
	}
	reason, found, err := o.aim(ctx, tag)
	if err == nil {
		if err = o.pointTag(ctx, tag, last, found); err == nil {
			last = target{revision: found.GetName(), namespace: namespaceOf(found)}
		}
		reason = reconcileError
	}
	conditions := conditionsOf(tag)
	if err != nil {
		conditions = merge(conditions, condition{Type: reconciled, Status: isFalse, Reason: reason, Message: err.Error()})
	} else {
		conditions = merge(conditions, good(reconciled))
	}
	used, useErr := o.tagUsed(ctx, tag, reason == refNotFound)
	if useErr != nil {
		return useErr
	}
	conditions = merge(conditions, used)
	if reason != reconcileError {
		err = nil // Nothing to be tried again: a change of what is missing wakes the operator.
	}
	return errors.Join(err, o.report(ctx, tag, conditions, map[string]any{
		"istioRevision": last.revision, "istiodNamespace": last.namespace, "state": stateOf(conditions, reconciled, inUse),
	}))
}

// target is where a tag leads.
type target struct{ revision, namespace string }

// stub is enough of a revision to name the objects of a tag's chart. Those that it does not name are not there, or are
// found by the same names.
func (t target) stub() *object {
	revision := &object{Object: map[string]any{"spec": map[string]any{"namespace": t.namespace}}}
	revision.SetName(t.revision)
	return revision
}

// aim finds the revision that the tag's target means, or says why there is none.
func (o *Operator) aim(ctx context.Context, tag *object) (reason string, revision *object, err error) {
	taken, err := o.taken(ctx, revisions, tag)
	if err != nil {
		return reconcileError, nil, err
	}
	if taken {
		return nameAlreadyExists, nil, errors.New("an IstioRevision exists with this name")
	}
	kind, name := text(tag, "spec", "targetRef", "kind"), text(tag, "spec", "targetRef", "name")
	if kind == "Istio" {
		istio, err := o.get(ctx, istios, "", name)
		if err != nil {
			return reconcileError, nil, err
		}
		if istio == nil {
			return refNotFound, nil, errors.New("referenced Istio resource does not exist")
		}
		if name = text(istio, "status", "activeRevisionName"); name == "" {
			return refNotFound, nil, errors.New("referenced Istio has no active revision")
		}
	}
	revision, err = o.get(ctx, revisions, "", name)
	if err != nil {
		return reconcileError, nil, err
	}
	if revision == nil {
		return refNotFound, nil, errors.New("referenced IstioRevision resource does not exist")
	}
	if text(revision, "spec", "values", "profile") == "remote" {
		return reconcileError, nil, errors.New("IstioRevisionTag cannot reference a remote IstioRevision")
	}
	return "", revision, nil
}

// taken reports whether the name of a tag or a revision belongs to one of the other kind: the older has it.
func (o *Operator) taken(ctx context.Context, by resource, item *object) (bool, error) {
	rival, err := o.get(ctx, by, "", item.GetName())
	if err != nil || rival == nil {
		return false, err
	}
	mine, theirs := item.GetCreationTimestamp(), rival.GetCreationTimestamp()
	if mine.Equal(&theirs) {
		return rival.GetUID() < item.GetUID(), nil
	}
	return theirs.Before(&mine), nil
}

// pointTag installs the tag's chart. A target in another namespace means another release: the old one goes first, and
// for a moment the tag has no webhook.
func (o *Operator) pointTag(ctx context.Context, tag *object, last target, revision *object) error {
	if last.namespace != "" && last.namespace != namespaceOf(revision) {
		if err := o.uninstall(ctx, tag, o.tagChart(tag, last.stub())); err != nil {
			return fmt.Errorf("uninstall the tag from %s: %w", last.namespace, err)
		}
	}
	return o.install(ctx, tag, o.tagChart(tag, revision))
}
