package charts_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/routing/skew"
)

const installPage = "../docs/install.md"

// blocksOf are the blocks of code of one language on the page about installing.
func blocksOf(t *testing.T, language string) []string {
	t.Helper()
	page, err := os.ReadFile(installPage)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		found = append(found, block[1])
	}
	return found
}

// shownFile is the block that begins with a comment with this name.
func shownFile(t *testing.T, name string) string {
	t.Helper()
	for _, block := range blocksOf(t, "yaml") {
		if strings.HasPrefix(block, "# "+name+"\n") {
			return block
		}
	}
	t.Fatalf("%s shows no %s", installPage, name)
	return ""
}

// Each command of Helm's on the page renders, with the values that it names.
func TestCommandsOfThePageAboutInstallingRender(t *testing.T) {
	values := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(values, []byte(shownFile(t, "values.yaml")), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered := 0
	for _, block := range blocksOf(t, "sh") {
		for command := range strings.Lines(strings.ReplaceAll(block, "\\\n", " ")) {
			if !regexp.MustCompile(`^helm (install|upgrade|template) `).MatchString(command) {
				continue
			}
			words := strings.Fields(strings.ReplaceAll(command, "'", ""))
			if words[2] != "revision-router" || words[3] != "charts/revision-router" || !slices.Contains(words, "--namespace") {
				t.Errorf("%s: release, chart or namespace are others than on the rest of the page", command)
			}
			var args []string
			for i, word := range words {
				switch word {
				case "--set", "--api-versions":
					args = append(args, word, words[i+1])
				case "--values":
					args = append(args, word, values)
				}
			}
			if got := render(t, args...); len(got.objects) < 5 {
				t.Errorf("%s renders %d objects", command, len(got.objects))
			}
			rendered++
		}
	}
	if rendered < 6 {
		t.Errorf("%d commands were looked at only", rendered)
	}
}

// application has the fields of Argo CD's Application that the page sets.
type application struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		Project     string            `json:"project"`
		Destination map[string]string `json:"destination"`
		Source      struct {
			RepoURL        string `json:"repoURL"`
			TargetRevision string `json:"targetRevision"`
			Path           string `json:"path"`
			Helm           struct {
				ValuesObject map[string]any `json:"valuesObject"`
			} `json:"helm"`
		} `json:"source"`
		IgnoreDifferences []struct {
			Group             string   `json:"group"`
			Kind              string   `json:"kind"`
			Name              string   `json:"name"`
			JQPathExpressions []string `json:"jqPathExpressions"`
		} `json:"ignoreDifferences"`
		SyncPolicy struct {
			Automated   map[string]bool `json:"automated"`
			SyncOptions []string        `json:"syncOptions"`
		} `json:"syncPolicy"`
	} `json:"spec"`
}

func TestTheApplicationIgnoresTheCABundlesOfTheChart(t *testing.T) {
	var app application
	if err := yaml.UnmarshalStrict([]byte(shownFile(t, "application.yaml")), &app); err != nil {
		t.Fatal(err)
	}
	values := valuesFile(t, app.Spec.Source.Helm.ValuesObject)
	var ignored []string
	for _, i := range app.Spec.IgnoreDifferences {
		if i.Group != admissionregistrationv1.GroupName || !slices.Equal(i.JQPathExpressions, []string{".webhooks[]?.clientConfig.caBundle"}) {
			t.Errorf("ignored: %+v", i)
		}
		ignored = append(ignored, i.Kind+" "+i.Name)
	}
	if want := webhookConfigurations(t, render(t, "--values", values)); !slices.Equal(ignored, want) {
		t.Errorf("ignored are %v, the chart has %v", ignored, want)
	}
	if !slices.Contains(app.Spec.SyncPolicy.SyncOptions, "RespectIgnoreDifferences=true") {
		t.Error("a sync would write what the comparison leaves out")
	}
	if _, err := os.Stat(filepath.Join("..", app.Spec.Source.Path, "Chart.yaml")); err != nil {
		t.Errorf("no chart in %s: %v", app.Spec.Source.Path, err)
	}
}

