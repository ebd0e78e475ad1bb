package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

func TestCertsStatus(t *testing.T) {
	r := newCertsRig(t)
	r.run("status").expect(t, ExitRefused, "Secret "+r.namespace+"/revision-router-ca: Missing",
		"problem: the Secret "+r.namespace+"/revision-router-ca does not exist: is a replica running", "a.example.com   unknown")
	m, stop := r.replica()
	stop()
	address := r.listen(m.Source())

	r.run("status", "--address", address).expect(t, 0, ": Present, rotation Settled", "Next: a new CA is made at 20",
		"a.example.com   in order", "ValidatingWebhookConfiguration "+r.namespace+"   <none>          does not exist", "served")

	var report struct {
		Current  secretca.Certificate  `json:"current"`
		Serving  *secretca.Certificate `json:"serving"`
		Phase    certs.Phase           `json:"phase"`
		Problems []string              `json:"problems"`
	}
	asJSON, asYAML := r.run("status", "-o", "json", "--address", address), r.run("status", "-o", "yaml", "--address", address)
	if err := json.Unmarshal([]byte(asJSON.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Phase != certs.Settled || len(report.Problems) > 0 || len(report.Current.Fingerprint) != 64 || report.Serving == nil {
		t.Errorf("%+v", report)
	}
	converted, err := yaml.YAMLToJSON([]byte(asYAML.stdout))
	if err != nil {
		t.Fatal(err)
	}
	var fromJSON, fromYAML map[string]any
	if err := errors.Join(json.Unmarshal([]byte(asJSON.stdout), &fromJSON), json.Unmarshal(converted, &fromYAML)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fromJSON, fromYAML); diff != "" {
		t.Errorf("(-json +yaml):\n%s", diff)
	}

	r.runAt(8*24*time.Hour, "status", "--address", address).expect(t, ExitRefused, "problem: the serving certificate is valid from",
		"problem: the API server would not trust the router for webhook a.example.com")
	r.runAt(366*24*time.Hour, "status").expect(t, ExitRefused, "problem: the CA is valid from")
	r.overwrite()
	r.run("status").expect(t, ExitRefused, "another", "problem: webhook a.example.com of MutatingWebhookConfiguration "+r.mutating+" holds another CA bundle")
}

// overwrite is what somebody else's tool does while no replica runs.
func (r *certsRig) overwrite() {
	r.t.Helper()
	_, err := r.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(r.t.Context(), r.mutating, types.JSONPatchType,
		[]byte(`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`), metav1.PatchOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *certsRig) secret() *corev1.Secret {
	r.t.Helper()
	secret, err := r.client.CoreV1().Secrets(r.namespace).Get(r.t.Context(), "revision-router-ca", metav1.GetOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	return secret
}

func TestCertsRotate(t *testing.T) {
	r := newCertsRig(t)
	r.run("rotate").expect(t, ExitRefused, "the CA Secret does not exist", "kubectl -n "+r.namespace+" get pods")
	_, stop := r.replica()
	before := r.secret()

	r.run("rotate", "--dry-run").expect(t, 0, "would be asked for (dry run)")
	if after := r.secret(); after.ResourceVersion != before.ResourceVersion {
		t.Error("a dry run changed the Secret")
	}
	got := r.run("rotate", "--wait")
	got.expect(t, 0, "asked for a new CA in Secret "+r.namespace+"/revision-router-ca", "Settling: the next CA begins to sign", "done: the new CA ")
	if bytes.Equal(r.secret().Data["tls.crt"], before.Data["tls.crt"]) {
		t.Error("the CA is the old one")
	}
	r.run("status").expect(t, 0, "rotation Overlapping", "Next: the replaced CA leaves the bundles at 20", "replaced CA")

	stop() // nobody is there to follow the next request
	r.run("rotate").expect(t, 0, "asked for a new CA", "To follow it, router certs status")
	r.run("rotate").expect(t, ExitRefused, "a rotation is in progress already", "StageNext is due now")
	r.runAt(stuckAfter+time.Minute, "rotate").expect(t, 0, "warning: the rotation has not moved since", "asked for a new CA")
	r.runAt(stuckAfter+2*time.Minute, "status").expect(t, 0, "StageNext is due now, because a rotation was requested")
	r.runAt(3*stuckAfter, "status").expect(t, ExitRefused, "problem: the rotation has not moved since")
	r.runAt(3*stuckAfter, "rotate", "--wait", "--timeout=1ms").expect(t, ExitRefused, "the rotation is not over after 1ms", "logs deployment/revision-router")
}

func TestCertsOfCertManager(t *testing.T) {
	r := newCertsRig(t)
	_, err := r.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Patch(r.t.Context(), r.mutating, types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, injectedFrom, r.namespace+"/revision-router-tls"), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	r.run("status").expect(t, 0, "cert-manager injects the CA of Certificate "+r.namespace+"/revision-router-tls", "describe certificate revision-router-tls")
	r.run("rotate").expect(t, ExitRefused, "the router keeps no CA: cert-manager injects that of Certificate "+r.namespace)
}

func TestCertsUsage(t *testing.T) {
	r := newCertsRig(t)
	cases := map[string]struct {
		args []string
		want string
	}{
		"an argument":                    {[]string{"status", "ca.crt"}, `takes no argument "ca.crt"`},
		"a format that does not exist":   {[]string{"status", "-o", "xml"}, `unknown output format "xml": use -o table, -o json or -o yaml`},
		"waiting for a dry run":          {[]string{"rotate", "--wait", "--dry-run"}, "exclude each other"},
		"a flag that does not exist":     {[]string{"rotate", "--now"}, "unknown flag: --now; see certs rotate --help"},
		"a kubeconfig that is not there": {[]string{"status", "--kubeconfig=testdata/there-is-none"}, "testdata/there-is-none"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			cmd := NewCertsCommand(Streams{Out: &out, Err: &out}, clock.RealClock{})
			cmd.SetArgs(tc.args)
			err := cmd.ExecuteContext(t.Context())
			if exit, ok := errors.AsType[ExitError](err); !ok || exit.Code != ExitUsage || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%v, want exit code %d and %q", err, ExitUsage, tc.want)
			}
		})
	}
	unreachable := r.run("status", "--address", "127.0.0.1:1")
	unreachable.expect(t, ExitRefused, "no certificate from 127.0.0.1:1", "port-forward service/revision-router 9443:443")
	var notAllowed bytes.Buffer
	cmd := NewCertsCommand(Streams{Out: &notAllowed, Err: &notAllowed}, clock.RealClock{})
	cmd.SetArgs([]string{"status", "-n", r.namespace, "--kubeconfig", kubeconfigFor(t, r.cluster, "nobody-in-particular")})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "auth can-i get secret/revision-router-ca") {
		t.Errorf("%v, want the command that tells what is allowed", err)
	}
}
