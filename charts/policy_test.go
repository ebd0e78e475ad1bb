package charts_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// policyOf lets the router's own parser read the file, so a key that it does not know fails here and not in a cluster.
func policyOf(t *testing.T, r release) config.RouterPolicy {
	t.Helper()
	mount := container(t, r).VolumeMounts[0]
	file, found := strings.CutPrefix(flagOf(t, r, "policy"), mount.MountPath+"/")
	if !found || mount.SubPath != "" {
		t.Fatalf("--policy is not in the directory that is mounted: %+v", mount)
	}
	// Beside the dashboard's, and what the values add.
	maps := slices.DeleteFunc(all[*corev1.ConfigMap](r), func(c *corev1.ConfigMap) bool {
		return strings.HasSuffix(c.Name, "-dashboard") || strings.HasSuffix(c.Name, "-extra")
	})
	if len(maps) != 1 {
		t.Fatalf("%d ConfigMaps of the policy, want one", len(maps))
	}
	policy, err := config.Parse([]byte(maps[0].Data[file]))
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestPolicyIsTheOneOfTheValues(t *testing.T) {
	changed := func(change func(*config.RouterPolicy)) config.RouterPolicy {
		policy := config.Default()
		change(&policy)
		return policy
	}
	// The files of values say what they want of the policy; all others want the default.
	want := map[string]config.RouterPolicy{
		"changes-disabled": changed(func(p *config.RouterPolicy) { p.OperatorServiceAccounts = nil }),
		"namespaces-by-default": changed(func(p *config.RouterPolicy) {
			p.Unresolved, p.NoMesh = routing.Warn, routing.Deny
		}),
		"forward": changed(func(p *config.RouterPolicy) {
			p.Precedence = config.Precedence{{
				NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}}, Precedence: config.PodFirst,
			}}
		}),
		"forward-everywhere": changed(func(p *config.RouterPolicy) {
			p.Precedence = config.Precedence{{Precedence: config.PodFirst}}
		}),
		"policy": {
			Precedence: config.Default().Precedence,
			APIVersion: config.APIVersion, Kind: config.Kind, Unresolved: routing.Warn, NoMesh: routing.Deny,
			Rules: map[skew.Rule]skew.Level{
				skew.CNISkew: skew.Warn, skew.InUseDelete: skew.Off, skew.UnknownVersion: skew.Off, skew.ZTunnelDrain: skew.Deny,
			},
			ControlPlaneVersion: skew.Declared, CNI: config.CNI{MaxAhead: 1}, ZTunnel: config.ZTunnel{DrainSeconds: 1000000},
			OperatorServiceAccounts: []string{"system:serviceaccount:mesh-system:sail-operator"},
		},
	}
	for name, args := range matrix(t) {
		t.Run(name, func(t *testing.T) {
			expected, special := want[name]
			if !special {
				expected = config.Default()
			}
			if diff := cmp.Diff(expected, policyOf(t, render(t, args...)), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

// What is set to null is left to the router, whose default then holds.
func TestPolicyWithoutAFieldHasTheRoutersDefault(t *testing.T) {
	for _, field := range []string{
		"unresolved", "noMesh", "precedence", "rules", "controlPlaneVersion", "cni", "cni.maxAhead", "ztunnel", "ztunnel.drainSeconds",
		"operatorServiceAccounts",
	} {
		t.Run(field, func(t *testing.T) {
			got := policyOf(t, render(t, set("policy."+field+"=null")...))
			if diff := cmp.Diff(config.Default(), got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("policy (-default +got):\n%s", diff)
			}
		})
	}
}

func TestSchemaNamesTheRulesAndTheirLevels(t *testing.T) {
	type level struct {
		Ref  string `json:"$ref"`
		Enum []any  `json:"enum"`
	}
	var schema struct {
		Properties struct {
			Policy struct {
				Properties struct {
					Rules struct {
						Properties map[string]level `json:"properties"`
					} `json:"rules"`
				} `json:"properties"`
			} `json:"policy"`
		} `json:"properties"`
		Definitions map[string]level `json:"definitions"`
	}
	if err := json.Unmarshal(chartFile(t, "values.schema.json"), &schema); err != nil {
		t.Fatal(err)
	}
	// got and want are the levels that a rule may have; Off counts as two, since YAML reads it as false.
	got, want := map[string][]string{}, map[string][]string{}
	for rule, allowed := range schema.Properties.Policy.Properties.Rules.Properties {
		if name, isReference := strings.CutPrefix(allowed.Ref, "#/definitions/"); isReference {
			allowed = schema.Definitions[name]
		}
		if !slices.Contains(allowed.Enum, any(false)) {
			t.Errorf("%s refuses a bare Off", rule)
		}
		for _, value := range allowed.Enum {
			if name, isText := value.(string); isText {
				got[rule] = append(got[rule], name)
			}
		}
	}
	for _, info := range skew.Rules() {
		for _, l := range []skew.Level{skew.Deny, skew.Warn, skew.Off} {
			policy := skew.Policy{Levels: map[skew.Rule]skew.Level{info.Rule: l}}
			if policy.Validate() == nil {
				want[string(info.Rule)] = append(want[string(info.Rule)], string(l))
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rules and their levels (-router +schema):\n%s", diff)
	}
}
