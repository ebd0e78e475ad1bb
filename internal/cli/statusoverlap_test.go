package cli

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/internal/status"
	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/webhook"
)

const overlapping = "testdata/status/overlap/"

// inTheWay are the webhooks that a report names, without what is said about them.
func inTheWay(r *status.Report) []string {
	names := []string{}
	for _, p := range r.Problems {
		if p.Name == status.InjectorOverlap {
			name, _, _ := strings.Cut(strings.TrimPrefix(p.Message, "Webhook "), " ")
			names = append(names, strings.TrimPrefix(p.Objects[0], "MutatingWebhookConfiguration ")+" "+name)
		}
	}
	return names
}

const (
	ofTagNamespace = "istio-revision-tag-prod-istio-system rev.namespace.sidecar-injector.istio.io"
	ofTagObject    = "istio-revision-tag-prod-istio-system rev.object.sidecar-injector.istio.io"
	ofLab          = "somebodys-own lab.sidecar-injector.istio.io"
)

func TestTheRoutersOwnConfigurationTellsWhichNamespacesDoNotCount(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(overlapping + "router.yaml")
	if err != nil {
		t.Fatal(err)
	}
	router := string(data)
	all := []string{ofTagNamespace, ofTagObject, ofLab}
	cases := map[string]struct {
		router string
		mode   string
		want   []string
	}{
		"all its webhooks leave the namespace out":           {router, modeForward, all[:2]},
		"one of them does not":                               {strings.Replace(router, "kube-system, lab, ", "kube-system, ", 1), modeForward, all},
		"the last of them does not":                          {replaceLast(router, "kube-system, lab, ", "kube-system, "), modeForward, all},
		"one of them has no selector":                        {strings.Replace(router, "  namespaceSelector:", "  reinvocationPolicy: Never\n  objectSelector:", 1), modeForward, all},
		"the requirement is another":                         {strings.ReplaceAll(router, "operator: NotIn", "operator: In"), modeForward, all},
		"the label is another":                               {strings.ReplaceAll(router, "kubernetes.io/metadata.name", "team"), modeForward, all},
		"it is somebody else's configuration":                {strings.ReplaceAll(router, ".pods.revision-router.io", ".pods.example.com"), modeForward, all},
		"its name is another":                                {strings.Replace(router, "0-istio-revision-router", "a-router", 1), modeForward, all[:2]},
		"it is not in the input":                             {"", modeForward, all},
		"the webhooks inject, and the router does not do so": {router, modeGuard, []string{}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ranCommand(t, "status", tc.router, "-f", "testdata/status/forward", "-f", overlapping+"tag.yaml", "-f", "-",
				"--mode", tc.mode, "-o", "json")
			if diff := cmp.Diff(tc.want, inTheWay(decodedReport(t, got))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// What the chart names its webhooks for pods is what the router knows them by.
func TestTheRoutersOwnWebhooksAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	for _, entry := range webhook.Entries() {
		if !strings.HasSuffix(entry.Name, ownWebhooks) {
			t.Errorf("%s does not end in %s", entry.Name, ownWebhooks)
		}
	}
}

func replaceLast(text, old, by string) string {
	at := strings.LastIndex(text, old)
	return text[:at] + by + text[at+len(old):]
}

// testOverlaps has the webhooks come and go in a real cluster.
func testOverlaps(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	client := kubernetes.NewForConfigOrDie(c.Config()).AdmissionregistrationV1().MutatingWebhookConfigurations()
	configurations := []string{"istio-revision-tag-prod-istio-system", "somebodys-own", "0-istio-revision-router"}
	report := func(more ...string) *status.Report {
		t.Helper()
		return decodedReport(t, ranCommand(t, "status", "", append(more, "--kubeconfig", c.Kubeconfig(), "-o", "json")...))
	}
	shows := func(want []string, more ...string) {
		t.Helper()
		if diff := cmp.Diff(want, inTheWay(report(more...))); diff != "" {
			t.Errorf("%v (-want +got):\n%s", more, diff)
		}
	}
	forward := []string{"--mode", modeForward}
	shows([]string{}, forward...)
	createAll(t, c, overlapping+"tag.yaml")
	shows([]string{ofTagNamespace, ofTagObject, ofLab}, forward...)
	shows([]string{}, "--mode", modeGuard)
	createAll(t, c, overlapping+"router.yaml")
	shows([]string{ofTagNamespace, ofTagObject}, forward...)
	shows([]string{ofTagNamespace, ofTagObject}, append(slices.Clone(forward), "-n", "shop")...)

	r := report(forward...)
	at := slices.IndexFunc(r.Problems, func(p status.Problem) bool { return p.Name == status.InjectorOverlap })
	if p := r.Problems[at]; p.Severity != status.Error || !strings.HasPrefix(p.Next[0], "kubectl patch istio default --type=merge") {
		t.Errorf("got %+v", p)
	}
	for _, name := range configurations {
		if err := client.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	shows([]string{}, forward...)
}
