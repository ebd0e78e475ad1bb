package sail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/revision-router/revision-router/routing"
)

const (
	revisionBased = "RevisionBased"
	// defaultGrace is the API's default of inactiveRevisionDeletionGracePeriodSeconds.
	defaultGrace = 30
)

// activeName is the name of the revision that an Istio means. The operator builds it from the version as it was
// written, an alias too (getActiveRevisionName), so that a moved alias updates the revision in place.
func activeName(istio *object) string {
	if text(istio, "spec", "updateStrategy", "type") != revisionBased {
		return istio.GetName()
	}
	return istio.GetName() + "-" + strings.ReplaceAll(text(istio, "spec", "version"), ".", "-")
}

// reconcileIstio makes or changes the active revision, and says at once that it is active: there is no condition on
// its readiness.
func (o *Operator) reconcileIstio(ctx context.Context, istio *object) error {
	if istio.GetDeletionTimestamp() != nil {
		return nil // Its revisions are the garbage collector's.
	}
	name := activeName(istio)
	before, err := o.ownedBy(ctx, istio)
	if err != nil {
		return err
	}
	made, err := o.makeRevision(ctx, istio, name)
	if err == nil && made != nil {
		err = o.race(ctx, istio, made, before)
	}
	if err != nil {
		return errors.Join(err, o.reportFailure(ctx, istio, err))
	}
	active, err := o.get(ctx, revisions, "", name)
	if err != nil {
		return err
	}
	owned, err := o.ownedBy(ctx, istio)
	if err != nil {
		return err
	}
	return o.reportIstio(ctx, istio, active, owned)
}

// race goes through the states in between that a lagging cache makes.
func (o *Operator) race(ctx context.Context, istio, made *object, before []*object) error {
	chance := o.chance()
	if !chance.RevisionUnseen {
		return nil
	}
	previous := text(istio, "status", "activeRevisionName")
	if err := o.reportIstio(ctx, istio, nil, before); err != nil {
		return err
	}
	outdated := made.DeepCopy()
	if _, err := o.adopt(ctx, revisions, made, nil); err != nil || !chance.Conflict {
		return err
	}
	_, err := o.client.Resource(revisions).Update(ctx, outdated, metav1.UpdateOptions{})
	if !apierrors.IsConflict(err) {
		return fmt.Errorf("updating %s from an outdated copy: %w, want a conflict", outdated.GetName(), err)
	}
	// The outdated copy of the Istio, too, is from before.
	unstructured.RemoveNestedField(istio.Object, "status", "activeRevisionName")
	if previous != "" {
		_ = unstructured.SetNestedField(istio.Object, previous, "status", "activeRevisionName")
	}
	return o.reportFailure(ctx, istio, fmt.Errorf("failed to update IstioRevision %q: %w", outdated.GetName(), err))
}

// makeRevision creates or updates the IstioRevision. It returns the one that it created, and nil where there was one.
func (o *Operator) makeRevision(ctx context.Context, istio *object, name string) (*object, error) {
	version, err := o.resolve(text(istio, "spec", "version"))
	if err != nil {
		return nil, err
	}
	spec := map[string]any{"version": version, "namespace": namespaceOf(istio), "values": values(istio, name)}
	found, err := o.get(ctx, revisions, "", name)
	if err != nil {
		return nil, err
	}
	if found == nil {
		revision := &object{Object: map[string]any{"spec": spec}}
		revision.SetAPIVersion(group + "/v1")
		revision.SetKind("IstioRevision")
		revision.SetName(name)
		revision.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(istio, istio.GroupVersionKind())})
		made, err := o.client.Resource(revisions).Create(ctx, revision, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("failed to create IstioRevision %q: %w", name, err)
		}
		return made, nil
	}
	if same(found.Object["spec"], spec) || found.GetDeletionTimestamp() != nil {
		return nil, nil
	}
	found.Object["spec"] = spec
	if _, err := o.client.Resource(revisions).Update(ctx, found, metav1.UpdateOptions{}); err != nil {
		return nil, fmt.Errorf("failed to update IstioRevision %q: %w", name, err)
	}
	return nil, nil
}

