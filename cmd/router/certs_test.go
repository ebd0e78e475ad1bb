package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
)

func TestCertificateFlags(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string // in the error; empty: accepted
	}{
		"the router keeps its own CA by default": {},
		"cert-manager with a folder":             {args: []string{"--cert-provider=cert-manager", "--cert-dir=/tls"}},
		"every replica writes":                   {args: []string{"--lease="}},
		"a provider that does not exist": {
			[]string{"--cert-provider=vault"}, `--cert-provider "vault": must be self-managed, cert-manager or secret`,
		},
		"a certificate that is nowhere":      {[]string{"--cert-provider=secret"}, "--cert-dir must not be empty with --cert-provider=secret"},
		"a certificate that nobody looks at": {[]string{"--cert-dir=/tls"}, "--cert-dir /tls: the router keeps the certificate itself"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := parsed(t, tc.args...).Validate()
			if tc.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func parsed(t *testing.T, args ...string) *Options {
	t.Helper()
	var o Options
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	o.AddFlags(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &o
}

func TestWhatToLookAtWhenThereIsNoCertificate(t *testing.T) {
	got := map[string]string{}
	for _, provider := range []string{certManager, mountedSecret} {
		got[provider] = parsed(t, "--cert-provider="+provider, "--cert-dir=/tls", "--cert-secret=guard-tls", "--namespace=guard").certHint()
	}
	want := map[string]string{
		certManager:   "is cert-manager running? kubectl -n guard describe certificate guard-tls",
		mountedSecret: "is the Secret right? kubectl -n guard describe secret guard-tls",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
