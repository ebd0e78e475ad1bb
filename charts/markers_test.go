package charts_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

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
