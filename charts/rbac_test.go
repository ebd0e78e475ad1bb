package charts_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
			list = append(list, expand(r.namespace, rule)...)
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
		"where changes are judged":                 {without: func(*testing.T, map[string][]permission) {}},
		"where changes are not judged":             {args: set("changes.enabled=false"), without: withoutChanges},
		"where cert-manager keeps the certificate": {args: set("certs.provider=cert-manager"), without: withoutCA},
	} {
		t.Run(name, func(t *testing.T) {
			found := markers(t, "..")
			tc.without(t, found)
			needed := narrowed(slices.Concat(slices.Collect(maps.Values(found))...))
			if len(needed) == 0 {
				t.Fatal("no +kubebuilder:rbac marker in the code: the comparison would prove nothing")
			}
			allowed := granted(t, render(t, tc.args...))
			for _, p := range needed {
				if !slices.Contains(allowed, p) {
					t.Errorf("the code needs what the chart does not grant: %s", p)
				}
			}
			for _, p := range allowed {
				if !slices.Contains(needed, p) {
					t.Errorf("the chart grants what no marker in the code asks for: %s", p)
				}
			}
		})
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
		found[file] = slices.DeleteFunc(permissions, func(p permission) bool {
			return p.resource == "validatingwebhookconfigurations"
		})
	}
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

// markers collects the +kubebuilder:rbac markers of the Go files below root that are compiled into the router, by file.
func markers(t *testing.T, root string) map[string][]permission {
	t.Helper()
	found := map[string][]permission{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := entry.Name()
		if entry.IsDir() {
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "test" || name == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file := filepath.ToSlash(strings.TrimPrefix(path, root+string(filepath.Separator)))
		for lines := bufio.NewScanner(bytes.NewReader(source)); lines.Scan(); {
			_, marker, isMarker := strings.Cut(strings.TrimSpace(lines.Text()), "+kubebuilder:rbac:")
			if !isMarker {
				continue
			}
			permissions, err := parseMarker(marker)
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			found[file] = append(found[file], permissions...)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// parseMarker reads what follows "+kubebuilder:rbac:": arguments separated by commas, values by semicolons, with
// quotes around what controller-gen would read otherwise.
func parseMarker(marker string) ([]permission, error) {
	var rule rbacv1.PolicyRule
	scope := ""
	for argument := range strings.SplitSeq(marker, ",") {
		key, text, found := strings.Cut(argument, "=")
		if !found {
			return nil, fmt.Errorf("marker %q: no value in %q", marker, argument)
		}
		var values []string
		for value := range strings.SplitSeq(strings.Trim(text, "{}"), ";") {
			values = append(values, strings.Trim(value, "\"`"))
		}
		switch key {
		case "groups":
			rule.APIGroups = values
		case "resources":
			rule.Resources = values
		case "resourceNames":
			rule.ResourceNames = values
		case "verbs":
			rule.Verbs = values
		case "namespace":
			scope = values[0]
		default:
			return nil, fmt.Errorf("marker %q: unknown argument %q", marker, key)
		}
	}
	permissions := expand(scope, rule)
	if len(permissions) == 0 {
		return nil, fmt.Errorf("marker %q: groups, resources and verbs are required", marker)
	}
	return permissions, nil
}

func TestParseMarker(t *testing.T) {
	cases := map[string]struct {
		marker  string
		want    []permission
		wantErr string
	}{
		"every combination of the lists": {
			marker: `groups="",resources=namespaces;pods,verbs=get;list`,
			want: []permission{
				{resource: "namespaces", verb: "get"},
				{resource: "namespaces", verb: "list"},
				{resource: "pods", verb: "get"},
				{resource: "pods", verb: "list"},
			},
		},
		"a name and a namespace": {
			marker: `groups="",resources=secrets,resourceNames=ca,verbs=get,namespace=here`,
			want:   []permission{{scope: "here", resource: "secrets", name: "ca", verb: "get"}},
		},
		"a marker without verbs is refused": {marker: "groups=apps,resources=deployments", wantErr: "are required"},
		"a misspelt argument is refused":    {marker: "group=apps", wantErr: `unknown argument "group"`},
		"an argument without a value is refused": {
			marker: "groups", wantErr: "no value",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := parseMarker(tc.marker)
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one with %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got, cmp.AllowUnexported(permission{})); diff != "" {
				t.Errorf("permissions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPermissionsAreNarrow(t *testing.T) {
	r := renderAs(t, charts.Options{Namespace: "elsewhere", Args: set("fullnameOverride=guard")})
	writing := []string{"update", "patch", "delete", "deletecollection"}
	for _, p := range granted(t, r) {
		if strings.Contains(p.group+p.resource+p.verb, "*") {
			t.Errorf("wildcard in %s", p)
		}
		if p.name == "" && slices.Contains(writing, p.verb) {
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
		}[p.resource]
		if p.name != want {
			t.Errorf("%s: the router uses %q", p, want)
		}
	}
}
