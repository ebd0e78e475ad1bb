//go:build e2e

package migrate

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/test/cluster"
)

const total = teams * perTeam

func TestMigrate200Workloads(t *testing.T) {
	if os.Getenv("KUBECONFIG") != "" {
		t.Skip("needs the stand-ins of a local control plane; run without KUBECONFIG")
	}
	began := time.Now()
	w := newWorld(t)
	w.update()
	w.refuse()
	set := time.Since(began)

	w.dryRun()
	first := w.interrupted()
	second := w.resumed(first)
	w.stopsAgain()
	w.mend()
	third := w.migrate(nil, "-A", "--max-parallel", "10", "--timeout", "2m")
	w.left(third)
	w.must(w.kube.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings().Delete(t.Context(), "refused", metav1.DeleteOptions{}))
	w.admitted()
	last := w.migrate(nil, "-A", "--timeout", "2m")
	if last.code != 0 || !slices.Equal(last.of("Restarted"), []string{team(refusedTeam) + "/" + refused}) {
		t.Errorf("the last run ended with code %d and restarted %q", last.code, last.of("Restarted"))
	}
	w.everythingOnce([]outcome{first, second, third, last})
	t.Logf("%d workloads moved in 4 runs and %s, after %s of preparation; %s",
		total, (time.Since(began) - set).Round(time.Second), set.Round(time.Second), w.seen.report(t))
}

// refuse has one workload's pods refused from now on, and none of those that are there.
func (w *world) refuse() {
	w.t.Helper()
	api := w.kube.AdmissionregistrationV1()
	_, err := api.ValidatingAdmissionPolicies().Create(w.t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: "refused"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionregistrationv1.MatchResources{
				ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
					Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
					Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				}}},
			},
			Validations: []admissionregistrationv1.Validation{{
				Expression: fmt.Sprintf("object.metadata.namespace != %q || !('app' in object.metadata.labels) || object.metadata.labels['app'] != %q", team(refusedTeam), refused),
				Message:    "it is out of fashion",
			}},
		},
	}, metav1.CreateOptions{})
	w.must(err)
	_, err = api.ValidatingAdmissionPolicyBindings().Create(w.t.Context(), &admissionregistrationv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "refused"},
		Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: "refused", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny},
		},
	}, metav1.CreateOptions{})
	w.must(err)
	w.eventually("the policy is in force", func(ctx context.Context) error {
		if err := w.try(ctx); !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) {
			return fmt.Errorf("got %w", err)
		}
		return nil
	})
}

func (w *world) admitted() {
	w.t.Helper()
	w.eventually("the policy is gone", w.try)
}

// try creates a pod of the refused workload as a dry run.
func (w *world) try(ctx context.Context) error {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "try-", Labels: map[string]string{"app": refused}}, Spec: template(nil).Spec,
	}
	_, err := w.kube.CoreV1().Pods(team(refusedTeam)).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// dryRun wants every workload planned but the one that would be refused, and nothing changed.
func (w *world) dryRun() {
	w.t.Helper()
	before := w.generations()
	got := w.migrate(nil, "-A", "--max-parallel", "10", "--dry-run")
	if n := len(got.of("Planned")); got.code != 1 || n != total-1 || got.last().Wave < total/10 {
		w.t.Errorf("the dry run ended with code %d, %d workloads planned in %d waves", got.code, n, got.last().Wave)
	}
	if names := got.of("Left"); !slices.Equal(names, []string{team(refusedTeam) + "/" + refused}) {
		w.t.Errorf("%q are left", names)
	}
	if after := w.generations(); fmt.Sprint(after) != fmt.Sprint(before) {
		w.t.Error("a dry run has changed something")
	}
	odd := w.migrate(nil, "-n", team(1), "-l", "parity=odd", "--tag", "prod", "--from", oldVersion, "--dry-run")
	if n := len(odd.of("Planned")); n != perTeam/2 {
		w.t.Errorf("%d workloads are odd", n)
	}
}

// interrupted presses Ctrl-C as soon as the slow workload has been restarted.
func (w *world) interrupted() outcome {
	w.t.Helper()
	got := w.migrate(func(e told) bool { return e.Event == "Restarted" && e.workload() == team(slowTeam)+"/"+slow },
		"-A", "--max-parallel", "10")
	last := got.last()
	if got.code != 1 || !slices.Contains(got.of("Interrupted"), team(slowTeam)+"/"+slow) || last.Waiting == 0 || last.UnderWay == 0 {
		w.t.Errorf("interrupted, it ended with code %d and %+v", got.code, last)
	}
	if last.Done < 30 || last.Done+last.UnderWay+last.Waiting != total || last.SecondsLeft == 0 {
		w.t.Errorf("interrupted, it counts %+v; left: %q", last, got.reasons("Left"))
	}
	return got
}

