package registration

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/test/cluster"
)

func TestMain(m *testing.M) { os.Exit(cluster.Main(m)) }

const own = "0-istio-revision-router"

func configuration(name string, labels map[string]string, webhooks ...string) admissionregistrationv1.MutatingWebhookConfiguration {
	c := admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	for _, w := range webhooks {
		c.Webhooks = append(c.Webhooks, admissionregistrationv1.MutatingWebhook{
			Name: w, ClientConfig: admissionregistrationv1.WebhookClientConfig{CABundle: []byte("x")},
		})
	}
	return c
}

func router(name string) admissionregistrationv1.MutatingWebhookConfiguration {
	return configuration(name, nil, "pod-revision.pods.revision-router.io")
}

func injector(name, revision string) admissionregistrationv1.MutatingWebhookConfiguration {
	return configuration(name, map[string]string{"istio.io/rev": revision}, "rev.namespace.sidecar-injector.istio.io")
}

func TestJudge(t *testing.T) {
	unpublished := router(own)
	unpublished.Webhooks[0].ClientConfig.CABundle = nil
	labelled := router(own)
	labelled.Labels = map[string]string{"istio.io/rev": "x", "istio.io/tag": "y", "app": "z"}
	type all = []admissionregistrationv1.MutatingWebhookConfiguration
	cases := map[string]struct {
		all       all
		own       []string
		revisions []string
		want      []Problem
		says      string
	}{
		"all as it should be": {
			all:       all{router(own), injector("istio-sidecar-injector-a", "a"), injector("istio-revision-tag-prod", "a")},
			revisions: []string{"a"},
		},
		"no configuration":                 {all: all{injector("istio-sidecar-injector", "default")}, want: []Problem{Missing}, says: own},
		"a name that comes too late":       {all: all{router("z"), injector("istio-sidecar-injector", "default")}, own: []string{"z"}, want: []Problem{Order}, says: "istio-sidecar-injector"},
		"what comes first and injects not": {all: all{router("z"), configuration("a", nil, "other.example.com")}, own: []string{"z"}},
		"labels of Istio's":                {all: all{labelled}, want: []Problem{IstioLabel, IstioLabel}, says: "kubectl label"},
		"no CA bundle":                     {all: all{unpublished}, want: []Problem{NoBundle}},
		"a revision that nobody injects": {
			all: all{router(own), injector("istio-sidecar-injector-a", "a")}, revisions: []string{"a", "b"},
			want: []Problem{NoInjector}, says: "revision b has no injector webhook",
		},
		"a webhook that is no injector": {all: all{router(own), configuration("x", map[string]string{"istio.io/rev": "a"}, "x.example.com")}, revisions: []string{"a"}, want: []Problem{NoInjector}},
		"several problems, in order":    {all: all{injector("istio-sidecar-injector", "default")}, revisions: []string{"b", "a"}, want: []Problem{Missing, NoInjector, NoInjector}, says: "revision a"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			names := tc.own
			if names == nil {
				names = []string{own}
			}
			var got []Problem
			var text strings.Builder
			for _, f := range Judge(Facts{Own: names, All: tc.all, Revisions: tc.revisions}) {
				got = append(got, f.Problem)
				text.WriteString(f.Message + "\n")
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || !strings.Contains(text.String(), tc.says) {
				t.Errorf("%s(-want +got):\n%s", text.String(), diff)
			}
		})
	}
}

func TestTheWatcherSeesWhatIsInTheCluster(t *testing.T) {
	c := cluster.Shared(t)
	client, err := kubernetes.NewForConfig(c.Config())
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w, err := New(Options{
		Client: client, Mutating: []string{own}, Revisions: func() []string { return []string{"a"} },
		Log: funcr.New(func(_, args string) { log.WriteString(args + "\n") }, funcr.Options{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := w.State(); ok {
		t.Error("it knows something before it has looked")
	}
	api := client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	create := func(o admissionregistrationv1.MutatingWebhookConfiguration) {
		t.Helper()
		none, path := admissionregistrationv1.SideEffectClassNone, "https://127.0.0.1:1/x"
		for i := range o.Webhooks {
			o.Webhooks[i].SideEffects, o.Webhooks[i].AdmissionReviewVersions = &none, []string{"v1"}
			o.Webhooks[i].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: &path}
		}
		if _, err := api.Create(t.Context(), &o, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = api.Delete(t.Context(), o.Name, metav1.DeleteOptions{}) })
	}
	create(injector("0-early", "a"))
	expect(t, w, []Problem{Missing})
	create(router(own))
	expect(t, w, []Problem{Order, NoBundle})
	create(injector("istio-sidecar-injector", "a"))
	if err := api.Delete(t.Context(), "0-early", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect(t, w, []Problem{NoBundle})
	w.Look(t.Context())
	if n := strings.Count(log.String(), `"problem"="order"`); n != 2 {
		t.Errorf("the order was logged %d times, want once when it went wrong and once when it was put right:\n%s", n, log.String())
	}
}

// expect looks until the watcher's view, which the API server's cache serves, is the one that is wanted.
func expect(t *testing.T, w *Watcher, want []Problem) {
	t.Helper()
	var got []Problem
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		w.Look(t.Context())
		s, _ := w.State()
		got = nil
		for _, f := range s.Findings {
			got = append(got, f.Problem)
		}
		if cmp.Equal(want, got) {
			return
		}
	}
	t.Fatalf("found %v, want %v", got, want)
}
