package charts_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/cluster"
)

// trial asks a real API server which writes it would send: the rendered entries fail closed and call an address at
// which nobody listens, so a write that is sent fails, and one that is not succeeds. Every write is a dry run.
type trial struct {
	t      *testing.T
	server api
}

func dryRun() []string { return []string{metav1.DryRunAll} }

func newTrial(t *testing.T) trial {
	t.Helper()
	return trial{t: t, server: connect(t, cluster.Shared(t).Config())}
}

// begin installs the configuration and waits until the API server acts by it. What must exist before comes before.
func (tr trial) begin() {
	tr.t.Helper()
	r := renderAs(tr.t, charts.Options{Namespace: home, Args: set("changes.failurePolicy=Fail")})
	configuration := one[*admissionregistrationv1.ValidatingWebhookConfiguration](tr.t, r).DeepCopy()
	configuration.Name = "on-trial"
	for i := range configuration.Webhooks {
		configuration.Webhooks[i].ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new("https://127.0.0.1:1/")}
	}
	client := tr.server.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	if _, err := client.Create(tr.t.Context(), configuration, metav1.CreateOptions{}); err != nil {
		tr.t.Fatal(err)
	}
	tr.t.Cleanup(func() {
		if err := client.Delete(context.Background(), configuration.Name, metav1.DeleteOptions{}); err != nil {
			tr.t.Error(err)
		}
	})
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "await", Labels: map[string]string{routing.LabelRevision: "x"}}}
	err := wait.PollUntilContextTimeout(tr.t.Context(), 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := tr.server.CoreV1().Namespaces().Create(ctx, labelled, metav1.CreateOptions{DryRun: dryRun()})
		return tr.entry(err) == namespaceChanges, nil
	})
	if err != nil {
		tr.t.Fatalf("the configuration never came into force: %v", err)
	}
}

// entry returns the entry that a write was sent to, empty where it was sent to none. Any other failure fails the test.
func (tr trial) entry(err error) string {
	tr.t.Helper()
	if err == nil {
		return ""
	}
	_, after, called := strings.Cut(err.Error(), `failed calling webhook "`)
	name, _, _ := strings.Cut(after, `.changes.revision-router.io"`)
	if !called || !apierrors.IsInternalError(err) {
		tr.t.Errorf("neither admitted nor sent: %v", err)
	}
	return name
}

func (tr trial) expect(want string, err error) {
	tr.t.Helper()
	if got := tr.entry(err); got != want {
		tr.t.Errorf("sent to %q, want %q", got, want)
	}
}

// namespaceCase is one write of a namespace. Before is nil for a creation, after for a deletion.
type namespaceCase struct {
	name          string
	before, after labels.Set
	want          string
}

// namespaceCases has each label of Istio's come, change and go.
func namespaceCases() map[string]namespaceCase {
	cases := map[string]namespaceCase{
		"a creation without labels":            {after: labels.Set{}},
		"a creation with another label":        {after: labels.Set{"team": "a"}},
		"an update of another label":           {before: labels.Set{"team": "a"}, after: labels.Set{"team": "b"}},
		"an update of another label beside it": {before: labels.Set{routing.LabelInjection: "enabled"}, after: labels.Set{routing.LabelInjection: "enabled", "team": "b"}},
		"an update of nothing":                 {before: labels.Set{skew.LabelUseWaypoint: "w"}, after: labels.Set{skew.LabelUseWaypoint: "w"}},
		"the first label there is":             {before: labels.Set{}, after: labels.Set{routing.LabelRevision: "x"}, want: namespaceChanges},
		"one label of Istio's for another": {
			before: labels.Set{routing.LabelInjection: "enabled"}, after: labels.Set{routing.LabelRevision: "x"}, want: namespaceChanges,
		},
		// A listener of the waypoint may choose by any label.
		"an update of another label of a namespace with a waypoint": {
			before: labels.Set{skew.LabelUseWaypoint: "w", "team": "a"}, after: labels.Set{skew.LabelUseWaypoint: "w"}, want: namespaceChanges,
		},
		"the router's own namespace":         {name: home, after: labels.Set{routing.LabelInjection: "enabled"}},
		"kube-system":                        {name: "kube-system", before: labels.Set{}, after: labels.Set{routing.LabelInjection: "enabled"}},
		"a control plane's namespace":        {name: "istio-system", after: labels.Set{routing.LabelInjection: "enabled"}, want: namespaceChanges},
		"a creation that claims a name":      {after: labels.Set{metadataName: "kube-system", routing.LabelRevision: "x"}, want: namespaceChanges},
		"an update that claims a name":       {before: labels.Set{}, after: labels.Set{metadataName: "kube-system", routing.LabelRevision: "x"}, want: namespaceChanges},
		"a removal under a claimed name":     {before: labels.Set{routing.LabelRevision: "x"}, after: labels.Set{metadataName: home}, want: namespaceChanges},
		"a deletion without labels":          {before: labels.Set{}, want: namespaceChanges},
		"a deletion with a label of Istio's": {before: labels.Set{routing.LabelRevision: "x"}, want: namespaceChanges},
		"a deletion under a claimed name":    {before: labels.Set{metadataName: "kube-system"}, want: namespaceChanges},
		"a deletion of the router's own":     {name: home, before: labels.Set{}},
		"a creation with an empty label":     {after: labels.Set{routing.LabelRevision: ""}, want: namespaceChanges},
		"the removal of an empty label":      {before: labels.Set{routing.LabelRevision: ""}, after: labels.Set{}, want: namespaceChanges},
		"an empty label becomes something":   {before: labels.Set{routing.LabelRevision: ""}, after: labels.Set{routing.LabelRevision: "x"}, want: namespaceChanges},
	}
	for _, key := range []string{
		routing.LabelInjection, routing.LabelRevision, skew.LabelDataplaneMode, skew.LabelUseWaypoint, skew.LabelUseWaypointNamespace,
	} {
		cases["a creation with "+key] = namespaceCase{after: labels.Set{key: "x"}, want: namespaceChanges}
		cases["a removal of "+key] = namespaceCase{before: labels.Set{key: "x", "team": "a"}, after: labels.Set{"team": "a"}, want: namespaceChanges}
		cases["an addition of "+key] = namespaceCase{before: labels.Set{"team": "a"}, after: labels.Set{key: "x", "team": "a"}, want: namespaceChanges}
		cases["a change of "+key] = namespaceCase{before: labels.Set{key: "x"}, after: labels.Set{key: "y"}, want: namespaceChanges}
	}
	return cases
}

