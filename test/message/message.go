// Package message holds what tests say of the messages that refuse a change: docs/messages.md shows each of them, and
// each says what would pass. Only tests import it.
package message

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

// Documented fails the test for every refusal in the text that docs/messages.md does not show in a message of the same
// [Shape]. The text may be an error of the API server, with one message a line; what is no message of a rule is skipped.
func Documented(t testing.TB, text string) {
	t.Helper()
	shown, err := page()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range Split(text) {
		if shape := Shape(m); !shown[shape] {
			t.Errorf("docs/messages.md shows no message such as\n%s\nof the shape\n%s\n"+
				"add a change to the messages_*_test.go of routing/skew and run go test ./routing/skew -run Messages -update", m, shape)
		}
	}
}

// Split lists the messages of rules in the text.
func Split(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		for _, rule := range skew.Rules() {
			if at := strings.Index(line, string(rule.Rule)+": "); at >= 0 {
				list = append(list, strings.TrimSpace(line[at:]))
				break
			}
		}
	}
	return list
}

// page holds the shapes of docs/messages.md.
var page = sync.OnceValues(func() (map[string]bool, error) { //nolint:gochecknoglobals // read once, and never changed
	_, file, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(file), "..", "..", "docs", "messages.md"))
	if err != nil {
		return nil, err
	}
	shown := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```text\n(.*?)```").FindAllStringSubmatch(string(data), -1) {
		for _, m := range Split(block[1]) {
			shown[Shape(m)] = true
		}
	}
	return shown, nil
})

// Shape is a message without what differs from mesh to mesh: names, versions, numbers, who is listed, why a revision
// counts as live, and the commands. Two messages of one shape are one sentence of the program.
func Shape(m string) string {
	for _, r := range replacements() {
		m = r.from.ReplaceAllString(m, r.to)
	}
	return m
}

type replacement struct {
	from *regexp.Regexp
	to   string
}

var replacements = sync.OnceValue(func() []replacement { //nolint:gochecknoglobals // compiled once, and never changed
	const name = `[a-z0-9<](?:[a-z0-9./<>-]*[a-z0-9>])?`
	var list []replacement
	for _, pair := range [][2]string{
		{`: (?:kubectl|istioctl|oc) .*; then retry\.$`, `: ... then retry.`},
		{`: (?:kubectl|istioctl|oc) .*$`, `: ...`},
		{`"(?:[^"\\]|\\.)*"`, `Q`},
		{`=[^\s,.]*[^\s,.)]`, `=N`},
		{`\bv?\d+\.\d+(?:[a-z0-9.<>+-]*[a-z0-9>])?`, `V`},
		{` \([^()]*(?:V|unknown version|\d pods?)[^()]*\)`, ``},
		{`, (?:the active revision of Istio ` + name + `|which .*? still (?:uses?|asks? for|points? at)|which owns .*?|` +
			`which ZTunnel connects to|which every unlabelled namespace uses)(?:,|(\.))`, `$1`},
		{`, (and a|or create an) `, `; $1 `},
		{`one of ` + name + `(?:(?:, | and )` + name + `)*`, `one of N`},
		{`\b(?:namespaces|tags) ` + name + `(?:(?:, | and )(?:` + name + `))+`, `N`},
		{`\b(?:Istio\w*|ZTunnel|Gateway|Namespace|Service\w*|WorkloadEntry|Pod|Deployment|StatefulSet|DaemonSet|Job|ReplicaSet|` +
			`CronJob|Rollout|DeploymentConfig|(?:ambient )?namespace|revision|tag|waypoint|class|named|Tag) ` + name, `N`},
		{`\b[A-Z]\w+ [a-z0-9.-]+/[a-z0-9.-]*[a-z0-9]`, `N`}, // of a kind that nobody here knows
		{`ambient N\b`, `N`},
		{`read rollout \S+:`, `read rollout Q:`},
		{`N V\b`, `N`},
		{`\bN(?:(?:, | and )(?:N|\d+ more)\b)+`, `N`},
		{`\b(use|ask|point|name)s\b`, `$1`},
		{`\d+`, `#`},
	} {
		list = append(list, replacement{regexp.MustCompile(pair[0]), pair[1]})
	}
	return list
})

// Commands are those that a refusal names, in order, for bash.
func Commands(text string) []string {
	var list []string
	for _, part := range regexp.MustCompile(`; |\n`).Split(text, -1) {
		if command := regexp.MustCompile(`\b(?:kubectl|istioctl) .*`).FindString(part); command != "" {
			list = append(list, strings.TrimSuffix(command, "."))
		}
	}
	return list
}
