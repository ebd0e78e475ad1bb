package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"
)

// untilPrinted calls then with the first line that is written.
type untilPrinted func(line string)

func (then untilPrinted) Write(p []byte) (int, error) {
	then(string(p))
	return len(p), nil
}

func TestUpServesUntilItIsToldToStop(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var printed string
	out := untilPrinted(func(line string) {
		printed = line
		defer stop()
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			t.Errorf("the file that --kubeconfig named: %v", err)
			return
		}
		client, err := discovery.NewDiscoveryClientForConfig(config)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := client.ServerVersion(); err != nil {
			t.Errorf("the API server does not answer: %v", err)
		}
	})
	if err := run(ctx, []string{"--kubeconfig", kubeconfig}, streams{out: out, err: os.Stderr}); err != nil {
		t.Fatal(err)
	}
	if want := "export KUBECONFIG=\"" + kubeconfig + "\"\n"; printed != want {
		t.Errorf("printed %q, want %q", printed, want)
	}
	if _, err := os.Stat(kubeconfig); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the kubeconfig file is still there: %v", err)
	}
}

func TestUpNeverOverwritesAKubeconfig(t *testing.T) {
	own := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(own, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(t.Context(), []string{"--kubeconfig", own}, streams{out: io.Discard, err: os.Stderr})
	if err == nil || !strings.Contains(err.Error(), own) {
		t.Errorf("got %v, want an error that names %s", err, own)
	}
	if raw, err := os.ReadFile(own); err != nil || string(raw) != "mine" {
		t.Errorf("the file holds %q, %v", raw, err)
	}
}

func TestUpExplainsItsFlags(t *testing.T) {
	var help bytes.Buffer
	if err := run(t.Context(), []string{"--help"}, streams{out: io.Discard, err: &help}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want %v", err, flag.ErrHelp)
	}
	for _, name := range []string{"-kubeconfig", "-build-only", "-nodes"} {
		if !strings.Contains(help.String(), name) {
			t.Errorf("the help does not explain %s:\n%s", name, help.String())
		}
	}
}
