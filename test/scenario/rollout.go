package scenario

import (
	"context"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/forward"
)

// ForwardEnv is where a scenario of forward mode runs: the router injects, and no webhook of Istio's.
type ForwardEnv struct {
	Env
	// Mesh holds the revisions of [ForwardRevisions], and is connected to the API server.
	Mesh *forward.Mesh
	// Router runs a command of the router's against the cluster, and returns what it prints.
	Router func(ctx context.Context, args ...string) (string, error)
}

// ForwardRevisions are the revisions that [GradualRollout] installs.
func ForwardRevisions() []forward.Revision {
	return []forward.Revision{{Name: oldRevision, Version: oldVersion}, {Name: newRevision, Version: newVersion}}
}

// rollout is a walk through a gradual rollout.
type rollout struct {
	*run
	env        ForwardEnv
	mesh       *forward.Mesh
	fleet      []*deployment
	generation int
	last       map[string]string // the revision of each workload
	table      []shares
	asked      int
}

// GradualRollout moves Bookinfo and 200 other workloads from one revision to the next, 10, 50 and 100 % of them, and back
// again; then control planes go away.
func GradualRollout(ctx context.Context, env ForwardEnv) error {
	r, err := connect(env.Env)
	if err != nil {
		return err
	}
	w := &rollout{run: r, env: env, mesh: env.Mesh, fleet: fleet(), last: map[string]string{}}
	for _, part := range []func(context.Context) error{
		w.install, w.deploy, w.notReadyYet, w.rollOut, w.rollBack, w.moveTag, w.controlPlanesGoAway,
	} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	w.title("All steps")
	if err := w.print(w.table); err != nil {
		return err
	}
	return w.summary()
}

func (w *rollout) install(ctx context.Context) error {
	w.title("Install Istio %s with the RevisionBased strategy and global.operatorManageWebhooks, and the tag default", oldVersion)
	w.command("kubectl apply -f istio.yaml -f istiorevisiontag.yaml")
	if err := w.mesh.Install(ctx); err != nil {
		return err
	}
	if err := w.mesh.InstallRevision(ctx, oldRevision); err != nil {
		return err
	}
	if err := w.mesh.SetReady(ctx, oldRevision, true); err != nil {
		return err
	}
	if err := w.mesh.PointTag(ctx, routing.DefaultRevision, oldRevision); err != nil {
		return err
	}
	w.command("kubectl get mutatingwebhookconfigurations")
	const path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
	if err := w.tables.get(ctx, path); err != nil {
		return err
	}
	list, err := w.kube.AdmissionregistrationV1().MutatingWebhookConfigurations().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	w.check(len(list.Items) == 1, "Istio has no webhooks for pods: the router calls the injectors")
	return nil
}

func (w *rollout) deploy(ctx context.Context) error {
	w.title("Deploy Bookinfo, and %d workloads in four more namespaces", len(w.fleet)-len(bookinfo()))
	for name, labels := range fleetNamespaces() {
		if err := w.namespace(ctx, name, labels); err != nil {
			return err
		}
	}
	if errs := forAll(w.fleet, func(d *deployment) error { return d.create(ctx, w.kube) }); len(errs) > 0 {
		return errs[0]
	}
	if err := w.settle(ctx, w.fleet[0], oldRevision, ""); err != nil {
		return err
	}
	return w.restart(ctx, "deployed", func(int) string { return oldRevision })
}

// notReadyYet asks for a rollout to a revision that takes no pods yet.
func (w *rollout) notReadyYet(ctx context.Context) error {
	w.title("Install %s beside it, and send 10 %% of the workloads there before its istiod is ready", newVersion)
	w.command("kubectl apply -f istiorevision.yaml")
	if err := w.mesh.InstallRevision(ctx, newRevision); err != nil {
		return err
	}
	if err := w.annotate(ctx, 10); err != nil {
		return err
	}
	if err := w.settle(ctx, w.within(0, 10), oldRevision, routing.FollowedLastGood); err != nil {
		return err
	}
	return w.restart(ctx, "its istiod is not ready", func(int) string { return oldRevision })
}

func (w *rollout) rollOut(ctx context.Context) error {
	w.title("Its istiod is ready: 10, 50 and 100 %% of the workloads")
	if err := w.mesh.SetReady(ctx, newRevision, true); err != nil {
		return err
	}
	w.mistyped(ctx)
	before := 0
	for _, percent := range []int{10, 50, 100} {
		if err := w.annotate(ctx, percent); err != nil {
			return err
		}
		if err := w.settle(ctx, w.within(before, percent), newRevision, routing.FollowedRollout); err != nil {
			return err
		}
		before = percent
		if percent == 50 {
			if err := w.status(ctx); err != nil {
				return err
			}
		}
		if err := w.restart(ctx, "rollout", below(percent)); err != nil {
			return err
		}
		now := w.table[len(w.table)-1]
		w.check(now.back == 0, "raising the share moved no workload back")
	}
	return nil
}

