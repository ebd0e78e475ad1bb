package admission

import (
	"regexp"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/revision-router/revision-router/internal/sail"
)

// commands are the steps of a refusal that a shell can take.
func commands(message string) []string {
	var steps []string
	for _, part := range regexp.MustCompile(`; |\n`).Split(message, -1) {
		if command := regexp.MustCompile(`(kubectl|istioctl) .*`).FindString(part); command != "" {
			steps = append(steps, strings.TrimSuffix(command, "."))
		}
	}
	return steps
}

func (s shell) run(command string) error {
	command = strings.ReplaceAll(command, "<patch>", "1") // the user's choice
	var w []string                                        // the words, as a shell finds them
	for _, word := range regexp.MustCompile(`'[^']*'|\S+`).FindAllString(command, -1) {
		w = append(w, strings.Trim(word, "'"))
	}
	flag := func(name string) string {
		if i := slices.Index(w, name); i >= 0 && i+1 < len(w) {
			return w[i+1]
		}
		return ""
	}
	switch verb := strings.Join(w[:min(3, len(w))], " "); {
	case verb == "kubectl wait --for=create":
		return nil // patch has played the operator already
	case verb == "kubectl rollout status":
		return s.rolledOut(w[3])
	case verb == "kubectl rollout restart" && w[3] == "deployment":
		return s.restart(flag("-n"))
	case verb == "istioctl waypoint apply":
		return s.gateway(flag("-n"), flag("--name"), "istio-waypoint", nil)
	case w[1] == "label" || w[1] == "annotate":
		return s.rewrite(w[1], s.client(w[2], flag("-n")), w[3:])
	case w[1] == "patch" && slices.Contains(w, "--type=json"):
		_, err := s.client(w[2], flag("-n")).
			Patch(s.t.Context(), w[3], types.JSONPatchType, []byte(flag("-p")), metav1.PatchOptions{})
		return err
	case w[1] == "patch" && slices.Contains(w, "--type=merge"):
		return s.patch(w[2], w[3], flag("-p"))
	case w[1] == "delete":
		err := s.client(w[2], flag("-n")).Delete(s.t.Context(), w[3], metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		if apierrors.IsNotFound(err) {
			return nil // asked again before the watch told that it is gone
		}
		return err
	}
	s.t.Fatalf("nobody knows the command %q", command)
	return nil
}

func (s shell) client(kind, namespace string) dynamic.ResourceInterface {
	resource := sail.GroupVersion().WithResource(kind + "s")
	switch kind {
	case "namespace", "pod":
		resource = schema.GroupVersionResource{Version: "v1", Resource: kind + "s"}
	case "gateway":
		resource = gatewayResource()
	}
	if namespace == "" {
		return s.dyn.Resource(resource)
	}
	return s.dyn.Resource(resource).Namespace(namespace)
}

// rewrite is kubectl label and kubectl annotate, of the object that comes first: it changes no value without
// --overwrite.
func (s shell) rewrite(verb string, client dynamic.ResourceInterface, rest []string) error {
	o, err := client.Get(s.t.Context(), rest[0], metav1.GetOptions{})
	s.must(err)
	set, write := o.GetLabels(), o.SetLabels
	if verb == "annotate" {
		set, write = o.GetAnnotations(), o.SetAnnotations
	}
	if set == nil {
		set = map[string]string{}
	}
	for _, word := range rest[1:] {
		key, value, assigns := strings.Cut(word, "=")
		if assigns && set[key] != "" && set[key] != value && !slices.Contains(rest, "--overwrite") {
			s.t.Fatalf("kubectl would not overwrite %s=%s", key, set[key])
		}
		if assigns {
			set[key] = value
		} else {
			delete(set, strings.TrimSuffix(word, "-"))
		}
	}
	write(set)
	_, err = client.Update(s.t.Context(), o, metav1.UpdateOptions{})
	return err
}

// patch is kubectl patch, and what the operator does then.
func (s shell) patch(kind, name, body string) error {
	o, err := s.client(kind, "").Patch(s.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	if err != nil {
		return err
	}
	strategy, _, _ := unstructured.NestedString(o.Object, "spec", "updateStrategy", "type")
	if version, _, _ := unstructured.NestedString(o.Object, "spec", "version"); strategy == "RevisionBased" {
		s.runs(name+"-"+strings.ReplaceAll(version, ".", "-"), version)
	}
	if target, found, _ := unstructured.NestedString(o.Object, "spec", "targetRef", "name"); found && kind == "istiorevisiontag" {
		s.status("istiorevisiontags", name, map[string]any{"istioRevision": target})
	}
	return nil
}

// rolledOut lets the operator finish: istiod runs what its Istio declares. There are no DaemonSets here: what
// IstioCNI and ZTunnel declare is all that is known of them.
func (s shell) rolledOut(workload string) error {
	if workload != "deployment/istiod" {
		return nil
	}
	o, err := s.client("istio", "").Get(s.t.Context(), "default", metav1.GetOptions{})
	s.must(err)
	version, _, _ := unstructured.NestedString(o.Object, "spec", "version")
	s.runs("default", strings.Replace(version, "-latest", ".9", 1))
	return nil
}

// restart replaces a namespace's sidecars by those that its revision injects, at the version of the control plane.
func (s shell) restart(namespace string) error {
	pods, err := s.kube.CoreV1().Pods(namespace).List(s.t.Context(), metav1.ListOptions{})
	s.must(err)
	ns, err := s.kube.CoreV1().Namespaces().Get(s.t.Context(), namespace, metav1.GetOptions{})
	s.must(err)
	revision := ns.Labels["istio.io/rev"]
	if ns.Labels["istio-injection"] == "enabled" {
		revision = "default"
	}
	for _, pod := range pods.Items {
		name, _, _ := strings.Cut(pod.Name, "-7d775cb4f6")
		s.removeSidecar(namespace, name)
		if revision != "" {
			d, err := s.kube.AppsV1().Deployments("istio-system").Get(s.t.Context(), "istiod-"+revision, metav1.GetOptions{})
			s.must(err)
			s.proxied(namespace, name, revision, d.Labels["app.kubernetes.io/version"])
		}
	}
	return nil
}