// values are those of the Istio, with what the operator adds (ComputeValues).
func values(istio *object, name string) map[string]any {
	given, _, _ := unstructured.NestedMap(istio.Object, "spec", "values")
	content := runtime.DeepCopyJSON(given)
	if content == nil {
		content = map[string]any{}
	}
	global, _ := content["global"].(map[string]any)
	if global == nil {
		global = map[string]any{}
	}
	global["istioNamespace"] = text(istio, "spec", "namespace")
	if _, ok := global["configValidation"]; !ok {
		global["configValidation"] = true
	}
	content["global"] = global
	if profile := text(istio, "spec", "profile"); profile != "" {
		content["profile"] = profile
	}
	content["revision"] = name
	if name == routing.DefaultRevision {
		content["revision"] = "" // The API allows nothing else under this name.
	}
	return content
}

// same compares as JSON, where an int and an int64 are one.
func same(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	var left, right any
	if errX != nil || errY != nil || json.Unmarshal(x, &left) != nil || json.Unmarshal(y, &right) != nil {
		return false
	}
	return reflect.DeepEqual(left, right)
}

// ownedBy returns the revisions of an Istio.
func (o *Operator) ownedBy(ctx context.Context, istio *object) ([]*object, error) {
	all, err := o.list(ctx, revisions)
	var owned []*object
	for _, r := range all {
		if metav1.IsControlledBy(r, istio) {
			owned = append(owned, r)
		}
	}
	return owned, err
}

// reportIstio copies the conditions of the active revision, which is nil where the operator does not see it.
func (o *Operator) reportIstio(ctx context.Context, istio, active *object, owned []*object) error {
	conditions := conditionsOf(istio)
	var state string
	if active == nil {
		const message = "active IstioRevision not found"
		conditions = merge(conditions,
			condition{Type: reconciled, Status: isFalse, Reason: activeRevisionNotFound, Message: message},
			condition{Type: ready, Status: isFalse, Reason: activeRevisionNotFound, Message: message})
		state = activeRevisionNotFound
	} else {
		for _, kind := range []string{reconciled, ready, dependencies} {
			conditions = merge(conditions, conditionOf(active, kind))
		}
		state = text(active, "status", "state")
	}
	return o.report(ctx, istio, conditions, map[string]any{
		"activeRevisionName": activeName(istio), "state": state, "revisions": countsOf(owned),
	})
}

// reportFailure keeps the active revision that was reported before.
func (o *Operator) reportFailure(ctx context.Context, istio *object, cause error) error {
	owned, err := o.ownedBy(ctx, istio)
	if err != nil {
		return err
	}
	first, second := failed(cause)
	return o.report(ctx, istio, merge(conditionsOf(istio), first, second), map[string]any{
		"activeRevisionName": text(istio, "status", "activeRevisionName"), "state": reconcileError, "revisions": countsOf(owned),
	})
}

func countsOf(owned []*object) map[string]any {
	var isReady, used int64
	for _, r := range owned {
		if conditionOf(r, ready).Status == isTrue {
			isReady++
		}
		if conditionOf(r, inUse).Status == isTrue {
			used++
		}
	}
	return map[string]any{"total": int64(len(owned)), "ready": isReady, "inUse": used}
}

// prune deletes the revisions that have been inactive and unused for the grace period, and tells when to look again.
func (o *Operator) prune(ctx context.Context) (again time.Duration, err error) {
	err = o.each(ctx, istios, func(ctx context.Context, istio *object) error {
		if text(istio, "spec", "values", "pilot", "env", "EXTERNAL_ISTIOD") == "true" {
			return nil // Its users are in other clusters, where the operator does not see them.
		}
		owned, err := o.ownedBy(ctx, istio)
		if err != nil {
			return err
		}
		grace := time.Duration(number(istio, defaultGrace, "spec", "updateStrategy", "inactiveRevisionDeletionGracePeriodSeconds")) * time.Second
		for _, r := range owned {
			used := conditionOf(r, inUse)
			if r.GetName() == activeName(istio) || r.GetDeletionTimestamp() != nil || used.Status != isFalse {
				continue
			}
			since, err := time.Parse(time.RFC3339, used.Since)
			if err != nil {
				return err
			}
			if left := time.Until(since.Add(grace)); left > 0 {
				if again == 0 || left < again {
					again = left
				}
				continue
			}
			if err := o.client.Resource(revisions).Delete(ctx, r.GetName(), metav1.DeleteOptions{}); err != nil {
				return fmt.Errorf("prune IstioRevision %s: %w", r.GetName(), err)
			}
		}
		return nil
	})
	return again, err
}
