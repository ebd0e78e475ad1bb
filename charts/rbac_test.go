package charts_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/revision-router/revision-router/charts"
)

// permission is one verb on one resource, as narrow as a rule can say it. Scope is empty for the whole cluster.
type permission struct{ scope, group, resource, name, verb string }

func (p permission) String() string {
	where := "cluster"
	if p.scope != "" {
		where = "namespace " + p.scope
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %s %s/%s %s", where, p.verb, p.group, p.resource, p.name))
}

// expand turns a rule into permissions.
func expand(scope string, rule rbacv1.PolicyRule) []permission {
	names := rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var expanded []permission
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, name := range names {
				for _, verb := range rule.Verbs {
					expanded = append(expanded, permission{scope, group, resource, name, verb})
				}
			}
		}
	}
	return expanded
}

func granted(t *testing.T, r release) []permission {
	t.Helper()
	var list []permission
	for _, rule := range one[*rbacv1.ClusterRole](t, r).Rules {
		list = append(list, expand("", rule)...)
	}
	for _, role := range all[*rbacv1.Role](r) {
		for _, rule := range role.Rules {
			list = append(list, expand(role.Namespace, rule)...)
		}
	}
	return list
}

// The markers stand beside the calls that need them, so this compares what the code does with what it may do: a
// missing permission fails in production, one too many is a risk for nothing.
func TestPermissionsAreThoseOfTheMarkersInTheCode(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		// without takes away what the code does not do with these values.
		without func(*testing.T, map[string][]permission)
	}{
		"where changes are judged":                 {without: withoutForward},
		"where changes are not judged":             {args: set("changes.enabled=false"), without: both(withoutForward, withoutChanges)},
		"where nobody is told in Events":           {args: set("events.enabled=false"), without: both(withoutForward, withoutEvents)},
		"where cert-manager keeps the certificate": {args: set("certs.provider=cert-manager"), without: both(withoutForward, withoutCA)},
		"where the router injects":                 {args: set("mode=forward"), without: inControlPlanes("istio-system")},
		"where the router injects for two control planes": {
			args:    set("mode=forward", "forward.controlPlaneNamespaces={a,b}", "certs.provider=cert-manager"),
			without: both(withoutCA, inControlPlanes("a", "b")),
		},
		"where the router injects for control planes anywhere": {
			args:    append(set("mode=forward", "changes.enabled=false"), "--set-json", "forward.controlPlaneNamespaces=[]"),
			without: withoutChanges,
		},
	} {
		t.Run(name, func(t *testing.T) {
			found := markers(t, "..")
			tc.without(t, found)
			needed := narrowed(slices.Concat(slices.Collect(maps.Values(found))...))
			if len(needed) == 0 {
				t.Fatal("no +kubebuilder:rbac marker in the code: the comparison would prove nothing")
			}
			allowed := granted(t, render(t, tc.args...))
			for _, difference := range differences(needed, allowed) {
				t.Error(difference)
			}
			// Whatever rule is lost is missed, and whatever is added is noticed.
			for i, p := range allowed {
				if found := differences(needed, slices.Delete(slices.Clone(allowed), i, i+1)); len(found) == 0 {
					t.Errorf("nobody would notice that %s is gone", p)
				}
			}
			if found := differences(needed, append(slices.Clone(allowed), permission{resource: "secrets", verb: "list"})); len(found) != 1 {
				t.Errorf("with all Secrets: differences %v", found)
			}
		})
	}
}

// differences between what the code needs and what the chart grants.
func differences(needed, allowed []permission) []string {
	var found []string
	for _, p := range needed {
		if !slices.Contains(allowed, p) {
			found = append(found, "the code needs what the chart does not grant: "+p.String())
		}
	}
	for _, p := range allowed {
		if !slices.Contains(needed, p) {
			found = append(found, "the chart grants what no marker in the code asks for: "+p.String())
		}
	}
	return found
}

func both(first, second func(*testing.T, map[string][]permission)) func(*testing.T, map[string][]permission) {
	return func(t *testing.T, found map[string][]permission) {
		t.Helper()
		first(t, found)
		second(t, found)
	}
}

// forwardFile holds the markers of what is followed in mode forward only.
const forwardFile = "internal/mesh/forward.go"

