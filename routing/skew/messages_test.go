package skew_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing/skew"
)

var rewriteMessages = flag.Bool("update", false, "rewrite docs/messages.md")

const messagesPage = "../../docs/messages.md"

// says is one change and the rule that answers it.
type says struct {
	rule skew.Rule
	// when is the change in one sentence, with what else has to be known of the mesh.
	when   string
	mesh   skew.Mesh
	change skew.Change
}

// What users read is on one page, so that a change of words is seen by whoever reviews it.
func TestThePageOfMessagesIsUpToDate(t *testing.T) {
	got := messages(t)
	if *rewriteMessages {
		if err := os.WriteFile(messagesPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	page, err := os.ReadFile(messagesPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(page), got); diff != "" {
		t.Errorf("docs/messages.md is not what the rules say (-page +rules); run\n"+
			"go test ./routing/skew -run %s -update\n%s", t.Name(), diff)
	}
}

// What refuses a change also says what would pass, as commands.
func TestEveryDenialOfThePageOfMessagesNamesACommand(t *testing.T) {
	denials := 0
	for _, s := range append(versionMessages(), referenceMessages()...) {
		found := skew.Check(&s.mesh, s.change, s.policy())
		answers(t, found)
		if skew.Denied(found) {
			denials++
		}
	}
	if denials == 0 {
		t.Error("nothing is denied")
	}
}

func messages(t *testing.T) string {
	t.Helper()
	cases := append(versionMessages(), referenceMessages()...)
	var page strings.Builder
	page.WriteString(`# What the rules say

One change per message, each of a small mesh: the words that a refused user reads, after the name of the webhook. Deny refuses
the write, Warn admits it with a warning (cut to 120 bytes; the log and the audit event have the whole text). Section 5 of
[the specification](spec.md) lists the rules. This page is written by ` + "`go test ./routing/skew -run Messages -update`" + `.
`)
	written := 0
	for _, info := range skew.Rules() {
		fmt.Fprintf(&page, "\n## %s\n\n%s: %s.\n", info.Rule, info.Default, info.Summary)
		before := written
		for _, s := range cases {
			if s.rule == info.Rule {
				page.WriteString(s.render(t))
				written++
			}
		}
		if written == before {
			t.Errorf("%s has no message", info.Rule)
		}
	}
	if written != len(cases) {
		t.Errorf("%d of %d messages belong to no rule", len(cases)-written, len(cases))
	}
	return page.String()
}

// policy is the default, unless the sentence names a setting.
func (s says) policy() skew.Policy {
	p := skew.DefaultPolicy()
	if strings.Contains(s.when, "with cni.maxAhead: 1") {
		p.CNIMaxAhead = 1
	}
	return p
}

// render is the change and its message, and names the other rules where it violates more.
func (s says) render(t *testing.T) string {
	t.Helper()
	when := []string{strings.ToUpper(s.when[:1]) + s.when[1:]}
	var own []skew.Finding
	for _, f := range skew.Check(&s.mesh, s.change, s.policy()) {
		if f.Rule == s.rule {
			own = append(own, f)
		} else {
			when = append(when, "beside "+string(f.Rule))
		}
	}
	if len(own) != 1 {
		t.Errorf("%s: findings are %v, want one of %s", s.when, levels(own), s.rule)
		return ""
	}
	level := ""
	if own[0].Level != skew.DefaultPolicy().Level(s.rule) {
		level = " (" + string(own[0].Level) + ")"
	}
	return fmt.Sprintf("\n%s%s:\n\n```text\n%s\n```\n", strings.Join(when, ", "), level, own[0].Message)
}
