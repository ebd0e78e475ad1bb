package docs

import (
	"regexp"
	"strconv"
	"testing"

	"github.com/revision-router/revision-router/routing"
)

// The slots decide which workloads a rollout moves first: a page that tells others is a page that nobody can check by.
func TestTheSlotsInTheSpecificationAreThoseOfTheCode(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\| (\S+) \| (\S+) \| (\S+) \| (\S+) \| (\d+) \|$`).FindAllStringSubmatch(read(t, "spec.md"), -1)
	if len(rows) < 5 {
		t.Fatalf("spec.md has %d slots, want several", len(rows))
	}
	for _, row := range rows {
		got := routing.Slot(row[1], row[2], routing.Workload{Kind: row[3], Name: row[4]})
		if strconv.Itoa(got) != row[5] {
			t.Errorf("%s: the code says %d", row[0], got)
		}
	}
}
