package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/test/cluster"
	"github.com/revision-router/revision-router/test/local"
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

// TestUpRunsWhatTheREADMEInstalls carries out the first block of the section Install, as it stands there.
func TestUpRunsWhatTheREADMEInstalls(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a control plane; run without -short")
	}
	bin := commands(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	shell := func(commands string) string {
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", commands)
		cmd.Dir = filepath.Join("..", "..", "..")
		home := t.TempDir()
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+bin+":"+os.Getenv("PATH"), "HELM_CONFIG_HOME="+home,
			"HELM_CACHE_HOME="+home, "HELM_DATA_HOME="+home)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\n%s", err, commands, out)
		}
		return string(out)
	}
	out := untilPrinted(func(string) {
		defer stop()
		shell(installation(t))
		// Nothing is installed of Istio, so that it is a warning.
		if said := shell("kubectl create namespace shop && kubectl label namespace shop istio.io/rev=defualt"); !strings.Contains(said, "Warning: UnknownRevisionLabel: ") {
			t.Errorf("no router is asked:\n%s", said)
		}
	})
	if err := run(ctx, []string{"--run-router", "--nodes", "2", "--kubeconfig", kubeconfig}, streams{out: out, err: os.Stderr}); err != nil {
		t.Fatal(err)
	}
}

// installation are the README's commands.
func installation(t *testing.T) string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## Install\n")
	_, block, _ := strings.Cut(section, "```\n")
	block, _, _ = strings.Cut(block, "```\n")
	if !strings.Contains(block, "helm install") || !strings.Contains(block, "kubectl -n revision-router rollout status") {
		t.Fatalf("the README's installation is\n%s", block)
	}
	return block
}

// commands is a folder with helm and kubectl.
func commands(t *testing.T) string {
	t.Helper()
	helm, err := local.Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kubectl, err := cluster.Tool(t.Context(), "tools/controlplane", "k8s.io/kubernetes/cmd/kubectl")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name, path := range map[string]string{"helm": helm, "kubectl": kubectl} {
		if err := os.Symlink(path, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

func TestUpRunsNoRouterWithoutNodes(t *testing.T) {
	err := run(t.Context(), []string{"--run-router", "--nodes", "0"}, streams{out: io.Discard, err: os.Stderr})
	if err == nil || !strings.Contains(err.Error(), "--nodes=0") {
		t.Errorf("got %v, want an error about --nodes=0", err)
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
	for _, name := range []string{"-kubeconfig", "-build-only", "-nodes", "-run-router"} {
		if !strings.Contains(help.String(), name) {
			t.Errorf("the help does not explain %s:\n%s", name, help.String())
		}
	}
}
