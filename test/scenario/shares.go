package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/test/forward"
)

// shares is a row of the table: where the workloads are after a step.
type shares struct {
	step  string
	asked int
	// workloads in all, those that are at the new revision, and those that moved there or back in this step.
	workloads, reached, moved, back int
	// pods in all, without a sidecar, and with traces of more than one.
	pods, without, wrong int
	// split workloads have pods of two revisions, misplaced ones are not where their slot says.
	split, misplaced int
	refused          int
	took             time.Duration
}

// restart restarts every workload, looks where their pods are now, and checks it. expected is the revision for a slot.
func (w *rollout) restart(ctx context.Context, step string, expected func(slot int) string) error {
	if w.generation > 0 {
		w.command("kubectl rollout restart deployment -n NAMESPACE # in each of the %d namespaces", len(fleetNamespaces()))
	}
	began := time.Now()
	w.generation++
	if err := w.deleteOld(ctx); err != nil {
		return err
	}
	refused := forAll(w.fleet, func(d *deployment) error { return d.restart(ctx, w.kube, w.generation) })
	for _, err := range refused[:min(len(refused), 3)] {
		w.denied(err)
	}
	row := shares{step: step, asked: w.asked, refused: len(refused), workloads: len(w.fleet), took: time.Since(began)}
	if err := w.count(ctx, &row, expected); err != nil {
		return err
	}
	w.table = append(w.table, row)
	if err := w.print(w.table[len(w.table)-1:]); err != nil {
		return err
	}
	w.check(row.refused == 0 && row.without == 0 && row.wrong == 0, "every one of %d pods has one sidecar, from the revision that its labels say", row.pods)
	w.check(row.split == 0 && row.misplaced == 0, "the pods of a workload agree, and every workload is where its slot says")
	return nil
}

// deleteOld deletes the pods and ReplicaSets of the generation before.
func (w *rollout) deleteOld(ctx context.Context) error {
	for namespace := range fleetNamespaces() {
		if err := w.kube.CoreV1().Pods(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return fmt.Errorf("deleting the old pods: %w", err)
		}
		if err := w.kube.AppsV1().ReplicaSets(namespace).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
			return fmt.Errorf("deleting the old ReplicaSets: %w", err)
		}
	}
	return nil
}

// count fills in where pods and workloads are. Which workload a pod is of is read from its owners.
func (w *rollout) count(ctx context.Context, row *shares, expected func(slot int) string) error {
	revisions := map[string][]string{}
	for namespace := range fleetNamespaces() {
		owners, err := w.owners(ctx, namespace)
		if err != nil {
			return err
		}
		pods, err := w.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return fmt.Errorf("listing pods: %w", err)
		}
		row.pods += len(pods.Items)
		for i := range pods.Items {
			pod := &pods.Items[i]
			revision, err := forward.Sidecar(pod)
			switch {
			case err != nil:
				row.wrong++
				fmt.Fprintf(w.Out, "pod %s/%s: %v\n", namespace, pod.Name, err)
			case revision == "":
				row.without++
			}
			workload := namespace + "/" + owners[metav1.GetControllerOf(pod).UID]
			revisions[workload] = append(revisions[workload], revision)
		}
	}
	w.place(row, revisions, expected)
	return nil
}

// owners maps ReplicaSets to the names of their Deployments.
func (w *rollout) owners(ctx context.Context, namespace string) (map[types.UID]string, error) {
	sets, err := w.kube.AppsV1().ReplicaSets(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing ReplicaSets: %w", err)
	}
	owners := map[types.UID]string{}
	for i := range sets.Items {
		owners[sets.Items[i].UID] = metav1.GetControllerOf(&sets.Items[i]).Name
	}
	return owners, nil
}

func (w *rollout) place(row *shares, revisions map[string][]string, expected func(slot int) string) {
	now := map[string]string{}
	for _, d := range w.fleet {
		of := slices.Compact(slices.Sorted(slices.Values(revisions[d.key()])))
		if len(revisions[d.key()]) != d.replicas || len(of) != 1 {
			row.split++
			continue
		}
		at, before := of[0], w.last[d.key()]
		now[d.key()] = at
		if at != expected(d.slot()) {
			row.misplaced++
		}
		if at == newRevision {
			row.reached++
		}
		switch {
		case before == oldRevision && at == newRevision:
			row.moved++
		case before == newRevision && at == oldRevision:
			row.back++
		}
	}
	maps.Copy(w.last, now)
}

// print prints rows of the table.
func (w *rollout) print(rows []shares) error {
	out := tabwriter.NewWriter(w.Out, 0, 8, 3, ' ', 0)
	fmt.Fprintln(out, "STEP\tASKED\tREACHED\tWORKLOADS\tMOVED ON\tMOVED BACK\tPODS\tWITHOUT SIDECAR\tREFUSED\tTOOK")
	for _, r := range rows {
		fmt.Fprintf(out, "%s\t%d %%\t%.1f %%\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", r.step, r.asked,
			100*float64(r.reached)/float64(r.workloads), r.workloads, r.moved, r.back, r.pods, r.without, r.refused,
			r.took.Round(100*time.Millisecond))
	}
	return out.Flush()
}
