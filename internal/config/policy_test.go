package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/testr"
	"github.com/google/go-cmp/cmp"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

func TestParse(t *testing.T) {
	const head = "apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\n"
	withLevels := func(unresolved, noMesh routing.Level) RouterPolicy {
		p := Default()
		p.Unresolved, p.NoMesh = unresolved, noMesh
		return p
	}
	cases := map[string]struct {
		file    string
		want    RouterPolicy
		wantErr string
	}{
		"what is left out has its default": {
			file: head, want: withLevels(routing.Deny, routing.Warn),
		},
		"both levels are read": {
			file: head + "unresolved: Warn\nnoMesh: Deny\n", want: withLevels(routing.Warn, routing.Deny),
		},
		"a misspelt field is refused":    {file: head + "unresolvd: Warn\n", wantErr: `unknown field "unresolvd"`},
		"a field given twice is refused": {file: head + "noMesh: Warn\nnoMesh: Deny\n", wantErr: "already set"},
		"a level that does not exist is refused with those that do": {
			file: head + "unresolved: deny\n", wantErr: `unresolved: Unsupported value: "deny": supported values: "Deny", "Warn"`,
		},
		"the kind is required": {
			file: "apiVersion: revision-router.io/v1alpha1\n", wantErr: `kind: Unsupported value: ""`,
		},
		"another version is refused": {
			file:    "apiVersion: revision-router.io/v9\nkind: RouterPolicy\n",
			wantErr: `apiVersion: Unsupported value: "revision-router.io/v9"`,
		},
		"rules, cni, ztunnel and operators are read": {
			file: head + "rules: {CNISkew: Warn, ZTunnelDrain: Off}\ncontrolPlaneVersion: Declared\ncni: {maxAhead: 1}\n" +
				"ztunnel: {drainSeconds: 60}\noperatorServiceAccounts: [a]\n",
			want: func() RouterPolicy {
				p := Default()
				p.Rules = Levels{skew.CNISkew: skew.Warn, skew.ZTunnelDrain: skew.Off}
				p.ControlPlaneVersion, p.CNI.MaxAhead, p.ZTunnel.DrainSeconds = skew.Declared, 1, 60
				p.OperatorServiceAccounts = []string{"a"}
				return p
			}(),
		},
		"a rule that does not exist is refused with those that do": {
			file: head + "rules: {CniSkew: Warn}\n", wantErr: `rules[CniSkew]: Unsupported value: "CniSkew": supported values: "`,
		},
		"a level of a rule that does not exist is refused": {
			file: head + "rules: {CNISkew: Perhaps}\n", wantErr: `rules[CNISkew]: Unsupported value: "Perhaps"`,
		},
		"a level that is a number is refused": {
			file: head + "rules: {CNISkew: 1}\n", wantErr: `rules[CNISkew]: Unsupported value: "1"`,
		},
		"a rule that cannot deny is not set to Deny": {
			file: head + "rules: {UnknownVersion: Deny}\n", wantErr: "UnknownVersion cannot be Deny",
		},
		"more than one version ahead is refused": {
			file: head + "cni: {maxAhead: 2}\n", wantErr: "cni.maxAhead: Invalid value: 2: must be 0 or 1",
		},
		"an empty file is refused":        {file: "", wantErr: "kind: Unsupported value"},
		"text that is no YAML is refused": {file: "{", wantErr: "not a RouterPolicy document"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := Parse([]byte(tc.file))
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want one that contains %q", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("policy (-want +got):\n%s", diff)
			}
		})
	}
}

func TestStoreKeepsTheOldPolicyWhenTheFileIsBad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const head = "apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\n"
	write(head + "unresolved: Warn\n")
	store, err := NewStore(path, testr.New(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := store.Policy().Unresolved; got != routing.Warn {
		t.Fatalf("first policy: unresolved %s, want Warn", got)
	}

	write(head + "unresolved: Perhaps\n")
	store.Reload()
	if got := store.Policy().Unresolved; got != routing.Warn {
		t.Errorf("bad file: unresolved %s, want the old Warn", got)
	}
	if store.Err() == nil || store.Generation() != 1 {
		t.Errorf("bad file: error %v, generation %d, want an error and 1", store.Err(), store.Generation())
	}

	write(head + "unresolved: Deny\n")
	store.Reload()
	if got := store.Policy().Unresolved; got != routing.Deny || store.Err() != nil || store.Generation() != 2 {
		t.Errorf("mended file: unresolved %s, error %v, generation %d", got, store.Err(), store.Generation())
	}

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	store.Reload()
	if store.Err() == nil || store.Policy().Unresolved != routing.Deny {
		t.Errorf("file gone: error %v, policy %v, want an error and the old policy", store.Err(), store.Policy())
	}

	write(head + "unresolved: Deny\n")
	store.Reload()
	if store.Err() != nil {
		t.Errorf("the same file came back: error %v, want none", store.Err())
	}
}

func TestNewStoreRefusesABadFileAtStart(t *testing.T) {
	if _, err := NewStore(filepath.Join(t.TempDir(), "missing.yaml"), testr.New(t)); err == nil {
		t.Error("a missing file was accepted")
	}
	store, err := NewStore("", testr.New(t))
	if err != nil || !cmp.Equal(store.Policy(), Default()) {
		t.Errorf("no file: %v, %v", store, err)
	}
}

func TestStoreTellsOfEachPolicyThatComesIntoForce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "policy.yaml")
	write := func(precedence string) {
		t.Helper()
		text := "apiVersion: revision-router.io/v1alpha1\nkind: RouterPolicy\nprecedence: " + precedence + "\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Namespace")
	store, err := NewStore(path, testr.New(t))
	if err != nil {
		t.Fatal(err)
	}
	var told []First
	store.OnChange(func(p RouterPolicy) { told = append(told, p.Precedence[0].Precedence) })
	for _, precedence := range []string{"Namespace", "Pod", "Pod", "Nobody", "Namespace"} {
		write(precedence)
		store.Reload()
	}
	if !slices.Equal(told, []First{PodFirst, NamespaceFirst}) {
		t.Errorf("told of %v, want each policy that came into force after the first", told)
	}
}
