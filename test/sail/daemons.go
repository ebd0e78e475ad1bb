package sail

import (
	"context"
	"errors"
)

func (o *Operator) reconcileCNI(ctx context.Context, cni *object) error {
	version, err := o.resolve(text(cni, "spec", "version"))
	return o.reconcileDaemon(ctx, daemon{
		kind: cnis, item: cni, chart: o.cniChart(cni, bare(version)), name: cniName, problem: err,
	})
}

// reconcileZTunnel takes the address of istiod from the revision that targetRef means, and nothing else.
func (o *Operator) reconcileZTunnel(ctx context.Context, ztunnel *object) error {
	kind, name := text(ztunnel, "spec", "targetRef", "kind"), text(ztunnel, "spec", "targetRef", "name")
	if kind == "Istio" {
		istio, err := o.get(ctx, istios, "", name)
		if err != nil {
			return err
		}
		name = ""
		if istio != nil {
			name = text(istio, "status", "activeRevisionName")
		}
	}
	version, err := o.resolve(text(ztunnel, "spec", "version"))
	d := daemon{kind: ztunnels, item: ztunnel, name: zTunnelName, problem: err}
	var revision *object
	if kind != "" {
		if revision, err = o.get(ctx, revisions, "", name); err != nil {
			return err
		}
		if revision == nil {
			d.problem = errors.New("the revision of targetRef does not exist")
		} else {
			d.revision = revision.GetName()
		}
	}
	d.chart = o.zTunnelChart(ztunnel, revision, bare(version))
	return o.reconcileDaemon(ctx, d)
}

// daemon is what IstioCNI and ZTunnel have in common: a chart with one DaemonSet.
type daemon struct {
	kind  resource
	item  *object
	chart []rendered
	// name of the DaemonSet.
	name string
	// revision is reported by ZTunnel, and cleared on an error.
	revision string
	problem  error
}

func (o *Operator) reconcileDaemon(ctx context.Context, d daemon) error {
	if gone, err := o.adopt(ctx, d.kind, d.item, d.chart); gone || err != nil {
		return err
	}
	err := d.problem
	if err == nil {
		err = o.install(ctx, d.item, d.chart)
	}
	conditions := conditionsOf(d.item)
	if err != nil {
		first, second := failed(err)
		conditions, d.revision = merge(conditions, first, second), ""
	} else {
		set, getErr := o.get(ctx, daemonSets, namespaceOf(d.item), d.name)
		if getErr != nil {
			return getErr
		}
		conditions = merge(conditions, good(reconciled), daemonReady(set, d.name))
	}
	return errors.Join(err, o.report(ctx, d.item, conditions, map[string]any{
		"state": stateOf(conditions, reconciled, ready), "istioRevision": d.revision,
	}))
}

// daemonReady judges as the operator does: by numbers alone, whatever generation they are of.
func daemonReady(set *object, name string) condition {
	c := condition{Type: ready, Status: isFalse, Reason: daemonSetNotReady}
	switch {
	case set == nil:
		c.Message = name + " DaemonSet not found"
	case number(set, 0, "status", "currentNumberScheduled") == 0:
		c.Message = "no " + name + " pods are currently scheduled"
	case number(set, 0, "status", "numberReady") < number(set, 0, "status", "currentNumberScheduled"):
		c.Message = "not all " + name + " pods are ready"
	default:
		return good(ready)
	}
	return c
}
