package main

import (
	"net"
	"strings"
	"testing"
)

func TestForwardFlags(t *testing.T) {
	cases := map[string]struct {
		args []string
		want string // in the error; empty: accepted
	}{
		"Istio's webhooks inject by default":     {},
		"the router injects":                     {args: []string{"--mode=forward", "--exclude-namespace=a,b", "--exclude-namespace=c"}},
		"an injector somewhere else":             {args: []string{"--mode=forward", "--connect-to=istiod.istio-system.svc:443=[::1]:15017"}},
		"a mode that does not exist":             {[]string{"--mode=both"}, `--mode "both": must be guard or forward`},
		"a namespace without a name":             {[]string{"--exclude-namespace=a,,b"}, "--exclude-namespace must not be empty"},
		"an injector that nobody calls":          {[]string{"--connect-to=a:1=b:2"}, "choose --mode=forward"},
		"an address without a port":              {[]string{"--mode=forward", "--connect-to=a:1=b"}, `--connect-to "a:1=b": must be HOST:PORT=ADDRESS:PORT`},
		"a port that is none":                    {[]string{"--mode=forward", "--connect-to=a:0=b:2"}, "must be HOST:PORT=ADDRESS:PORT"},
		"one address":                            {[]string{"--mode=forward", "--connect-to=a:1"}, "must be HOST:PORT=ADDRESS:PORT"},
		"an address that is replaced two ways":   {[]string{"--mode=forward", "--connect-to=a:1=b:2", "--connect-to=a:1=b:3"}, "a:1 is replaced by b:2 already"},
		"the same said twice is no mistake":      {args: []string{"--mode=forward", "--connect-to=a:1=b:2", "--connect-to=a:1=b:2"}},
		"two addresses that lead to one machine": {args: []string{"--mode=forward", "--connect-to=a:1=b:2,c:1=b:2"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			err := parsed(t, tc.args...).Validate()
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want %q", err, tc.want)
			}
		})
	}
}

func TestConnectToReplacesOneAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	o := parsed(t, "--mode=forward", "--connect-to=istiod.invalid:443="+listener.Addr().String())
	dial, err := o.Forward.dial()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"istiod.invalid:443", listener.Addr().String()} {
		conn, err := dial(t.Context(), "tcp", address)
		if err != nil {
			t.Fatalf("%s: %v", address, err)
		}
		if got := conn.RemoteAddr().String(); got != listener.Addr().String() {
			t.Errorf("%s leads to %s", address, got)
		}
		_ = conn.Close()
	}
	if conn, err := dial(t.Context(), "tcp", "istiod.invalid:444"); err == nil {
		t.Errorf("another port leads to %s", conn.RemoteAddr())
	}
	if dial, err := parsed(t, "--mode=forward").Forward.dial(); dial != nil || err != nil {
		t.Error("without --connect-to the client's own way of connecting is replaced")
	}
}
