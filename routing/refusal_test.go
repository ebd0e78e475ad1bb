package routing

import (
	"fmt"
	"strings"
	"testing"
)

func TestRefusalListsAtMostTenNames(t *testing.T) {
	var o Objects
	for i := range 14 {
		o.Revisions = append(o.Revisions, Revision{Name: fmt.Sprintf("r%02d", i), Origin: Sail})
	}
	o.Tags = []Tag{{Name: "dangling", Revision: "gone", Origin: Sail}}
	input := asked(NewMesh(o), Namespace{Revision: present("somewhere")}, Pod{})
	got := ExplainRefusal("pod x", input, Decide(input))
	want := "The mesh has r00, r01, r02, r03, r04, r05, r06, r07, r08, r09 and 4 more. Next: "
	if !strings.Contains(got, want) {
		t.Errorf("message %q does not contain %q", got, want)
	}
}

func TestClosestSuggestsOnlySlips(t *testing.T) {
	names := []string{"canary", "default-v1-29-6", "default-v1-30-3", "prod", "qa", "stable"}
	cases := map[string]struct{ wanted, want string }{
		"another case":                         {"Prod", "prod"},
		"a letter too many":                    {"prodd", "prod"},
		"two letters swapped":                  {"canray", "canary"},
		"two letters wrong in a long name":     {"stabbel", "stable"},
		"a pruned patch release":               {"default-v1-30-2", "default-v1-30-3"},
		"a version that one name ends in":      {"1.29.6", "default-v1-29-6"},
		"a part that several names have":       {"default", ""},
		"another word":                         {"staging", ""},
		"two letters wrong in a short name":    {"drad", ""},
		"a very short name, near every other":  {"qb", ""},
		"nothing":                              {"", ""},
		"longer than any name of a Kubernetes": {strings.Repeat("prod", 100), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := closest(tc.wanted, names); got != tc.want {
				t.Errorf("closest(%q) = %q, want %q", tc.wanted, got, tc.want)
			}
		})
	}
}

func TestShellWordIsOneWord(t *testing.T) {
	for s, want := range map[string]string{
		"bookinfo": "bookinfo", "a-b_c.d9": "a-b_c.d9", "": "''", "a b": "'a b'",
		"$(reboot)": "'$(reboot)'", "it's": `'it'\''s'`, "a\x1b\nb": "'a??b'",
	} {
		if got := shellWord(s); got != want {
			t.Errorf("shellWord(%q) = %s, want %s", s, got, want)
		}
	}
}
