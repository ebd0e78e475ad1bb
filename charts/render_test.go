package charts_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	psaapi "k8s.io/pod-security-admission/api"
	psapolicy "k8s.io/pod-security-admission/policy"

	"github.com/revision-router/revision-router/charts"
)

func TestRenderingTwiceGivesTheSameBytes(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			first, second := render(t, args...), render(t, args...)
			if !bytes.Equal(first.manifest, second.manifest) {
				t.Errorf("manifest (-first +second):\n%s", cmp.Diff(string(first.manifest), string(second.manifest)))
			}
		})
	}
}

func TestLintFindsNothing(t *testing.T) {
	chart := unpack(t)
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			out, err := runHelm(t, append([]string{"lint", "--strict", chart}, args...)...)
			if err != nil {
				t.Errorf("helm lint: %v\n%s", err, out)
			}
		})
	}
}

// The judge is the one that the API server's Pod Security admission uses.
func TestPodsMeetTheLevelRestricted(t *testing.T) {
	judge, err := psapolicy.NewEvaluator(psapolicy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := psaapi.LevelVersion{Level: psaapi.LevelRestricted, Version: psaapi.LatestVersion()}
	// What each file gives up; all others give up nothing.
	want := map[string]string{"host-network": "host namespaces"}
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			for _, version := range []string{"", "security.openshift.io/v1"} {
				pod := one[*appsv1.Deployment](t, render(t, append(args, "--api-versions", version)...)).Spec.Template
				result := psapolicy.AggregateCheckResults(judge.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec))
				if got := result.ForbiddenReason(); got != want[name] {
					t.Errorf("with API %q: %q forbidden (%s), want %q", version, got, result.ForbiddenDetail(), want[name])
				}
			}
		})
	}
}

func TestOpenShiftChoosesTheUser(t *testing.T) {
	elsewhere := one[*appsv1.Deployment](t, render(t)).Spec.Template.Spec.SecurityContext
	if elsewhere.RunAsUser == nil || *elsewhere.RunAsUser != 65532 {
		t.Errorf("runAsUser %v, want 65532", elsewhere.RunAsUser)
	}
	openshift := one[*appsv1.Deployment](t, render(t, "--api-versions", "security.openshift.io/v1")).
		Spec.Template.Spec.SecurityContext
	if openshift.RunAsUser != nil || openshift.RunAsGroup != nil {
		t.Errorf("runAsUser %v and runAsGroup %v, want neither", openshift.RunAsUser, openshift.RunAsGroup)
	}
	if openshift.RunAsNonRoot == nil || !*openshift.RunAsNonRoot {
		t.Error("runAsNonRoot is not set")
	}
}

func TestKubernetesVersions(t *testing.T) {
	for _, version := range []string{"1.30.0", "1.30.5-eks-1a2b3c", "1.34.1+k3s1", "1.37.2"} {
		render(t, "--kube-version", version)
	}
	const want = "chart requires kubeVersion: >=1.30.0-0"
	if got := refusal(t, "--kube-version", "1.29.9"); !strings.Contains(got, want) {
		t.Errorf("version 1.29.9: %q, want %q in it", got, want)
	}
}

// Other charts may depend on this one: Helm then adds global, and usually a condition, to its values.
func TestChartCanBeADependency(t *testing.T) {
	parent := t.TempDir()
	write(t, parent, "Chart.yaml", `apiVersion: v2
name: platform
version: 1.0.0
dependencies:
  - {name: revision-router, version: 0.2.0, condition: revision-router.enabled}
`)
	write(t, parent, "values.yaml", "global: {region: eu}\nrevision-router: {enabled: true, replicaCount: 3}\n")
	if _, err := charts.Unpack(parent + "/charts"); err != nil {
		t.Fatal(err)
	}
	manifest, err := runHelm(t, "template", "mesh", parent)
	if err != nil {
		t.Fatalf("helm template: %v\n%s", err, manifest)
	}
	objects, err := charts.Decode([]byte(manifest))
	if err != nil {
		t.Fatal(err)
	}
	r := release{typed: decodeTyped(t, objects)}
	deployment := one[*appsv1.Deployment](t, r)
	if deployment.Name != "mesh-revision-router" || *deployment.Spec.Replicas != 3 {
		t.Errorf("Deployment %s with %d replicas, want mesh-revision-router with 3", deployment.Name, *deployment.Spec.Replicas)
	}
}

func TestNotes(t *testing.T) {
	cases := map[string]struct {
		args    []string
		want    []string
		wantNot []string
	}{
		"the emergency command is the last resort of every install": {
			want: []string{
				"kubectl delete mutatingwebhookconfiguration 0-istio-revision-router",
				"kubectl delete validatingwebhookconfiguration istio-revision-router", "set policy.unresolved=Warn",
			},
			wantNot: []string{"WARNING", "Fail"},
		},
		"one replica that fails closed is warned about": {
			args: set("webhook.failurePolicy=Fail", "replicaCount=1"),
			want: []string{"WARNING: with one replica", "Before you uninstall"},
		},
		"changes that fail closed stop the operator too": {
			args: set("changes.failurePolicy=Fail"),
			want: []string{"changes.failurePolicy is Fail", "the Sail Operator included", "Before you\nuninstall"},
		},
		"without the judging of changes there is nothing to say about it": {
			args:    set("changes.enabled=false", "changes.failurePolicy=Fail"),
			want:    []string{"kubectl delete mutatingwebhookconfiguration 0-istio-revision-router"},
			wantNot: []string{"validatingwebhookconfiguration", "changes"},
		},
		"a shared namespace is warned about, since its pods go unchecked": {
			args: []string{"--namespace", "default"},
			want: []string{"WARNING: pods in the router's own namespace are never checked, and that is default."},
		},
		"cert-manager is asked about its certificate": {
			args: set("certs.provider=cert-manager"),
			want: []string{"kubectl -n revision-router get certificate revision-router-tls"},
		},
		"a router that injects says what must not inject besides, and how to go back": {
			args: set("mode=forward"),
			want: []string{
				"in forward mode: the router injects,", "and none of Istio's own webhooks is in the way", "custom-columns=NAME:",
				"failurePolicy is Fail", `"operatorManageWebhooks":false`,
			},
			wantNot: []string{"It is called before Istio"},
		},
		"a policy that refuses nothing needs no hint how to try it": {
			args:    set("policy.unresolved=Warn"),
			wantNot: []string{"policy.unresolved"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			args := []string{"install", charts.Name, unpack(t), "--dry-run=client", "--namespace", charts.Name}
			out, err := runHelm(t, append(args, tc.args...)...)
			if err != nil {
				t.Fatalf("helm install: %v\n%s", err, out)
			}
			_, notes, found := strings.Cut(out, "NOTES:")
			if !found {
				t.Fatalf("no notes in\n%s", out)
			}
			for _, want := range tc.want {
				if !strings.Contains(notes, want) {
					t.Errorf("no %q in\n%s", want, notes)
				}
			}
			for _, wantNot := range tc.wantNot {
				if strings.Contains(notes, wantNot) {
					t.Errorf("%q in\n%s", wantNot, notes)
				}
			}
		})
	}
}