// mistyped asks for what makes no sense.
func (w *rollout) mistyped(ctx context.Context) {
	for _, wrong := range []struct {
		what  string
		share routing.Rollout
	}{
		{"a share of 150 %", routing.Rollout{Revision: newRevision, Percent: 150}},
		{"a revision that is mistyped", routing.Rollout{Revision: newRevision + "0", Percent: 10}},
	} {
		w.command("kubectl annotate istiorevisiontag default --overwrite %s=%s", routing.AnnotationRollout, wrong.share)
		err := w.mesh.Rollout(ctx, routing.DefaultRevision, wrong.share)
		if err != nil {
			w.denied(errors.Unwrap(err))
		}
		w.check(err != nil && strings.Contains(err.Error(), "TagRollout"), "%s is refused where it is written", wrong.what)
	}
}

func (w *rollout) rollBack(ctx context.Context) error {
	w.title("Roll back")
	if err := w.annotate(ctx, 0); err != nil {
		return err
	}
	if err := w.settle(ctx, w.fleet[0], oldRevision, ""); err != nil {
		return err
	}
	if err := w.restart(ctx, "rollback", below(0)); err != nil {
		return err
	}
	if err := w.annotate(ctx, 100); err != nil {
		return err
	}
	if err := w.settle(ctx, w.fleet[0], newRevision, routing.FollowedRollout); err != nil {
		return err
	}
	return w.restart(ctx, "rollout again", below(100))
}

// moveTag ends the rollout as the tag's target catches up.
func (w *rollout) moveTag(ctx context.Context) error {
	w.title("The tag itself moves to %s, and the annotation goes", newVersion)
	w.command(`kubectl patch istiorevisiontag default --type=merge -p '{"spec":{"targetRef":{"name":"%s"}}}'`, newRevision)
	if err := w.mesh.PointTag(ctx, routing.DefaultRevision, newRevision); err != nil {
		return err
	}
	w.command("kubectl annotate istiorevisiontag default %s-", routing.AnnotationRollout)
	if err := w.mesh.Rollout(ctx, routing.DefaultRevision, routing.Rollout{}); err != nil {
		return err
	}
	if err := w.settle(ctx, w.fleet[0], newRevision, ""); err != nil {
		return err
	}
	if err := w.restart(ctx, "the tag has moved", below(100)); err != nil {
		return err
	}
	now := w.table[len(w.table)-1]
	w.check(now.moved == 0 && now.back == 0, "that moved no workload")
	return nil
}

// controlPlanesGoAway takes the endpoints of one istiod away, then of both.
func (w *rollout) controlPlanesGoAway(ctx context.Context) error {
	w.title("The istiod of %s goes away: the tag holds on to the last good revision", newVersion)
	w.command("kubectl scale deployment -n istio-system istiod-%s --replicas=0", newRevision)
	if err := w.mesh.SetReady(ctx, newRevision, false); err != nil {
		return err
	}
	if err := w.settle(ctx, w.fleet[0], oldRevision, routing.FollowedLastGood); err != nil {
		return err
	}
	if err := w.restart(ctx, "its istiod has gone", below(0)); err != nil {
		return err
	}

	w.title("That of %s goes away as well: pods are refused, and none starts without its sidecar", oldVersion)
	w.command("kubectl scale deployment -n istio-system istiod-%s --replicas=0", oldRevision)
	if err := w.mesh.SetReady(ctx, oldRevision, false); err != nil {
		return err
	}
	pods := w.kube.CoreV1().Pods("bookinfo")
	err := w.eventually(ctx, func() error {
		_, err := pods.Create(ctx, w.fleet[0].probe(), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	})
	w.command("kubectl describe replicaset -n bookinfo | grep FailedCreate")
	if err != nil {
		w.denied(err)
	}
	w.check(apierrors.IsForbidden(err), "the pod is refused")
	for _, word := range []string{string(routing.NotRoutable), "namespace bookinfo", "the tag default", newRevision, "kubectl get endpointslices"} {
		w.check(err != nil && strings.Contains(err.Error(), word), "the message names %s", word)
	}

	w.title("Both come back")
	for _, name := range []string{oldRevision, newRevision} {
		if err := w.mesh.SetReady(ctx, name, true); err != nil {
			return err
		}
	}
	if err := w.settle(ctx, w.fleet[0], newRevision, ""); err != nil {
		return err
	}
	return w.restart(ctx, "both are back", below(100))
}

// below is what a share means: workloads with a slot below it go to the new revision.
func below(percent int) func(slot int) string {
	return func(slot int) string {
		if slot < percent {
			return newRevision
		}
		return oldRevision
	}
}

func (w *rollout) annotate(ctx context.Context, percent int) error {
	w.asked = percent
	share := routing.Rollout{Revision: newRevision, Percent: percent}
	w.command("kubectl annotate istiorevisiontag default --overwrite %s=%s", routing.AnnotationRollout, share)
	return w.mesh.Rollout(ctx, routing.DefaultRevision, share)
}
