package routing

import (
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestExplain(t *testing.T) {
	for name, tc := range explainedCases() {
		t.Run(name, func(t *testing.T) {
			d := Decide(tc.in)
			if d.Reason != tc.reason {
				t.Fatalf("reason %s, want %s", d.Reason, tc.reason)
			}
			if diff := cmp.Diff(tc.explain, Explain(tc.in, d)); diff != "" {
				t.Errorf("Explain (-want +got):\n%s", diff)
			}
			if tc.refusal == "" {
				return
			}
			if diff := cmp.Diff(tc.refusal, ExplainRefusal(`pod "web-*"`, tc.in, d)); diff != "" {
				t.Errorf("ExplainRefusal (-want +got):\n%s", diff)
			}
		})
	}
}

func TestExplainGateway(t *testing.T) {
	cases := map[string]struct {
		in     GatewayInput
		reason Reason
		want   string
	}{
		"the Gateway names a tag": {
			GatewayInput{Mesh: meshOfSail(), Revision: present("prod")},
			GatewayRevision,
			"the Gateway's label istio.io/rev=prod means revision default-v1-30-3 (v1.30.3), through the tag prod",
		},
		"nothing is labelled": {
			GatewayInput{Mesh: meshWithValues(Injection{})},
			DefaultOwner,
			"a Gateway for which no label names a revision means revision default (v1.30.3)",
		},
		"the namespace names a revision": {
			GatewayInput{Mesh: meshOfSail(), Namespace: Namespace{Revision: present("default-v1-29-6")}},
			NamespaceRevision,
			"the namespace's label istio.io/rev=default-v1-29-6 means revision default-v1-29-6 (v1.29.6)",
		},
		"the Gateway names nothing that exists": {
			GatewayInput{Mesh: meshOfSail(), Revision: present("nope")},
			UnknownRevision,
			"the Gateway's label istio.io/rev=nope names neither a revision nor a tag that exists",
		},
		"no default would adopt it": {
			GatewayInput{Mesh: meshOfSail(), Revision: present("")},
			NoDefaultRevision,
			"a Gateway for which no label names a revision asks for the default revision, but neither a revision nor a " +
				"tag is named default",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			d := DecideGateway(tc.in)
			if d.Reason != tc.reason {
				t.Fatalf("reason %s, want %s", d.Reason, tc.reason)
			}
			if diff := cmp.Diff(tc.want, ExplainGateway(tc.in, d)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEveryReasonHasASentence(t *testing.T) {
	gatewayOnly := map[Reason]bool{GatewayRevision: true, DefaultOwner: true}
	covered := map[Reason]bool{}
	refused := map[Reason]bool{}
	for _, tc := range explainedCases() {
		covered[tc.reason] = true
		refused[tc.reason] = refused[tc.reason] || tc.refusal != ""
	}
	for _, r := range Reasons() {
		if !covered[r.Reason] && !gatewayOnly[r.Reason] {
			t.Errorf("no case explains %s", r.Reason)
		}
		// Judge never refuses mirror pods, and always admits what is injected.
		if !refused[r.Reason] && r.Action != Inject && r.Reason != MirrorPod {
			t.Errorf("no case refuses a pod for %s", r.Reason)
		}
		if r.Action == Unresolvable {
			if line := UnresolvedWarning(Decision{Reason: r.Reason, Wanted: "x", Tag: "x"}); strings.HasSuffix(line, ", ") {
				t.Errorf("%s has no warning of its own: %q", r.Reason, line)
			}
		}
	}
}

func TestEveryWarningIsOneShortLine(t *testing.T) {
	values := []string{"", "x", "False", strings.Repeat("a", 63), strings.Repeat("ä", 500), "a\nb\x00\x1b[31m", "\xff\xfe", `"quoted"\`}
	seen := map[string]Warning{}
	for _, w := range warningBits() {
		if line := ExplainWarning(w, asked(meshOfSail(), Namespace{Injection: present("x"), Revision: present("y")}, Pod{})); seen[line] != "" {
			t.Errorf("%s and %s have the same sentence", w, seen[line])
		} else {
			seen[line] = w
		}
		for _, a := range values {
			for _, b := range values {
				input := asked(meshOfSail(), Namespace{Injection: present(a), Revision: present(b)},
					Pod{Inject: present(a), Revision: present(b), InjectAnnotation: present(b)})
				wantOneLine(t, string(w), ExplainWarning(w, input))
				input.Namespace.Injection = Label{}
				wantOneLine(t, string(w), ExplainWarning(w, input))
			}
		}
	}
	for _, r := range Reasons() {
		for _, v := range values {
			if r.Action == Unresolvable {
				wantOneLine(t, string(r.Reason), UnresolvedWarning(Decision{Reason: r.Reason, Wanted: v, Tag: v}))
			}
		}
	}
}

func wantOneLine(t *testing.T, what, line string) {
	t.Helper()
	bad := strings.IndexFunc(line, func(r rune) bool { return r > unicode.MaxASCII || !unicode.IsPrint(r) })
	if line == "" || len(line) > MaxWarningLength || bad >= 0 {
		t.Errorf("%s: not one line of 1 to %d printable ASCII characters: %q (%d)", what, MaxWarningLength, line, len(line))
	}
}

func TestExplainWarningNamesWhatIsThere(t *testing.T) {
	cases := map[string]struct {
		warning Warning
		ns      Namespace
		pod     Pod
		want    string
	}{
		"the namespace's revision overrules": {
			PodRevisionOverruled,
			Namespace{Revision: present("prod")},
			Pod{Revision: present("canary")},
			"pod label istio.io/rev=canary has no effect: the namespace's istio.io/rev=prod decides",
		},
		"istio-injection overrules": {
			PodRevisionOverruled,
			Namespace{Injection: present("enabled")},
			Pod{Revision: present("canary")},
			"pod label istio.io/rev=canary has no effect: the namespace's istio-injection=enabled decides",
		},
		"an opt-in is ignored": {
			PodOptInIgnored,
			Namespace{Injection: present("disabled")},
			Pod{Inject: present("true")},
			"pod label sidecar.istio.io/inject=true has no effect: the namespace has istio-injection=disabled",
		},
		"a value in the wrong case": {
			InjectionValue,
			Namespace{Injection: present("Enabled")},
			Pod{},
			`namespace label istio-injection=Enabled switches injection off: only "enabled" switches it on`,
		},
		"an empty label": {
			InjectLabelValue,
			Namespace{},
			Pod{Inject: present("")},
			`pod label sidecar.istio.io/inject="" is neither true nor false and does not count`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := ExplainWarning(tc.warning, asked(meshOfSail(), tc.ns, tc.pod))
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