// helmRelease has the fields of Flux's HelmRelease that the page sets.
type helmRelease struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   map[string]string `json:"metadata"`
	Spec       struct {
		Interval         string `json:"interval"`
		ReleaseName      string `json:"releaseName"`
		TargetNamespace  string `json:"targetNamespace"`
		StorageNamespace string `json:"storageNamespace"`
		Chart            struct {
			Spec struct {
				Chart     string            `json:"chart"`
				SourceRef map[string]string `json:"sourceRef"`
			} `json:"spec"`
		} `json:"chart"`
		Install struct {
			CreateNamespace bool           `json:"createNamespace"`
			Remediation     map[string]int `json:"remediation"`
		} `json:"install"`
		DriftDetection struct {
			Mode   string `json:"mode"`
			Ignore []struct {
				Target map[string]string `json:"target"`
				Paths  []string          `json:"paths"`
			} `json:"ignore"`
		} `json:"driftDetection"`
		Values map[string]any `json:"values"`
	} `json:"spec"`
}

func TestTheHelmReleaseIgnoresTheCABundleOfEveryWebhook(t *testing.T) {
	_, document, found := strings.Cut(shownFile(t, "helmrelease.yaml"), "---\n")
	var flux helmRelease
	if err := yaml.UnmarshalStrict([]byte(document), &flux); err != nil || !found {
		t.Fatal(err)
	}
	r := render(t, "--values", valuesFile(t, flux.Spec.Values))
	webhooks := map[string]int{
		"MutatingWebhookConfiguration":   len(one[*admissionregistrationv1.MutatingWebhookConfiguration](t, r).Webhooks),
		"ValidatingWebhookConfiguration": len(one[*admissionregistrationv1.ValidatingWebhookConfiguration](t, r).Webhooks),
	}
	var ignored []string
	for _, i := range flux.Spec.DriftDetection.Ignore {
		ignored = append(ignored, i.Target["kind"]+" "+i.Target["name"])
		var want []string
		for n := range webhooks[i.Target["kind"]] {
			want = append(want, fmt.Sprintf("/webhooks/%d/clientConfig/caBundle", n))
		}
		if !slices.Equal(i.Paths, want) {
			t.Errorf("%s: the paths are %v, want %v", i.Target["kind"], i.Paths, want)
		}
	}
	if want := webhookConfigurations(t, r); !slices.Equal(ignored, want) {
		t.Errorf("ignored are %v, the chart has %v", ignored, want)
	}
}

// webhookConfigurations are the configurations of a release by kind and name, mutating ones first. None of their
// webhooks has a CA bundle, which is the reason why there is something to ignore.
func webhookConfigurations(t *testing.T, r release) []string {
	t.Helper()
	var list []string
	clients := []admissionregistrationv1.WebhookClientConfig{}
	for _, c := range all[*admissionregistrationv1.MutatingWebhookConfiguration](r) {
		list = append(list, "MutatingWebhookConfiguration "+c.Name)
		for i := range c.Webhooks {
			clients = append(clients, c.Webhooks[i].ClientConfig)
		}
	}
	for _, c := range all[*admissionregistrationv1.ValidatingWebhookConfiguration](r) {
		list = append(list, "ValidatingWebhookConfiguration "+c.Name)
		for i := range c.Webhooks {
			clients = append(clients, c.Webhooks[i].ClientConfig)
		}
	}
	for _, c := range clients {
		if c.Service == nil || len(c.CABundle) > 0 {
			t.Errorf("a webhook is rendered without a Service, or with a CA bundle: %+v", c)
		}
	}
	return list
}

// valuesFile writes the values of a manifest where helm reads them.
func valuesFile(t *testing.T, values map[string]any) string {
	t.Helper()
	text, err := yaml.Marshal(values)
	if err != nil || len(values) == 0 {
		t.Fatalf("%d values: %v", len(values), err)
	}
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The values with which the page begins refuse nothing, as it says.
func TestTheFirstValuesOfThePageOnlyWarn(t *testing.T) {
	var values struct {
		Image  map[string]string `json:"image"`
		Policy struct {
			Unresolved string            `json:"unresolved"`
			Rules      map[string]string `json:"rules"`
		} `json:"policy"`
	}
	if err := yaml.UnmarshalStrict([]byte(shownFile(t, "values.yaml")), &values); err != nil {
		t.Fatal(err)
	}
	if values.Policy.Unresolved != "Warn" {
		t.Errorf("unresolved is %q", values.Policy.Unresolved)
	}
	for _, rule := range skew.Rules() {
		if rule.Default == skew.Deny && values.Policy.Rules[string(rule.Rule)] != "Warn" {
			t.Errorf("%s would refuse", rule.Rule)
		}
	}
}
