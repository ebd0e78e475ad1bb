package secretca_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/revision-router/revision-router/certs"
)

// waitHealed waits until every webhook holds the bundle again. The five seconds that are promised are tested where
// they are made (TestNothingTakesLongerThanFiveSeconds); here the time is only told.
func (e *environment) waitHealed() {
	e.t.Helper()
	begin := time.Now()
	e.waitFor("the bundle to be mended", e.holdsBundle)
	e.t.Logf("mended after %s", time.Since(begin).Round(time.Millisecond))
}

func (e *environment) patchMutating(patchType types.PatchType, patch string, subresources ...string) error {
	_, err := e.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(
		e.t.Context(), e.mutating, patchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}, subresources...)
	return err
}

func TestABundleThatSomebodyChangedIsMended(t *testing.T) {
	const path = `"path":"/webhooks/1/clientConfig/caBundle"`
	stray, err := certs.NewAuthority(time.Now(), certs.DefaultCALifetime)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := json.Marshal(certs.EncodeCertificate(stray.Certificate))
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]string{
		"it is removed":        `[{"op":"remove",` + path + `}]`,
		"it becomes garbage":   `[{"op":"replace",` + path + `,"value":"Z2FyYmFnZQ=="}]`,
		"it becomes another":   `[{"op":"replace",` + path + `,"value":` + string(foreign) + `}]`,
		"an entry is inserted": `[{"op":"copy","from":"/webhooks/1","path":"/webhooks/0"},{"op":"replace","path":"/webhooks/0/name","value":"new.example.com"},{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`,
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			e := newEnvironment(t)
			e.createMutating(e.idleWebhook("a.example.com"), e.idleWebhook("b.example.com"))
			m, _ := e.start(e.options())
			e.waitReady(m)
			if err := e.patchMutating(types.JSONPatchType, change); err != nil {
				t.Fatal(err)
			}
			e.waitHealed()
			e.waitReady(m)
		})
	}
}

func TestABundleThatIsReplacedWithItsConfigurationIsMended(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	m, _ := e.start(e.options())
	e.waitReady(m)
	configurations := e.client.AdmissionregistrationV1().MutatingWebhookConfigurations()
	if err := configurations.Delete(t.Context(), e.mutating, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	e.createMutating(e.idleWebhook("b.example.com"), e.idleWebhook("c.example.com"))
	e.waitHealed()
	e.waitReady(m)
}

func TestAFightOverTheBundleStaysCivil(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	o := e.options()
	did := &recorder{}
	o.Recorder = did
	m, _ := e.start(o)
	e.waitReady(m)
	for range 8 { // more than the burst: the last have to wait
		if err := e.patchMutating(types.JSONPatchType, `[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`); err != nil {
			t.Fatal(err)
		}
		e.waitHealed()
	}
	e.waitReady(m)
	if n := len(did.writes()); n > 12 {
		t.Errorf("%d writes for 8 quarrels: %v", n, did.writes())
	}
}

// applyMutating applies as Helm 4, Flux and Argo CD do: the manifest without a bundle.
func (e *environment) applyMutating(webhooks ...admissionregistrationv1.MutatingWebhook) error {
	manifest, err := json.Marshal(admissionregistrationv1.MutatingWebhookConfiguration{
		TypeMeta:   metav1.TypeMeta{APIVersion: "admissionregistration.k8s.io/v1", Kind: "MutatingWebhookConfiguration"},
		ObjectMeta: metav1.ObjectMeta{Name: e.mutating}, Webhooks: webhooks,
	})
	if err != nil {
		return err
	}
	_, err = e.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(
		e.t.Context(), e.mutating, types.ApplyPatchType, manifest, metav1.PatchOptions{FieldManager: "helm"})
	return err
}

func TestTheOwnerOfAConfigurationCanGoOnApplyingIt(t *testing.T) {
	e := newEnvironment(t)
	a, b := e.idleWebhook("a.example.com"), e.idleWebhook("b.example.com")
	if err := e.applyMutating(a, b); err != nil {
		t.Fatal(err)
	}
	m, _ := e.start(e.options())
	e.waitReady(m)

	a.TimeoutSeconds = new(int32(3))
	if err := e.applyMutating(a, b); err != nil {
		t.Errorf("the owner cannot change an entry: %v", err)
	}
	if err := e.holdsBundle(); err != nil {
		t.Errorf("applying a manifest without a bundle removed it: %v", err)
	}
	if err := e.applyMutating(a); err != nil {
		t.Errorf("the owner cannot remove an entry: %v", err)
	}
	if got := len(e.published()); got != 1 {
		t.Errorf("%d entries, want the one that the owner kept", got)
	}
	e.waitReady(m)
}

// The reason for a JSON patch: this is what the owner would meet if the bundle were applied. When it no longer
// does, bundlePatch can become an apply.
func TestServerSideApplyOfTheBundleWouldLockTheOwnerOut(t *testing.T) {
	e := newEnvironment(t)
	a, b := e.idleWebhook("a.example.com"), e.idleWebhook("b.example.com")
	if err := e.applyMutating(a, b); err != nil {
		t.Fatal(err)
	}
	bundleOnly := fmt.Sprintf(`{"apiVersion":"admissionregistration.k8s.io/v1","kind":"MutatingWebhookConfiguration","metadata":{"name":%q},
		"webhooks":[{"name":"a.example.com","clientConfig":{"caBundle":"eA=="}},{"name":"b.example.com","clientConfig":{"caBundle":"eA=="}}]}`, e.mutating)
	if err := e.patchMutating(types.ApplyPatchType, bundleOnly); err != nil {
		t.Fatalf("applying name and bundle only: %v", err)
	}
	if err := e.applyMutating(a); !apierrors.IsInvalid(err) {
		t.Errorf("the owner removes an entry: %v, want it to be refused as invalid", err)
	}
}

// A rotation and a change by somebody else at once: the configuration that lacks the new CA holds the rotation up
// until it is mended.
func TestARotationWaitsForEveryConfiguration(t *testing.T) {
	e := newEnvironment(t)
	e.createMutating(e.idleWebhook("a.example.com"))
	e.createValidating("b.example.com")
	m, stop := e.start(e.options())
	e.waitReady(m)
	before := e.secret().Data["tls.crt"]
	stop()

	// A replica that may not write the validating configuration cannot confirm.
	limited := e.options()
	limited.Client = e.clientWithout(t, "validatingwebhookconfigurations", "patch")
	held, stopHeld := e.start(limited)
	e.waitReady(held)
	if err := held.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	e.waitFor("the next CA in the mutating configuration", func() error {
		if len(e.secret().Data["next-tls.crt"]) == 0 {
			return errors.New("no next CA is staged")
		}
		return e.holdsBundle()
	})
	status, err := held.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status.Action != certs.PublishBundle || status.NextPublished != nil {
		t.Errorf("due is %s (%s), want %s: the validating configuration lacks the next CA", status.Action, status.Reason, certs.PublishBundle)
	}
	if err := held.Ready(); err != nil {
		t.Errorf("the replica is not ready, although its certificate is trusted: %v", err)
	}
	stopHeld()

	free, _ := e.start(e.options())
	e.waitReady(free)
	e.waitForNewCA(before, nil)
}
