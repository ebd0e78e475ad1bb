// Package kind judges kind-config.yaml with kind's own types. It holds nothing but the test. Run it with -count=1: the
// file lies outside this module, so go test does not notice that it has changed and repeats its last answer.
package kind

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

// The file is decoded as kind does it (pkg/internal/apis/config/encoding): the same YAML library, unknown fields refused.
func TestKindConfigIsWhatTheEndToEndTestsNeed(t *testing.T) {
	raw, err := os.ReadFile("../../kind-config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	var got v1alpha4.Cluster
	if err := decoder.Decode(&got); err != nil {
		t.Fatalf("kind refuses kind-config.yaml: %v", err)
	}
	// kind reads the first document and drops the rest without a word.
	if err := decoder.Decode(new(v1alpha4.Cluster)); !errors.Is(err, io.EOF) {
		t.Errorf("kind-config.yaml holds more than one document (%v), of which kind reads only the first", err)
	}

	wantType := v1alpha4.TypeMeta{Kind: "Cluster", APIVersion: "kind.x-k8s.io/v1alpha4"}
	if diff := cmp.Diff(wantType, got.TypeMeta); diff != "" {
		t.Errorf("kind and apiVersion (-want +got):\n%s", diff)
	}
	var roles []v1alpha4.NodeRole
	for _, node := range got.Nodes {
		roles = append(roles, node.Role)
	}
	wantRoles := []v1alpha4.NodeRole{v1alpha4.ControlPlaneRole, v1alpha4.WorkerRole, v1alpha4.WorkerRole}
	if diff := cmp.Diff(wantRoles, roles); diff != "" {
		t.Errorf("nodes: want one control plane and two workers (-want +got):\n%s", diff)
	}
}
