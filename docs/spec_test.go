// Package docs holds no code: its tests keep the pages here and the program saying the same.
package docs

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/internal/config"
	"github.com/revision-router/revision-router/internal/events"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/webhook"
)

func read(t *testing.T, page string) string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheSpecificationAndTheCodeUseTheSameWords(t *testing.T) {
	known := []string{"Inject", "Skip", "Unresolvable", "Deny", "Warn", "False", "FALSE", "F", "Ignore"}
	for _, rule := range skew.Rules() {
		known = append(known, string(rule.Rule))
	}
	for _, row := range routing.Reasons() {
		known = append(known, string(row.Reason))
	}
	for _, why := range routing.UnroutableReasons() {
		known = append(known, string(why))
	}
	for _, followed := range routing.AllFollowed() {
		known = append(known, string(followed))
	}
	known = append(known, webhook.InjectorFailed, events.TagHeldBack, events.RolloutUnreadable, events.TagRecovered)
	var all routing.WarningSet
	for _, w := range (^all).List() {
		known = append(known, string(w))
	}
	page := read(t, "spec.md")
	for _, word := range known {
		if word != "Ignore" && !strings.Contains(page, "`"+word) && !strings.Contains(page, word+"`") {
			t.Errorf("spec.md does not say what %s means", word)
		}
	}
	for _, match := range regexp.MustCompile("`([A-Z][A-Za-z]+)`").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(known, match[1]) {
			t.Errorf("spec.md uses the word %s, which the code does not know", match[1])
		}
	}
}

func TestTheSpecificationListsEveryWebhook(t *testing.T) {
	page := read(t, "spec.md")
	for _, entry := range webhook.Entries() {
		if !strings.Contains(page, "| `"+entry.Name+"` | `"+entry.Path+"` |") {
			t.Errorf("spec.md has no row for %s at %s", entry.Name, entry.Path)
		}
	}
}

func TestTheSpecificationListsEveryRuleWithItsDefault(t *testing.T) {
	page := read(t, "spec.md")
	for _, rule := range skew.Rules() {
		row := fmt.Sprintf("| %#q | %s | %s |", string(rule.Rule), rule.Default, rule.Summary)
		if !strings.Contains(page, row) {
			t.Errorf("spec.md has no row %s", row)
		}
	}
}

func TestThePolicyInTheSpecificationIsTheDefault(t *testing.T) {
	_, rest, found := strings.Cut(read(t, "spec.md"), "```yaml\n")
	document, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("spec.md shows no policy")
	}
	policy, err := config.Parse([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.Default(), policy); diff != "" {
		t.Errorf("spec.md shows another policy (-default +shown):\n%s", diff)
	}
}
