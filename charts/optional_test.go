package charts_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// A roll-out must not take the last router away, nor may a budget keep nodes from being drained.
func TestAvailability(t *testing.T) {
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			r := render(t, args...)
			deployment := one[*appsv1.Deployment](t, r)
			replicas := fewest(t, r)
			budgets := all[*policyv1.PodDisruptionBudget](r)
			if (len(budgets) == 1) != (replicas > 1) {
				t.Errorf("%d budgets for %d replicas", len(budgets), replicas)
			}
			for _, budget := range budgets {
				var evictable int
				if unavailable := budget.Spec.MaxUnavailable; unavailable != nil {
					evictable = scaled(t, unavailable, replicas)
				} else {
					evictable = replicas - scaled(t, budget.Spec.MinAvailable, replicas)
				}
				if evictable < 1 || evictable >= replicas {
					t.Errorf("%d of %d pods may be evicted", evictable, replicas)
				}
			}
			grace := time.Duration(*deployment.Spec.Template.Spec.TerminationGracePeriodSeconds) * time.Second
			if stop := seconds(t, r, "drain-delay") + seconds(t, r, "shutdown-timeout"); grace < stop+15*time.Second {
				t.Errorf("%s to stop, want the %s that draining and stopping take, and some more", grace, stop)
			}
			for _, constraint := range deployment.Spec.Template.Spec.TopologySpreadConstraints {
				if constraint.LabelSelector == nil {
					t.Errorf("the constraint on %s selects nothing", constraint.TopologyKey)
				}
			}
		})
	}
	strategy := one[*appsv1.Deployment](t, render(t)).Spec.Strategy.RollingUpdate
	if strategy.MaxUnavailable.IntValue() != 0 || strategy.MaxSurge.IntValue() != 1 {
		t.Errorf("roll-out %v, want none unavailable and one more", strategy)
	}
}

// fewest is how many pods there are at least, of the Deployment or of what scales it.
func fewest(t *testing.T, r release) int {
	t.Helper()
	if scalers := all[*autoscalingv2.HorizontalPodAutoscaler](r); len(scalers) > 0 {
		return int(*scalers[0].Spec.MinReplicas)
	}
	return int(*one[*appsv1.Deployment](t, r).Spec.Replicas)
}

func seconds(t *testing.T, r release, flag string) time.Duration {
	t.Helper()
	value, err := time.ParseDuration(flagOf(t, r, flag))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func scaled(t *testing.T, share *intstr.IntOrString, of int) int {
	t.Helper()
	value, err := intstr.GetScaledValueFromIntOrPercent(share, of, true)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestBudget(t *testing.T) {
	cases := map[string]struct {
		args []string
		want *policyv1.PodDisruptionBudgetSpec
	}{
		"one of two stays":              {want: &policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromInt32(1))}},
		"one replica has none":          {args: set("replicaCount=1")},
		"none where it is switched off": {args: set("podDisruptionBudget.enabled=false")},
		"maxUnavailable takes its place": {
			args: set("replicaCount=5", "podDisruptionBudget.maxUnavailable=2"),
			want: &policyv1.PodDisruptionBudgetSpec{MaxUnavailable: new(intstr.FromInt32(2))},
		},
		"a share": {
			args: set("replicaCount=4", "podDisruptionBudget.minAvailable=50%"),
			want: &policyv1.PodDisruptionBudgetSpec{MinAvailable: new(intstr.FromString("50%"))},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var got *policyv1.PodDisruptionBudgetSpec
			for _, budget := range all[*policyv1.PodDisruptionBudget](render(t, tc.args...)) {
				got = &policyv1.PodDisruptionBudgetSpec{
					MinAvailable: budget.Spec.MinAvailable, MaxUnavailable: budget.Spec.MaxUnavailable,
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("budget (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNetworkPolicy(t *testing.T) {
	if policies := all[*networkingv1.NetworkPolicy](render(t)); len(policies) != 0 {
		t.Error("rendered although it is off by default")
	}
	port := func(port any, protocol corev1.Protocol) networkingv1.NetworkPolicyPort {
		value := intstr.IntOrString{}
		switch p := port.(type) {
		case int:
			value = intstr.FromInt(p)
		case string:
			value = intstr.FromString(p)
		}
		return networkingv1.NetworkPolicyPort{Port: &value, Protocol: &protocol}
	}
	monitoring := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{
		MatchLabels: map[string]string{metadataName: "monitoring"},
	}}
	webhookOnly := []networkingv1.NetworkPolicyIngressRule{{
		Ports: []networkingv1.NetworkPolicyPort{port("webhook", corev1.ProtocolTCP)},
	}}
	egress := []networkingv1.NetworkPolicyEgressRule{
		{Ports: []networkingv1.NetworkPolicyPort{
			port(53, corev1.ProtocolUDP), port(53, corev1.ProtocolTCP), port(5353, corev1.ProtocolUDP), port(5353, corev1.ProtocolTCP),
		}},
		{Ports: []networkingv1.NetworkPolicyPort{port(443, corev1.ProtocolTCP), port(6443, corev1.ProtocolTCP)}},
	}
	// injectors are where a router in mode forward may go beside.
	injectors := func(peers ...networkingv1.NetworkPolicyPeer) []networkingv1.NetworkPolicyEgressRule {
		return append(slices.Clone(egress), networkingv1.NetworkPolicyEgressRule{
			Ports: []networkingv1.NetworkPolicyPort{port(443, corev1.ProtocolTCP), port(15017, corev1.ProtocolTCP)}, To: peers,
		})
	}
	controlPlane := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: metadataName, Operator: metav1.LabelSelectorOpIn, Values: []string{"istio-system"}},
	}}}
	cases := map[string]struct {
		args   []string
		want   []networkingv1.NetworkPolicyIngressRule
		egress []networkingv1.NetworkPolicyEgressRule // the one above where there is none
	}{
		"injectors can be reached where control planes are": {
			args: set("mode=forward"), want: webhookOnly, egress: injectors(controlPlane),
		},
		"injectors that may be anywhere can be reached anywhere": {
			args: append(set("mode=forward"), "--set-json", "forward.controlPlaneNamespaces=[]"), want: webhookOnly, egress: injectors(),
		},
		"nobody reads the metrics, and nothing but the webhook is open": {want: webhookOnly},
		"the metrics are for those who are named": {
			args: []string{"--set-json", `networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"` + metadataName + `":"monitoring"}}}]`},
			want: append(webhookOnly, networkingv1.NetworkPolicyIngressRule{
				Ports: []networkingv1.NetworkPolicyPort{port("metrics", corev1.ProtocolTCP)},
				From:  []networkingv1.NetworkPolicyPeer{monitoring},
			}),
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			spec := one[*networkingv1.NetworkPolicy](t, render(t, append(set("networkPolicy.enabled=true"), tc.args...)...)).Spec
			if diff := cmp.Diff(tc.want, spec.Ingress); diff != "" {
				t.Errorf("ingress (-want +got):\n%s", diff)
			}
			want := tc.egress
			if want == nil {
				want = egress
			}
			if diff := cmp.Diff(want, spec.Egress); diff != "" {
				t.Errorf("egress (-want +got):\n%s", diff)
			}
		})
	}
}
