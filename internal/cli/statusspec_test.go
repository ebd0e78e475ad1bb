package cli

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The specification names exactly the keys that the JSON has.
func TestTheSpecificationNamesEveryKeyOfTheStatus(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/spec.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "### 6.1 router status")
	section, _, closed := strings.Cut(section, "\n##")
	if !found || !closed {
		t.Fatal("spec.md has no section 6.1")
	}
	documented := map[string]bool{}
	for _, key := range regexp.MustCompile(`"([a-zA-Z]+)"`).FindAllStringSubmatch(section, -1) {
		documented[key[1]] = true
	}
	delete(documented, "MeshStatus") // a value

	printed := map[string]bool{}
	for _, args := range append(slices.Collect(maps.Values(statusMeshes())), []string{"-f", "testdata/status/forward", "--mode", "forward"}) {
		var report any
		if err := json.Unmarshal([]byte(ranCommand(t, "status", "", append(slices.Clone(args), "-o", "json")...).stdout), &report); err != nil {
			t.Fatal(err)
		}
		addKeys(printed, report)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(documented)), slices.Sorted(maps.Keys(printed))); diff != "" {
		t.Errorf("keys (-documented +printed):\n%s", diff)
	}
}

func addKeys(keys map[string]bool, value any) {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			keys[key] = true
			addKeys(keys, inner)
		}
	case []any:
		for _, inner := range v {
			addKeys(keys, inner)
		}
	}
}
