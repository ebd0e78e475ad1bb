package injector

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

// The recorded configurations are what the Sail Operator left on a real API server from Istio's own charts; the
// stand-in has to say the same, or tests that rely on it prove nothing.
func TestConfigurationsAreThoseOfIstio(t *testing.T) {
	for _, file := range []string{"testdata/revisionbased-during.json", "testdata/inplace.json"} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded admissionregistrationv1.MutatingWebhookConfigurationList
		if err := json.Unmarshal(data, &recorded); err != nil {
			t.Fatal(err)
		}
		if len(recorded.Items) == 0 {
			t.Fatalf("%s holds no configuration", file)
		}
		for _, want := range recorded.Items {
			t.Run(want.Name, func(t *testing.T) {
				to := Target{Revision: want.Labels[routing.LabelRevision], ClientConfig: want.Webhooks[0].ClientConfig}
				got := RevisionConfiguration(to)
				if tag := want.Labels[routing.LabelTag]; tag != "" {
					got = TagConfiguration(tag, to)
				}
				ignore := cmp.Options{
					cmpopts.IgnoreFields(metav1.ObjectMeta{}, "Labels", "Annotations", "CreationTimestamp",
						"Generation", "OwnerReferences", "ResourceVersion", "UID", "ManagedFields"),
					cmpopts.IgnoreFields(metav1.TypeMeta{}, "Kind", "APIVersion"),
					cmpopts.SortSlices(func(a, b metav1.LabelSelectorRequirement) bool { return a.Key < b.Key }),
				}
				if diff := cmp.Diff(&want, got, ignore); diff != "" {
					t.Errorf("configuration (-recorded +stand-in):\n%s", diff)
				}
				for key, value := range got.Labels {
					if want.Labels[key] != value {
						t.Errorf("label %s is %q, recorded %q", key, value, want.Labels[key])
					}
				}
			})
		}
	}
}
