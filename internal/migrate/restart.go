package migrate

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
)

const (
	// annotationRestarted is what kubectl rollout restart writes into a pod template.
	annotationRestarted = "kubectl.kubernetes.io/restartedAt"
	fieldManager        = "router-migrate"
	// patchLimit bounds a restart: once sent, it is not given up with the rest, so that it is known whether it took place.
	patchLimit = 15 * time.Second
)

// Restart changes the pod template as kubectl rollout restart does. It fails with a conflict if the workload is not what
// it was when it was judged.
func (c *Cluster) Restart(ctx context.Context, w *Workload, now time.Time) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patchLimit)
	defer cancel()
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": w.UID, "resourceVersion": w.ResourceVersion},
		"spec": map[string]any{"template": map[string]any{"metadata": map[string]any{
			"annotations": map[string]string{annotationRestarted: now.Format(time.RFC3339)},
		}}},
	})
	if err != nil {
		return fmt.Errorf("restarting %s: %w", w, err)
	}
	options := metav1.PatchOptions{FieldManager: fieldManager}
	apps := c.Client.AppsV1()
	switch w.Kind {
	case "Deployment":
		_, err = apps.Deployments(w.Namespace).Patch(ctx, w.Name, types.StrategicMergePatchType, patch, options)
	case "StatefulSet":
		_, err = apps.StatefulSets(w.Namespace).Patch(ctx, w.Name, types.StrategicMergePatchType, patch, options)
	case "DaemonSet":
		_, err = apps.DaemonSets(w.Namespace).Patch(ctx, w.Name, types.StrategicMergePatchType, patch, options)
	}
	if err != nil {
		return fmt.Errorf("restarting %s: %w", w, err)
	}
	return nil
}

// Try asks the API server, as a dry run, for a pod of the workload's template, and judges what came back: whether it
// would be admitted, and with which sidecar.
func (c *Cluster) Try(ctx context.Context, d Due, w *Workload) Judgement {
	look := w.look()
	raw, err := rawOf(c.Client.CoreV1().RESTClient().Post().Namespace(w.Namespace).Resource("pods").
		SetHeader("Accept", "application/json").
		Param("dryRun", metav1.DryRunAll).Param("fieldManager", fieldManager).Body(w.pod()).Do(ctx))
	switch {
	case apierrors.IsForbidden(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return left("its new pods would be refused: "+err.Error(), look)
	case err != nil:
		return waits("whether its new pods would be admitted is not known: " + err.Error())
	}
	var pod inventory.Pod
	if err := json.Unmarshal(raw, &pod); err != nil {
		return waits("the API server's answer to a dry run is no pod: " + err.Error())
	}
	if got := podOf(&pod).Proxy; !got.Satisfies(d.To) {
		return waits("a new pod would come out with " + got.String() + " and not with " + d.To.String())
	}
	return Judgement{Verdict: Ready}
}

// rawOf is the answer as it came. Result.Raw alone does not tell what the API server said where it refused.
func rawOf(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}

// pod is one that the workload's controller would create. It differs in its name, which nobody knows beforehand.
func (w *Workload) pod() *corev1.Pod {
	const hash = "dryrun"
	pod := &corev1.Pod{ObjectMeta: *w.Template.ObjectMeta.DeepCopy(), Spec: *w.Template.Spec.DeepCopy()}
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: w.Kind, Name: w.Name, UID: w.UID, Controller: new(true)}
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	if w.Kind == "Deployment" {
		// By these two a Deployment is known behind its ReplicaSet.
		owner.Kind, owner.Name = "ReplicaSet", w.Name+"-"+hash
		pod.Labels[routing.LabelTemplateHash] = hash
	}
	pod.Namespace, pod.GenerateName = w.Namespace, strings.TrimSuffix(owner.Name, "-")+"-"
	pod.OwnerReferences = []metav1.OwnerReference{owner}
	return pod
}