func TestServerSendsNamespacesWhoseLabelsOfIstiosChange(t *testing.T) {
	tr := newTrial(t)
	namespaces := tr.server.CoreV1().Namespaces()
	cases, count := namespaceCases(), 0
	for name, tc := range maps.Clone(cases) {
		if tc.name == "" {
			tc.name = fmt.Sprintf("trial-%d", count)
			count++
			cases[name] = tc
		}
		if tc.before == nil {
			continue
		}
		_, err := namespaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tc.name, Labels: tc.before}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	tr.begin()
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			own := trial{t: t, server: tr.server}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: tc.name, Labels: tc.after}}
			if tc.before == nil {
				_, err := namespaces.Create(t.Context(), namespace, metav1.CreateOptions{DryRun: dryRun()})
				if apierrors.IsAlreadyExists(err) {
					err = nil // Another test has made it; admission comes before storage.
				}
				own.expect(tc.want, err)
				return
			}
			if tc.after == nil {
				own.expect(tc.want, namespaces.Delete(t.Context(), tc.name, metav1.DeleteOptions{DryRun: dryRun()}))
				return
			}
			_, err := namespaces.Update(t.Context(), namespace, metav1.UpdateOptions{DryRun: dryRun()})
			own.expect(tc.want, err)
			_, err = namespaces.UpdateStatus(t.Context(), namespace, metav1.UpdateOptions{DryRun: dryRun()})
			own.expect("", err)
		})
	}
}

// What was decided before is not asked about again: a terminating namespace has to be able to end without the router.
func TestServerSendsNothingOfATerminatingNamespace(t *testing.T) {
	tr := newTrial(t)
	if err := cluster.InstallCRDs(t.Context(), cluster.Shared(t).Config(), inventory.CRDs()); err != nil {
		t.Fatal(err)
	}
	const ending = "ending"
	tr.server.createNamespace(t, ending)
	waypoint := meshCases()["Gateway"]
	waypoint.namespace = ending
	tr.createForReal(waypoint)
	namespaces := tr.server.CoreV1().Namespaces()
	if err := namespaces.Delete(t.Context(), ending, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	tr.begin()
	tr.expect("", namespaces.Delete(t.Context(), ending, metav1.DeleteOptions{}))
	labelled, err := namespaces.Get(t.Context(), ending, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	labelled.Labels[routing.LabelRevision] = "x"
	_, err = namespaces.Update(t.Context(), labelled, metav1.UpdateOptions{DryRun: dryRun()})
	tr.expect("", err)

	for user, want := range map[string]string{
		"system:serviceaccount:kube-system:namespace-controller":      "",
		"system:serviceaccount:kube-system:generic-garbage-collector": "",
		"system:kube-controller-manager":                              "",
		"alice":                                                       gatewayChanges,
	} {
		if excused := (skew.Policy{}).Excuses(user); excused != (want == "") {
			t.Errorf("%s is excused: %t; the chart and the rules must agree", user, excused)
		}
		config, err := cluster.Shared(t).ConfigFor(user, "system:masters")
		if err != nil {
			t.Fatal(err)
		}
		as := trial{t: t, server: connect(t, config)}
		tr.expect(want, as.resource(waypoint).Delete(t.Context(), "default", metav1.DeleteOptions{DryRun: dryRun()}))
	}
}