// withoutForward takes away what only a router that injects does.
func withoutForward(t *testing.T, found map[string][]permission) {
	t.Helper()
	if len(found[forwardFile]) == 0 {
		t.Errorf("no marker in %s: this test leaves out a file that has moved", forwardFile)
	}
	delete(found, forwardFile)
}

// inControlPlanes puts what is followed in namespaces of control planes into these: markers cannot name them.
func inControlPlanes(namespaces ...string) func(*testing.T, map[string][]permission) {
	return func(t *testing.T, found map[string][]permission) {
		t.Helper()
		var narrow []permission
		for _, p := range found[forwardFile] {
			if p.resource == "validatingwebhookconfigurations" {
				narrow = append(narrow, p) // these have no namespace
				continue
			}
			for _, namespace := range namespaces {
				p.scope = namespace
				narrow = append(narrow, p)
			}
		}
		if len(narrow) == len(found[forwardFile]) && len(namespaces) > 1 {
			t.Errorf("nothing in %s is followed in a namespace", forwardFile)
		}
		found[forwardFile] = narrow
	}
}

// withoutChanges takes away what only the validation of changes needs, for a chart that installs no webhook for it:
// the source of the skew rules is not started then, and there is no validating configuration to keep a CA bundle in.
func withoutChanges(t *testing.T, found map[string][]permission) {
	t.Helper()
	for _, file := range []string{"internal/mesh/skewtable.go", "internal/mesh/live.go"} {
		if len(found[file]) == 0 {
			t.Errorf("no marker in %s: this test leaves out a file that has moved", file)
		}
		delete(found, file)
	}
	for file, permissions := range found {
		if file == forwardFile {
			continue
		}
		found[file] = slices.DeleteFunc(permissions, func(p permission) bool {
			return p.resource == "validatingwebhookconfigurations"
		})
	}
}

// withoutEvents takes away what only a router needs that writes Events.
func withoutEvents(t *testing.T, found map[string][]permission) {
	t.Helper()
	const file = "internal/events/write.go"
	if len(found[file]) == 0 {
		t.Errorf("no marker in %s: this test leaves out a file that has moved", file)
	}
	delete(found, file)
}

// withoutCA takes away what only a router needs that keeps its own CA.
func withoutCA(t *testing.T, found map[string][]permission) {
	t.Helper()
	before := len(found)
	maps.DeleteFunc(found, func(file string, _ []permission) bool {
		return strings.HasPrefix(file, "certs/secretca/") || strings.HasPrefix(file, "internal/lease/")
	})
	if len(found) > before-4 {
		t.Errorf("%d files left out: this test leaves out files that have moved", before-len(found))
	}
}

// narrowed leaves out what is said for one object although it is also said for all of them.
func narrowed(permissions []permission) []permission {
	return slices.DeleteFunc(slices.Clone(permissions), func(p permission) bool {
		forAll := p
		forAll.name = ""
		return p.name != "" && slices.Contains(permissions, forAll)
	})
}

func TestPermissionsAreNarrow(t *testing.T) {
	for _, mode := range []string{"guard", "forward"} {
		t.Run(mode, func(t *testing.T) {
			areNarrow(t, renderAs(t, charts.Options{Namespace: "elsewhere", Args: set("fullnameOverride=guard", "mode="+mode)}))
		})
	}
}

func areNarrow(t *testing.T, r release) {
	t.Helper()
	writing := []string{"update", "patch", "delete", "deletecollection"}
	for _, p := range granted(t, r) {
		if strings.Contains(p.group+p.resource+p.verb, "*") {
			t.Errorf("wildcard in %s", p)
		}
		if p.name == "" && slices.Contains(writing, p.verb) && p.resource != "events" { // which are about whatever there is
			t.Errorf("%s names no object", p)
		}
		if p.resource == "secrets" && (p.scope == "" || p.name == "" && p.verb != "create") {
			t.Errorf("%s reaches more than the router's own Secret", p)
		}
		if p.name == "" {
			continue
		}
		want := map[string]string{
			"mutatingwebhookconfigurations":   flagOf(t, r, "mutating-webhook"),
			"validatingwebhookconfigurations": flagOf(t, r, "validating-webhook"),
			"secrets":                         flagOf(t, r, "ca-secret"),
			"leases":                          flagOf(t, r, "lease"),
			"configmaps":                      "istio-ca-root-cert",
		}[p.resource]
		if p.name != want {
			t.Errorf("%s: the router uses %q", p, want)
		}
	}
}
