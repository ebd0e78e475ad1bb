package plan

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/routing/skew"
)

func compare(a, b string) int { return cmp.Compare(a, b) }

// compareAll compares pairs, the first that differ decide.
func compareAll(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		if c := cmp.Compare(pairs[i], pairs[i+1]); c != 0 {
			return c
		}
	}
	return 0
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func verbFor(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// named is how many names a text holds before it counts the rest.
const named = 3

func some(names []string) string {
	if last := len(names) - 1; last > 0 && last < named {
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
	if len(names) <= named {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:named], ", ") + " and " + strconv.Itoa(len(names)-named) + " more"
}

// namespacesText names the namespaces that one stands for.
func (s *sim) namespacesText(at ...int) string {
	var names []string
	for _, i := range at {
		names = append(names, s.namespaces[i]...)
	}
	slices.Sort(names)
	if len(names) == 1 {
		return "namespace " + names[0]
	}
	return strconv.Itoa(len(names)) + " namespaces (" + some(names) + ")"
}

// workloadsText names the workloads that some stand for.
func (s *sim) workloadsText(at ...int) string {
	all := s.members(at)
	if len(all) == 1 {
		return all[0].Kind + " " + all[0].Namespace + "/" + all[0].Name
	}
	spaces := map[string]bool{}
	for _, w := range all {
		spaces[w.Namespace] = true
	}
	return strconv.Itoa(len(all)) + " workloads in " + verbFor(len(spaces), "namespace ", "") +
		verbFor(len(spaces), some(slices.Sorted(maps.Keys(spaces))), count(len(spaces), "namespace")+" ("+some(slices.Sorted(maps.Keys(spaces)))+")")
}

// members are the workloads that some stand for, each once, in order.
func (s *sim) members(at []int) []skew.Workload {
	var all []skew.Workload
	for _, i := range at {
		for _, w := range s.workloads[i] {
			all = append(all, skew.Workload{Namespace: w.Namespace, Kind: w.Kind, Name: w.Name})
		}
	}
	slices.SortFunc(all, func(a, b skew.Workload) int {
		return compareAll(a.Namespace, b.Namespace, a.Kind, b.Kind, a.Name, b.Name)
	})
	return slices.Compact(all)
}