// resumed goes on until the failing workload stops it.
func (w *world) resumed(first outcome) outcome {
	w.t.Helper()
	got := w.migrate(nil, "-A", "--max-parallel", "10")
	if !slices.Contains(got.of("Adopted"), team(slowTeam)+"/"+slow) {
		w.t.Errorf("what was under way is not waited for: %q", got.of("Adopted"))
	}
	if got.code != 1 || !slices.Equal(got.of("Failed"), []string{team(failingTeam) + "/" + failing}) || got.last().Waiting == 0 {
		w.t.Errorf("it ended with code %d and %+v; failed: %q; left: %q", got.code, got.last(), got.reasons("Failed"), got.reasons("Left"))
	}
	failed := slices.IndexFunc(got.events, func(e told) bool { return e.Event == "Failed" })
	for _, e := range got.events[failed:] {
		if e.Event == "Restarted" {
			w.t.Errorf("%s was restarted after the failure", e.workload())
		}
	}
	if f := got.events[failed]; !strings.Contains(f.Message, "progress") || !strings.Contains(f.Next, "kubectl describe deployment/"+failing) {
		w.t.Errorf("the failure reads %q, %q", f.Message, f.Next)
	}
	if n := got.events[0].Total; n < total-len(first.of("Restarted")) || n > total-len(first.of("RolledOut")) {
		w.t.Errorf("it began with %d workloads, after %d had rolled out and %d were restarted", n, len(first.of("RolledOut")), len(first.of("Restarted")))
	}
	return got
}

// stopsAgain wants nothing to be restarted while what has failed is not mended.
func (w *world) stopsAgain() {
	w.t.Helper()
	got := w.migrate(nil, "-A", "--max-parallel", "10")
	if got.code != 1 || len(got.of("Restarted")) > 0 || !slices.Equal(got.of("Failed"), []string{team(failingTeam) + "/" + failing}) {
		w.t.Errorf("not mended, it ended with code %d, restarted %q, and %q failed", got.code, got.of("Restarted"), got.of("Failed"))
	}
}

// mend has the failing workload's pods become ready.
func (w *world) mend() {
	w.t.Helper()
	patch := []byte(`{"spec":{"template":{"metadata":{"annotations":{"` + cluster.AnnotationReady + `":"true"}}}}}`)
	_, err := w.kube.AppsV1().Deployments(team(failingTeam)).Patch(w.t.Context(), failing, types.MergePatchType, patch, metav1.PatchOptions{})
	w.must(err)
}

// left wants everything done but what is refused, of which nothing was touched.
func (w *world) left(got outcome) {
	w.t.Helper()
	if got.code != 1 || !slices.Equal(got.of("Left"), []string{team(refusedTeam) + "/" + refused}) || got.last().Done != got.last().Total-1 {
		w.t.Errorf("it ended with code %d and %+v; left: %q; failed: %q", got.code, got.last(), got.reasons("Left"), got.reasons("Failed"))
	}
	for _, e := range got.events {
		if e.Event == "Left" && !strings.Contains(e.Message, "out of fashion") {
			w.t.Errorf("the reason is %q", e.Message)
		}
	}
	d, err := w.kube.AppsV1().Deployments(team(refusedTeam)).Get(w.t.Context(), refused, metav1.GetOptions{})
	w.must(err)
	if d.Generation != 1 || d.Status.AvailableReplicas != 1 {
		w.t.Errorf("what would be refused was touched: %+v", d.Status)
	}
}

// generations are how often each workload was changed, its creation included.
func (w *world) generations() map[string]int64 {
	w.t.Helper()
	all := map[string]int64{}
	apps := w.kube.AppsV1()
	for i := range teams {
		deployments, err := apps.Deployments(team(i)).List(w.t.Context(), metav1.ListOptions{})
		w.must(err)
		for n := range deployments.Items {
			all[team(i)+"/"+deployments.Items[n].Name] = deployments.Items[n].Generation
		}
		sets, err := apps.StatefulSets(team(i)).List(w.t.Context(), metav1.ListOptions{})
		w.must(err)
		for n := range sets.Items {
			all[team(i)+"/"+sets.Items[n].Name] = sets.Items[n].Generation
		}
		daemons, err := apps.DaemonSets(team(i)).List(w.t.Context(), metav1.ListOptions{})
		w.must(err)
		for n := range daemons.Items {
			all[team(i)+"/"+daemons.Items[n].Name] = daemons.Items[n].Generation
		}
	}
	return all
}

// everythingOnce wants every workload restarted exactly once in all runs, and every pod with the new sidecar.
func (w *world) everythingOnce(runs []outcome) {
	w.t.Helper()
	restarts := map[string]int{}
	for _, run := range runs {
		for _, name := range run.of("Restarted") {
			restarts[name]++
		}
	}
	for name, generation := range w.generations() {
		want := int64(2)
		if name == team(failingTeam)+"/"+failing {
			want = 3 // it was mended
		}
		if restarts[name] != 1 || generation != want {
			w.t.Errorf("%s was restarted %d times, and has generation %d", name, restarts[name], generation)
		}
	}
	if len(restarts) != total {
		w.t.Errorf("%d workloads were restarted, want %d", len(restarts), total)
	}
	pods, err := w.kube.CoreV1().Pods("").List(w.t.Context(), metav1.ListOptions{LabelSelector: "app"})
	w.must(err)
	for i := range pods.Items {
		p := &pods.Items[i]
		if strings.HasPrefix(p.Namespace, "team-") && p.DeletionTimestamp == nil && p.Annotations["istio.io/rev"] != newRevision {
			w.t.Errorf("pod %s/%s has revision %q", p.Namespace, p.Name, p.Annotations["istio.io/rev"])
		}
	}
	out, err := exec.CommandContext(w.t.Context(), w.router, "status", "--kubeconfig", w.cluster.Kubeconfig()).CombinedOutput()
	if err != nil || strings.Contains(string(out), "restart") {
		w.t.Errorf("router status: %v\n%s", err, out)
	}
}
