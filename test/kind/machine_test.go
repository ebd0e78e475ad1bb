package kind

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A machine that cannot run a cluster gets one line that says what is missing and what to do.
func TestWhatIsMissingIsSaidInOneLine(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the stand-in for docker is a shell script")
	}
	cases := map[string]struct {
		docker string // what the command does; empty: there is none
		image  string
		want   []string
	}{
		"no docker":          {"", "", []string{"there is no docker command", "install Docker"}},
		"no engine":          {"echo 'Cannot connect to the Docker daemon' >&2; exit 1", "", []string{"no Docker Engine answers", ".ci/engine"}},
		"an engine of root":  {"echo 'permission denied while trying to connect' >&2; exit 1", "", []string{"may not be used by", "group docker"}},
		"no network":         {"[ $1 != network ] || { echo 'Error response from daemon: iptables: not permitted' >&2; exit 1; }", "", []string{"cannot make a network", "iptables"}},
		"no such node image": {"[ $1 = info ] || [ $1 = network ] || { echo 'pull access denied for node' >&2; exit 1; }", "node:1", []string{"node:1", "KIND_NODE_IMAGE", "pull access denied"}},
		"no rights": {
			"[ $1 != run ] || { echo 'docker: Error response from daemon: unable to apply caps: operation not permitted.' >&2; exit 126; }", "node:1",
			[]string{"privileged containers", "unable to apply caps"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			bin := t.TempDir()
			if tc.docker != "" {
				script := []byte("#!/bin/sh\n" + tc.docker + "\n")
				if err := os.WriteFile(filepath.Join(bin, "docker"), script, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			t.Setenv("PATH", bin)
			t.Setenv(nodeImageVariable, tc.image)
			_, err := Find(t.Context())
			var missing MissingError
			if !errors.As(err, &missing) {
				t.Fatalf("got %v, want what is missing", err)
			}
			text := missing.Error()
			if strings.Contains(text, "\n") {
				t.Errorf("it takes several lines: %s", text)
			}
			for _, want := range tc.want {
				if !strings.Contains(text, want) {
					t.Errorf("%q does not say %q", text, want)
				}
			}
		})
	}
}

func TestTheLastLineSaysWhatWentWrong(t *testing.T) {
	cases := map[string]string{
		"ERROR: failed to create cluster: no such image\n": "ERROR: failed to create cluster: no such image",
		"one\n  two  \n\n": "two",
		"ERROR: failed to create\nerror: no answer\nmain.main\n\tmain.go:25\n":                 "error: no answer",
		"docker: Error response from daemon: no rights.\n\nRun 'docker run --help' for more\n": "docker: Error response from daemon: no rights.",
	}
	for out, want := range cases {
		if got := lastLine([]byte(out)); got != want {
			t.Errorf("of %q it is %q, want %q", out, got, want)
		}
	}
}
