package certs_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

func TestPoliciesThatCannotWorkAreRefused(t *testing.T) {
	cases := map[string]struct {
		change func(*certs.Policy)
		ok     bool
	}{
		"the defaults":                       {func(*certs.Policy) {}, true},
		"the shortest lives":                 {func(p *certs.Policy) { p.CALifetime, p.LeafLifetime = certs.MinCALifetime, certs.MinLeafLifetime }, true},
		"a CA that lives too short":          {func(p *certs.Policy) { p.CALifetime = certs.MinCALifetime - 1 }, false},
		"a leaf that lives too short":        {func(p *certs.Policy) { p.LeafLifetime = certs.MinLeafLifetime - 1 }, false},
		"a leaf that outlives every overlap": {func(p *certs.Policy) { p.LeafLifetime = certs.MaxLeafLifetime + 1 }, false},
		"a settle time below zero":           {func(p *certs.Policy) { p.Settle = -1 }, false},
		"a settle time of a day":             {func(p *certs.Policy) { p.Settle = day }, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			p := policy()
			tc.change(&p)
			if err := p.Validate(); (err == nil) != tc.ok {
				t.Errorf("%v, want accepted: %t", err, tc.ok)
			}
		})
	}
}

// The constants depend on each other. Whoever changes one finds out here.
func TestDurationsFitTogether(t *testing.T) {
	if third := certs.MinLeafLifetime / 3; third <= certs.MinRemaining {
		t.Errorf("the shortest leaf is renewed %s before its end, and a replica is unready from %s on", third, certs.MinRemaining)
	}
	if third := certs.MinCALifetime / 3; third < certs.Overlap {
		t.Errorf("the shortest CA is replaced %s before its end, less than an overlap of %s", third, certs.Overlap)
	}
	if certs.Overlap <= certs.MaxLeafLifetime {
		t.Error("the overlap is no longer than a leaf")
	}
}

func TestAuthoritiesThatNoActionLeadsToAreRefused(t *testing.T) {
	a := mustAuthority(t, start(), certs.DefaultCALifetime)
	cases := map[string]struct {
		authorities certs.Authorities
		ok          bool
	}{
		"a current CA":                      {certs.Authorities{Current: a}, true},
		"a next CA only":                    {certs.Authorities{Next: a}, true},
		"none":                              {certs.Authorities{}, false},
		"previous CAs only":                 {certs.Authorities{Previous: bundleOf(a), PreviousUntil: start()}, false},
		"previous CAs for ever":             {certs.Authorities{Current: a, Previous: bundleOf(a)}, false},
		"nothing that was published":        {certs.Authorities{Current: a, NextPublished: start()}, false},
		"a next CA that was published once": {certs.Authorities{Next: a, NextPublished: start()}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := tc.authorities.Validate(); (err == nil) != tc.ok {
				t.Errorf("%v, want accepted: %t", err, tc.ok)
			}
		})
	}
	if _, err := (certs.State{Policy: policy()}).Apply(certs.Action{Kind: "Unheard"}, start()); err == nil {
		t.Error("an action that does not exist was applied")
	}
}

func TestOnlyTheStandardLibraryIsImported(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if strings.Contains(path, ".") || slices.Contains([]string{"os", "net", "net/http", "context", "log"}, path) {
				t.Errorf("%s imports %s", file.Name(), path)
			}
		}
	}
}

func Example() {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ca, err := certs.NewAuthority(now, certs.DefaultCALifetime)
	if err != nil {
		panic(err)
	}
	name := "revision-router.revision-router.svc"
	leaf, err := ca.Issue(certs.LeafRequest{DNSNames: []string{name}, Lifetime: certs.MaxLeafLifetime}, now)
	if err != nil {
		panic(err)
	}
	var source certs.Source // its GetCertificate goes into a tls.Config
	source.Set(leaf.TLS)

	bundle := certs.NewBundle(ca.Certificate) // its PEM goes into webhook configurations
	fmt.Println(certs.Verifies(bundle, source.Leaf(), name, now))
	fmt.Println(certs.Renewal(leaf.Certificate().NotBefore, leaf.Certificate().NotAfter))
	// Output:
	// <nil>
	// 2026-03-06 03:40:00 +0000 UTC
}

// A replica that has nothing yet asks the state machine what to do.
func ExampleNext() {
	state := certs.State{
		Policy:   certs.Policy{CALifetime: certs.DefaultCALifetime, LeafLifetime: certs.MaxLeafLifetime, Settle: certs.DefaultSettle},
		Secret:   certs.SecretMissing,
		Complete: true, // no webhook configuration exists
	}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for range 2 {
		action, reason := certs.Next(state, now)
		fmt.Printf("%s: %s\n", action.Kind, reason)
		after, err := state.Apply(action, now)
		if err != nil {
			panic(err)
		}
		state.Secret, state.Authorities = certs.SecretPresent, after
	}
	// Output:
	// CreateCA: the CA Secret does not exist, and no earlier CA needs to be kept
	// RenewLeaf: there is no serving certificate yet
}
