package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
	"github.com/revision-router/revision-router/test/message"
)

// meshSource is a mesh that a test wrote down, and counts how often it is read.
type meshSource struct {
	mesh           skew.Mesh
	failure        error
	meshReads      int
	gatewayReads   []string
	namespaceReads []string
	// settle happens while the validator waits for the snapshot to catch up; settles counts how often it does.
	settle  func(*meshSource) error
	settles int
}

func (s *meshSource) LiveSkewMesh(context.Context) (*skew.Mesh, error) {
	s.meshReads++
	return &s.mesh, s.failure
}

func (s *meshSource) LiveGateways(_ context.Context, namespace string) ([]skew.Gateway, error) {
	s.gatewayReads = append(s.gatewayReads, namespace)
	var found []skew.Gateway
	for _, g := range s.mesh.Gateways {
		if g.Namespace == namespace {
			found = append(found, g)
		}
	}
	return found, s.failure
}

func (s *meshSource) LiveNamespace(_ context.Context, name string) (skew.Namespace, error) {
	s.namespaceReads = append(s.namespaceReads, name)
	for _, n := range s.mesh.Namespaces {
		if n.Name == name {
			return n, s.failure
		}
	}
	return skew.Namespace{}, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, name)
}

func (s *meshSource) Settle(context.Context) error {
	s.settles++
	if s.settle == nil {
		return nil
	}
	return s.settle(s)
}

// counted is what the recorder was told.
type counted struct{ judged, unjudged int }

func (c *counted) Judged(skew.Kind, []skew.Finding) { c.judged++ }
func (c *counted) Unjudged(skew.Kind)               { c.unjudged++ }

// sharedWaypoint is a mesh in which namespace bookinfo uses a waypoint of namespace infra.
func sharedWaypoint() skew.Mesh {
	return skew.Mesh{
		Istios: []skew.Istio{{Name: "default", Version: "v1.30.3", Active: "default", Observed: true}},
		Revisions: []skew.Revision{{
			Revision: routing.Revision{Name: "default", Version: "v1.30.3", Istio: "default", Origin: routing.Sail},
		}},
		Namespaces: []skew.Namespace{
			{Name: "infra"},
			{Name: "bookinfo", Labels: map[string]string{skew.LabelUseWaypoint: "waypoint", skew.LabelUseWaypointNamespace: "infra"}},
		},
		Gateways: []skew.Gateway{{
			Namespace: "infra", Name: "waypoint", Class: "istio-waypoint",
			Listeners: []skew.Listener{{Protocol: "HBONE", Port: 15008, From: "All"}},
		}},
	}
}

const (
	infra       = `{"metadata":{"name":"infra"}}`
	terminating = `{"metadata":{"name":"infra","deletionTimestamp":"2026-11-22T16:40:49Z"}}`
	meant       = `{"metadata":{"name":"infra","annotations":{"revision-router.io/override":"the mesh moves"}}}`
	labelled    = `{"metadata":{"name":"infra","labels":{"istio.io/rev":"nobody"}}}`
	farWaypoint = `{"metadata":{"name":"shop","labels":{"istio.io/use-waypoint":"waypoint","istio.io/use-waypoint-namespace":"infra"}}}`
)

// ofNamespace is the request about a namespace.
func ofNamespace(operation admissionv1.Operation, before, after string) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Namespace"}, Operation: operation,
		Object: runtime.RawExtension{Raw: []byte(after)}, OldObject: runtime.RawExtension{Raw: []byte(before)},
		UserInfo: authenticationv1.UserInfo{Username: "alice"},
	}}
}

