package status

import (
	"slices"
	"strings"

	"github.com/revision-router/revision-router/routing"
)

// maxNamed bounds how many workloads one command names: it has to be read before it is run.
const maxNamed = 20

// command completes the restarts, and what lacks its sidecar, with the command for each workload.
func (b *builder) command() {
	for i := range b.report.Restarts {
		if r := &b.report.Restarts[i]; r.Reason != NoLongerSelected {
			o := owner{r.Namespace, r.Kind, r.Name}
			if r.Step = restartOne(o); o.restartable() {
				r.Command = r.Step
			}
		}
	}
	for i := range b.report.WithoutSidecar {
		a := &b.report.WithoutSidecar[i]
		a.Next = restartOne(owner{a.Namespace, a.Kind, a.Name})
	}
}

// restartOne is the command that replaces the pods of a workload, or what a person has to do where kubectl has none.
func restartOne(o owner) string {
	switch o.kind {
	case "Deployment", "StatefulSet", "DaemonSet":
		return "kubectl rollout restart " + strings.ToLower(o.kind) + " -n " + o.namespace + " " + o.name
	case "Rollout":
		return "kubectl argo rollouts restart -n " + o.namespace + " " + o.name
	case "DeploymentConfig":
		return "oc rollout latest -n " + o.namespace + " dc/" + o.name
	}
	return o.byHand()
}

// restartable reports whether there is a command that replaces the pods and nothing else.
func (o owner) restartable() bool {
	switch o.kind {
	case "Deployment", "StatefulSet", "DaemonSet", "Rollout", "DeploymentConfig":
		return true
	}
	return false
}

// byHand is what a person has to do, or to wait for.
func (o owner) byHand() string {
	switch o.kind {
	case "CronJob":
		return "wait for the next run of " + o.String()
	case "Job":
		return "wait until " + o.String() + " has ended"
	case "Pod":
		return "create " + o.String() + " anew: no controller does"
	}
	return "replace the pods of " + o.String()
}

// restartCommands are the commands that restart workloads, as few as name exactly these: a whole namespace's where all
// its workloads of the kind are meant. all tells how many of a kind a namespace has.
func restartCommands(list []owner, all map[owner]int) []string {
	groups := map[owner][]string{}
	var order []owner
	for _, o := range list {
		g := owner{o.namespace, o.kind, ""}
		if groups[g] == nil {
			order = append(order, g)
		}
		if !slices.Contains(groups[g], o.name) {
			groups[g] = append(groups[g], o.name)
		}
	}
	slices.SortFunc(order, compareOwners)
	var commands []string
	for _, g := range order {
		commands = append(commands, restartGroup(g, groups[g], all[g])...)
	}
	return commands
}

// restartGroup is for workloads of one kind in one namespace.
func restartGroup(g owner, names []string, all int) []string {
	switch g.kind {
	case "Deployment", "StatefulSet", "DaemonSet":
	default:
		var commands []string
		for _, name := range names {
			commands = append(commands, restartOne(owner{g.namespace, g.kind, name}))
		}
		return commands
	}
	if len(names) == all && all > 1 {
		return []string{"kubectl rollout restart " + strings.ToLower(g.kind) + " -n " + g.namespace}
	}
	slices.Sort(names)
	var commands []string
	for some := range slices.Chunk(names, maxNamed) {
		commands = append(commands, restartOne(owner{g.namespace, g.kind, strings.Join(some, " ")}))
	}
	return commands
}

// nextStep is the next step of the refusal that the pods would meet.
func nextStep(d decided) string {
	const intro = "Next: "
	text := routing.ExplainRefusal("", d.in, d.decision)
	if i := strings.LastIndex(text, intro); i >= 0 {
		return text[i+len(intro):]
	}
	return ""
}
