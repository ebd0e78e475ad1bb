//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/guide"
)

// The labels of the pods of the ambient data plane, in their namespaces.
const (
	cniPods     = "k8s-app=istio-cni-node"
	ztunnelPods = "app=ztunnel"
	waypointPod = "gateway.networking.k8s.io/gateway-name=waypoint"

	labelVersion = "app.kubernetes.io/version"
)

// ambientMesh installs a mesh in ambient mode, with its workloads.
func (w *world) ambientMesh() {
	w.works("install", func(s *step) {
		s.do("ambient/install")
		s.do("ambient/workloads")
		s.ambientRuns("v1.28.5")
	})
}

// ambientRuns wants istiod, IstioCNI and ZTunnel to run a version, on every node.
func (s *step) ambientRuns(version string) {
	s.Helper()
	s.runs("istio-system", "app=istiod", version)
	s.runs("istio-cni", cniPods, version)
	s.runs("ztunnel", ztunnelPods, version)
}

// runs wants every pod that the labels select to be of this version, once those that are being replaced have gone.
func (s *step) runs(namespace, selector, version string) {
	s.Helper()
	s.until(selector+" of "+namespace+" runs "+version, func(ctx context.Context) error {
		versions, err := s.versions(ctx, namespace, selector)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if v != strings.TrimPrefix(version, "v") {
				return fmt.Errorf("they run %v", versions)
			}
		}
		return nil
	})
}

// versions are those of the pods that the labels select, by their label, or by the image of a proxy, which has none.
func (s *step) versions(ctx context.Context, namespace, selector string) ([]string, error) {
	list, err := s.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	var versions []string
	for i := range list.Items {
		pod := &list.Items[i]
		if pod.DeletionTimestamp != nil {
			continue
		}
		version := pod.Labels[labelVersion]
		if version == "" {
			_, version, _ = strings.Cut(pod.Spec.Containers[0].Image, ":")
			version = strings.TrimSuffix(version, "-distroless")
		}
		versions = append(versions, version)
	}
	if len(versions) == 0 {
		return nil, fmt.Errorf("there is no pod of %s in %s", selector, namespace)
	}
	return versions, nil
}

// warnedBy wants a block of the page to be admitted with a warning of the rule, as the page shows it.
func (s *step) warnedBy(id string, rule skew.Rule) {
	s.Helper()
	block := s.block(id)
	if !routerOff() { // it hears of what happened a moment later
		s.until(id+" is warned about", func(ctx context.Context) error {
			return warns(block, rule, s.answerOf(ctx, block, tryOnly))
		})
	}
	s.must(warns(block, rule, s.answerOf(s.Context(), block)))
	if strings.TrimSpace(block.Output) == "" {
		s.Errorf("%s does not show what %s prints", guide.Path, id)
	}
}

// quiet wants a block of the page to be admitted without a warning of any rule.
func (s *step) quiet(id string) {
	s.Helper()
	if out := s.do(id); strings.Contains(out, "Warning: ") {
		s.Errorf("%s is warned about:\n%s", id, out)
	}
}

func (s *step) answerOf(ctx context.Context, block guide.Step, env ...string) answer {
	out, err := s.shell.run(ctx, block.Commands, env...)
	return answer{out, err}
}

// warns tells why an answer is not the warning that a block should get.
func warns(block guide.Step, rule skew.Rule, a answer) error {
	switch {
	case a.err != nil:
		return fmt.Errorf("it fails: %w\n%s%s", a.err, block.Commands, a.printed)
	case !strings.Contains(a.printed, "Warning: "+string(rule)+": "):
		return fmt.Errorf("%s does not warn:\n%s%s", rule, block.Commands, a.printed)
	case len(guide.Missing(block.Output, a.printed)) > 0:
		return fmt.Errorf("%s shows\n%s\nand it prints\n%s", guide.Path, block.Output, a.printed)
	}
	return nil
}

// shown carries out a block that asks the router something, whose exit code tells of problems, and wants what the page shows.
func (s *step) shown(id string) string {
	s.Helper()
	block := s.block(id)
	var printed string
	s.until(id+" shows what the page does", func(ctx context.Context) error {
		out, _ := s.shell.run(ctx, block.Commands)
		printed = out
		if missing := guide.Missing(block.Output, out); len(missing) > 0 {
			return fmt.Errorf("it does not print\n%s\nbut\n%s", strings.Join(missing, "\n"), out)
		}
		return nil
	})
	if strings.TrimSpace(block.Output) == "" {
		s.Errorf("%s does not show what %s prints:\n%s", guide.Path, id, printed)
	}
	return printed
}