func TestChangesOfNamespaces(t *testing.T) {
	outage := errors.New("the API server is away")
	remove := func(before string) admission.Request { return ofNamespace(admissionv1.Delete, before, "") }
	unused := sharedWaypoint()
	unused.Namespaces = unused.Namespaces[:1]
	empty := sharedWaypoint()
	empty.Gateways = nil
	status := ofNamespace(admissionv1.Update, infra, labelled)
	status.SubResource = "status"
	controller := remove(infra)
	controller.UserInfo.Username = "system:serviceaccount:kube-system:namespace-controller"
	for name, tc := range map[string]struct {
		source   meshSource
		request  admission.Request
		code     int32  // 200 is admitted
		says     string // by the denial or the first warning
		reads    int    // of the whole mesh
		gateways string // namespaces whose Gateways are read
	}{
		"deleted with a waypoint that others use":           {meshSource{mesh: sharedWaypoint()}, remove(infra), 403, "WaypointInUseDelete: Gateway infra/waypoint", 2, "infra,infra"},
		"deleted with a waypoint that nobody uses":          {meshSource{mesh: unused}, remove(infra), 200, "", 1, "infra"},
		"deleted without a Gateway costs one look":          {meshSource{mesh: empty}, remove(infra), 200, "", 0, "infra"},
		"deleted again while it is terminating":             {meshSource{mesh: sharedWaypoint()}, remove(terminating), 200, "", 1, "infra"},
		"deleted with a reason":                             {meshSource{mesh: sharedWaypoint()}, remove(meant), 200, "WaypointInUseDelete", 1, "infra"},
		"deleted by a controller":                           {meshSource{mesh: sharedWaypoint()}, controller, 200, "WaypointInUseDelete", 1, "infra"},
		"deleted while nothing can be read":                 {meshSource{failure: outage}, remove(infra), 503, "retry in a moment", 0, "infra"},
		"deleted by a controller while nothing can be read": {meshSource{failure: outage}, controller, 200, "could not judge", 0, "infra"},
		"created without labels costs nothing":              {meshSource{failure: outage}, ofNamespace(admissionv1.Create, "", infra), 200, "", 0, ""},
		"created with a revision that nobody is":            {meshSource{mesh: sharedWaypoint()}, ofNamespace(admissionv1.Create, "", labelled), 403, "UnknownRevisionLabel: Namespace infra", 1, ""},
		"labelled while nothing can be read":                {meshSource{failure: outage}, ofNamespace(admissionv1.Update, infra, labelled), 503, "Namespace infra cannot be judged", 1, ""},
		"loses its last label":                              {meshSource{mesh: sharedWaypoint()}, ofNamespace(admissionv1.Update, labelled, infra), 200, "", 1, ""},
		"uses a waypoint of another":                        {meshSource{mesh: sharedWaypoint()}, ofNamespace(admissionv1.Create, "", farWaypoint), 200, "", 1, "infra"},
		"a status":                                          {meshSource{failure: outage}, status, 200, "", 0, ""},
		"a connection":                                      {meshSource{failure: outage}, ofNamespace(admissionv1.Connect, infra, infra), 200, "", 0, ""},
		"nothing":                                           {meshSource{}, ofNamespace(admissionv1.Update, "", ""), 400, "holds no object", 0, ""},
		"something else":                                    {meshSource{}, ofNamespace(admissionv1.Update, "", "{"), 400, "Namespace", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := NewChangeValidator(ChangeValidatorOptions{
				Mesh: &tc.source, Policy: skew.DefaultPolicy, Recorder: &counted{}, Log: logr.Discard(),
			})
			response := v.Handle(t.Context(), tc.request)
			said := strings.Join(response.Warnings, "\n")
			if response.Result != nil {
				said += response.Result.Message
			}
			if response.Result.Code != tc.code || response.Allowed != (tc.code == http.StatusOK) {
				t.Errorf("answered %d, allowed %t: %s", response.Result.Code, response.Allowed, said)
			}
			if !strings.Contains(said, tc.says) {
				t.Errorf("said %q, want %q", said, tc.says)
			}
			if response.Result.Code == http.StatusForbidden {
				message.Documented(t, said)
			}
			if got := strings.Join(tc.source.gatewayReads, ","); tc.source.meshReads != tc.reads || got != tc.gateways {
				t.Errorf("read the mesh %d times and Gateways of %q, want %d and %q", tc.source.meshReads, got, tc.reads, tc.gateways)
			}
		})
	}
}

// The rollout of a tag reaches the rules as it was written.
func TestTheRolloutOfATagIsJudged(t *testing.T) {
	source := &meshSource{mesh: sharedWaypoint()}
	recorder := &counted{}
	v := NewChangeValidator(ChangeValidatorOptions{Mesh: source, Policy: skew.DefaultPolicy, Recorder: recorder, Log: logr.Discard()})
	tagWith := func(rollout string) []byte {
		raw, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"name": "prod", "annotations": map[string]any{routing.AnnotationRollout: rollout}},
			"spec":     map[string]any{"targetRef": map[string]any{"kind": "Istio", "name": "default"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for rollout, allowed := range map[string]bool{"default=10": true, "default=110": false, "other=10": false, "default": false} {
		response := v.Handle(t.Context(), admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Kind: metav1.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: "IstioRevisionTag"}, Operation: admissionv1.Create,
			Object: runtime.RawExtension{Raw: tagWith(rollout)},
		}})
		if response.Allowed != allowed || strings.Contains(response.Result.Message, "TagRollout: ") == allowed {
			t.Errorf("%s: allowed %t, %s", rollout, response.Allowed, response.Result.Message)
		}
		message.Documented(t, response.Result.Message)
	}
	if recorder.judged != 4 || recorder.unjudged != 0 {
		t.Errorf("recorded %+v", recorder)
	}
}

