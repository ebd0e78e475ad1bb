package webhook

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	admissionv1 "k8s.io/api/admission/v1"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/revision-router/revision-router/routing/skew"
)

const (
	labelledUID   = `{"metadata":{"name":"infra","uid":"u1","labels":{"istio.io/rev":"nobody"}}}`
	labelledMeant = `{"metadata":{"name":"infra","uid":"u1","annotations":{"revision-router.io/override":"soon"},` +
		`"labels":{"istio.io/rev":"nobody"}}}`
)

// told judges a change of a mesh and returns what people are told, and the lines of the log.
func told(t *testing.T, request admission.Request) (notices []ChangeNotice, lines []string) {
	t.Helper()
	v := NewChangeValidator(ChangeValidatorOptions{
		Mesh: &meshSource{mesh: sharedWaypoint()}, Policy: skew.DefaultPolicy, Recorder: &counted{},
		Log:    funcr.New(func(_, line string) { lines = append(lines, line) }, funcr.Options{}),
		Notify: func(n ChangeNotice) { notices = append(notices, n) },
	})
	v.Handle(t.Context(), request)
	return notices, lines
}

func TestPeopleAreToldOfRulesThatWereOverridden(t *testing.T) {
	notices, lines := told(t, ofNamespace(admissionv1.Create, "", labelledMeant))
	if len(notices) != 2 || len(lines) != 0 {
		t.Fatalf("told %+v, logged %q; want both rules, and nothing at this level of the log", notices, lines)
	}
	n := notices[0]
	if n.APIVersion != "v1" || n.Kind != "Namespace" || n.Name != "infra" || n.UID != "u1" || n.User != "alice" ||
		n.Finding.Overridden != "soon" || n.Finding.Rule != skew.UnknownRevisionLabel {
		t.Errorf("told %+v", n)
	}
}

func TestPeopleAreNotToldOfDryRunsAndOfWhatIsRefused(t *testing.T) {
	yes := true
	dry := ofNamespace(admissionv1.Create, "", labelledMeant)
	dry.DryRun = &yes
	for name, request := range map[string]admission.Request{
		"a dry run": dry, "what is refused": ofNamespace(admissionv1.Create, "", labelledUID), "what is fine": ofNamespace(admissionv1.Delete, infra, ""),
	} {
		if notices, _ := told(t, request); len(notices) > 0 {
			t.Errorf("%s: told %+v", name, notices)
		}
	}
}

func TestAControllerThatIsNeverRefusedIsToldOf(t *testing.T) {
	request := ofNamespace(admissionv1.Create, "", labelledUID)
	request.UserInfo.Username = "system:serviceaccount:sail-operator:sail-operator"
	notices, _ := told(t, request)
	if len(notices) == 0 || !notices[0].Finding.Excused {
		t.Errorf("told %+v", notices)
	}
}

func TestADenialIsOneLine(t *testing.T) {
	_, lines := told(t, ofNamespace(admissionv1.Create, "", labelledUID))
	if len(lines) != 1 {
		t.Fatalf("%d lines: %q", len(lines), lines)
	}
	for _, part := range []string{
		`"msg"="change refused" "rules"="UnknownRevisionLabel,GatewayOwner" "object"="Namespace infra" "operation"="CREATE" "user"="alice" "dryRun"=false`,
		"UnknownRevisionLabel: ", "GatewayOwner: ",
	} {
		if !strings.Contains(lines[0], part) {
			t.Errorf("%s\nwant in it: %s", lines[0], part)
		}
	}
}

func TestChangesAreTimed(t *testing.T) {
	now := time.Unix(0, 0)
	var took time.Duration
	var size int
	v := NewChangeValidator(ChangeValidatorOptions{
		Mesh: &meshSource{mesh: sharedWaypoint()}, Policy: skew.DefaultPolicy, Recorder: &counted{}, Log: logr.Discard(),
		Now:    func() time.Time { now = now.Add(time.Millisecond); return now },
		Served: func(d time.Duration, bytes int) { took, size = d, bytes },
	})
	server := paths{}
	v.Register(server)
	const body = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u1"}}`
	request := httptest.NewRequest(http.MethodPost, ChangePath, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	server[ChangePath].ServeHTTP(httptest.NewRecorder(), request)
	if took != time.Millisecond || size != len(body) {
		t.Errorf("took %s for %d bytes, want 1ms for %d", took, size, len(body))
	}
}
