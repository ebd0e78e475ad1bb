package skew_test

import (
	"strings"
	"testing"

	"github.com/revision-router/revision-router/routing/skew"
)

func TestPolicyValidate(t *testing.T) {
	for name, tc := range map[string]struct {
		policy skew.Policy
		want   string
	}{
		"the default":            {policy: skew.DefaultPolicy()},
		"nothing at all":         {},
		"every level":            {policy: skew.Policy{Levels: map[skew.Rule]skew.Level{skew.CNISkew: skew.Off, skew.ZTunnelSkew: skew.Warn, skew.ZTunnelDrain: skew.Deny}}},
		"a rule that is none":    {policy: *levelled("Skew", skew.Warn), want: `there is no rule "Skew"`},
		"a level that is none":   {policy: *levelled(skew.CNISkew, "warn"), want: `CNISkew is "warn", must be Deny, Warn or Off`},
		"an unknown that denies": {policy: *levelled(skew.UnknownVersion, skew.Deny), want: "UnknownVersion cannot be Deny"},
		"too much room":          {policy: skew.Policy{CNIMaxAhead: 2}, want: "cni.maxAhead is 2"},
		"negative room":          {policy: skew.Policy{CNIMaxAhead: -1}, want: "cni.maxAhead is -1"},
		"another source":         {policy: skew.Policy{ControlPlaneVersion: "running"}, want: `controlPlaneVersion is "running"`},
		"negative seconds":       {policy: skew.Policy{DrainSeconds: -1}, want: "must not be negative"},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.policy.Validate()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestRulesAreClosedAndDocumented(t *testing.T) {
	seen := map[skew.Rule]bool{}
	for _, r := range skew.Rules() {
		if seen[r.Rule] {
			t.Errorf("%s is listed twice", r.Rule)
		}
		seen[r.Rule] = true
		if r.Default != skew.Deny && r.Default != skew.Warn {
			t.Errorf("%s has the default level %q", r.Rule, r.Default)
		}
		if r.Summary == "" || strings.Contains(r.Summary, "\n") || strings.HasSuffix(r.Summary, ".") {
			t.Errorf("%s has the summary %q", r.Rule, r.Summary)
		}
		if got := (skew.Policy{}).Level(r.Rule); got != r.Default {
			t.Errorf("%s has the level %s under an empty policy", r.Rule, got)
		}
	}
	if got := (skew.Policy{}).Level("Skew"); got != skew.Deny {
		t.Errorf("a rule that is not listed has the level %s", got)
	}
}

func TestWarningsAreShort(t *testing.T) {
	f := skew.Finding{Message: strings.Repeat("ä", 200)}
	if w := f.Warning(); len(w) > 120 || !strings.HasSuffix(w, "ä...") {
		t.Errorf("warning %q of %d bytes", w, len(w))
	}
	f.Message = "short"
	if w := f.Warning(); w != "short" {
		t.Errorf("warning %q", w)
	}
}

func TestAmbientProfile(t *testing.T) {
	for profile, want := range map[string]bool{"ambient": true, "openshift-ambient": true, "openshift": false, "": false} {
		if got := skew.AmbientProfile(profile); got != want {
			t.Errorf("AmbientProfile(%q) = %v", profile, got)
		}
	}
}