// TestRefusalsByWhatMayBeAMomentOldAreLookedAtAgain: pods, namespaces and consumers of a waypoint are those of a snapshot.
func TestRefusalsByWhatMayBeAMomentOldAreLookedAtAgain(t *testing.T) {
	revision := func(name, version string) skew.Revision {
		return skew.Revision{Revision: routing.Revision{Name: name, Version: version, Istio: "default", Origin: routing.Sail}}
	}
	used := skew.Mesh{
		Istios:    []skew.Istio{{Name: "default", Version: "v1.30.3", Strategy: skew.RevisionBased, Active: "default-v1-30-3", Observed: true}},
		Revisions: []skew.Revision{revision("default-v1-29-6", "v1.29.6"), revision("default-v1-30-3", "v1.30.3")},
		Tags:      []routing.Tag{{Name: "prod", TargetKind: "IstioRevision", TargetName: "default-v1-30-3", Revision: "default-v1-30-3"}},
		Workloads: []skew.Workload{{
			Kind: "Deployment", Namespace: "bookinfo", Name: "details", Revision: "default-v1-29-6", Version: "v1.29.6", Pods: 1,
		}},
	}
	podsGone := func(s *meshSource) error { s.mesh.Workloads = nil; return nil }
	removal := func(name string) admission.Request {
		return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
			Kind: metav1.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: "IstioRevision"}, Operation: admissionv1.Delete,
			OldObject: runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"` + name + `"}}`)},
		}}
	}
	cases := map[string]struct {
		request admission.Request
		settle  func(*meshSource) error
		allowed bool
		settles int
	}{
		"still used a moment later":          {removal("default-v1-29-6"), nil, false, 1},
		"the last pod has gone meanwhile":    {removal("default-v1-29-6"), podsGone, true, 1},
		"no time is left for a second look":  {removal("default-v1-29-6"), func(*meshSource) error { return context.DeadlineExceeded }, false, 1},
		"the second look fails":              {removal("default-v1-29-6"), func(s *meshSource) error { s.failure = errors.New("away"); return nil }, false, 1},
		"a tag needs it, which is read live": {removal("default-v1-30-3"), podsGone, false, 0},
		"admitted, which needs no such look": {removal("default-v1-28-8"), podsGone, true, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			wantLooks(t, &meshSource{mesh: used, settle: tc.settle}, tc.request, looks{tc.allowed, tc.settles})
		})
	}
}

// looks are what came of a request, and how often the validator waited for the snapshot before.
type looks struct {
	allowed bool
	settles int
}

func wantLooks(t *testing.T, source *meshSource, request admission.Request, want looks) {
	t.Helper()
	response := NewChangeValidator(ChangeValidatorOptions{
		Mesh: source, Policy: skew.DefaultPolicy, Recorder: &counted{}, Log: logr.Discard(),
	}).Handle(t.Context(), request)
	if got := (looks{response.Allowed, source.settles}); got != want {
		t.Errorf("allowed %t after %d waits, want %t after %d: %+v", got.allowed, got.settles, want.allowed, want.settles, response.Result)
	}
}

// What a control plane runs is told by its pods, which are those of the snapshot, too: kubectl rollout status may end some
// milliseconds before the router hears that the last old one ends.
func TestPodsOfAControlPlaneAreLookedAtAgain(t *testing.T) {
	done := func(version string, pods ...string) skew.Rollout {
		return skew.Rollout{Found: true, Version: version, Observed: true, Pods: 1, Updated: 1, Ready: 1, PodVersions: pods}
	}
	under := done("v1.30.3", "v1.29.6")
	under.Pods = 2
	request := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		Kind: metav1.GroupVersionKind{Group: "sailoperator.io", Version: "v1", Kind: "IstioCNI"}, Operation: admissionv1.Update,
		OldObject: runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"default"},"spec":{"version":"v1.29.6","namespace":"istio-cni"}}`)},
		Object:    runtime.RawExtension{Raw: []byte(`{"metadata":{"name":"default"},"spec":{"version":"v1.30.3","namespace":"istio-cni"}}`)},
	}}
	cases := map[string]struct {
		first, later skew.Rollout
		allowed      bool
		settles      int
	}{
		"the old pod has ended meanwhile": {done("v1.30.3", "v1.29.6", "v1.30.3"), done("v1.30.3", "v1.30.3"), true, 1},
		"the old pod still runs":          {done("v1.30.3", "v1.29.6", "v1.30.3"), done("v1.30.3", "v1.29.6", "v1.30.3"), false, 1},
		"the roll-out is under way":       {under, done("v1.30.3", "v1.30.3"), false, 0},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			mesh := func(istiod skew.Rollout) skew.Mesh {
				return skew.Mesh{
					Istios: []skew.Istio{{Name: "default", Version: "v1.30.3", Strategy: skew.InPlace, Active: "default", Observed: true}},
					Revisions: []skew.Revision{{
						Revision: routing.Revision{Name: "default", Version: "v1.30.3", Istio: "default", Origin: routing.Sail},
						Ready:    skew.Ready, Istiod: istiod,
					}},
					CNI: &skew.CNI{Name: "default", Namespace: "istio-cni", Version: "v1.29.6", DaemonSet: done("v1.29.6", "v1.29.6")},
				}
			}
			source := &meshSource{mesh: mesh(tc.first), settle: func(s *meshSource) error { s.mesh = mesh(tc.later); return nil }}
			wantLooks(t, source, request, looks{tc.allowed, tc.settles})
		})
	}
}
