package metrics

import (
	"crypto/x509"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"github.com/revision-router/revision-router/certs/secretca"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook"
)

type rig struct {
	registry *prometheus.Registry
	recorder *Recorder
	snapshot Snapshot
	report   secretca.Report
	now      time.Time
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{registry: prometheus.NewPedanticRegistry(), now: time.Unix(1000, 0)}
	recorder, err := NewRecorder(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	r.recorder = recorder
	if _, err := NewChangeRecorder(r.registry); err != nil {
		t.Fatal(err)
	}
	if _, err := NewCertificateRecorder(r.registry); err != nil {
		t.Fatal(err)
	}
	if _, err := NewEventRecorder(r.registry); err != nil {
		t.Fatal(err)
	}
	if err := (Certificates{SelfManaged: func() secretca.Report { return r.report }}).Register(r.registry); err != nil {
		t.Fatal(err)
	}
	registerServer(t, r.registry, recorder.Panicked)
	state := State{
		Snapshot: func() Snapshot { return r.snapshot },
		Now:      func() time.Time { return r.now },
		Build:    Build{Version: "v0.1.0", Commit: "abc", GoVersion: "go1.26"},
	}
	if err := state.Register(r.registry); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) gather(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*dto.MetricFamily{}
	for _, f := range families {
		byName[f.GetName()] = f
	}
	return byName
}

func TestWhatIsExportedIsWhatTheCatalogSays(t *testing.T) {
	r := newRig(t)
	r.snapshot = Snapshot{Generation: 1, Made: r.now}
	r.report = secretca.Report{Leaf: &x509.Certificate{NotAfter: r.now}, Published: r.now}
	families := r.gather(t)
	for _, want := range Catalog() {
		f, ok := families[want.Name]
		if !ok {
			t.Errorf("%s is not exported before the first event", want.Name)
			continue
		}
		delete(families, want.Name)
		got := Metric{Name: f.GetName(), Kind: Kind(strings.ToLower(f.GetType().String())), Help: f.GetHelp()}
		for _, l := range f.GetMetric()[0].GetLabel() {
			got.Labels = append(got.Labels, l.GetName())
		}
		slices.Sort(want.Labels)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-catalog +exported):\n%s", want.Name, diff)
		}
	}
	for name := range families {
		t.Errorf("%s is exported and not in the catalog", name)
	}
}

func TestNamesFollowTheConventions(t *testing.T) {
	name := regexp.MustCompile(`^istio_revision_router_[a-z]+(_[a-z]+)+$`)
	for _, m := range Catalog() {
		if !name.MatchString(m.Name) || !strings.HasSuffix(m.Help, ".") || strings.ToUpper(m.Help[:1]) != m.Help[:1] {
			t.Errorf("%+v: the name needs the prefix, the help has to be sentences", m)
		}
	}
	r := newRig(t)
	problems, err := testutil.GatherAndLint(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]promlint.Problem(nil), problems); diff != "" {
		t.Errorf("promlint:\n%s", diff)
	}
}

func TestEverySeriesStartsAtZero(t *testing.T) {
	families := newRig(t).gather(t)
	for name, want := range map[string]int{
		decisions: len(routing.Reasons()), admissions: 2 * len(webhook.Verdicts()), warnings: len(webhook.Warnings()),
		exempt: len(webhook.Exemptions()), rejected: len(webhook.Causes()), panics: 1,
		namespaceReads: len(webhook.NamespaceReads()), requestDuration: len(webhook.Entries()) + 1, requestSize: 1,
	} {
		series := families[prefix+name].GetMetric()
		if len(series) != want {
			t.Errorf("%s has %d series, want %d", name, len(series), want)
		}
		for _, s := range series {
			if s.GetCounter().GetValue() != 0 || s.GetHistogram().GetSampleCount() != 0 {
				t.Errorf("%s does not start at zero: %v", name, s)
			}
		}
	}
}

func TestEventsAreCounted(t *testing.T) {
	r := newRig(t)
	d := routing.Decision{Action: routing.Unresolvable, Reason: routing.UnknownRevision}
	d.Warnings = d.Warnings.With(routing.InjectionValue).With(routing.AnnotationIgnored)
	for range 2 {
		r.recorder.Decided(webhook.Outcome{Decision: d, Verdict: routing.Refused})
	}
	r.recorder.Decided(webhook.Outcome{Decision: routing.Decision{Reason: routing.PodRevision}, Verdict: routing.Admitted, DryRun: true})
	r.recorder.Exempted(webhook.OtherOperation)
	r.recorder.Rejected(webhook.NoSnapshot)
	r.recorder.ReadNamespace(webhook.ReadDisagrees)
	r.recorder.Panicked()
	r.recorder.Served(webhook.Entries()[1], 3*time.Millisecond, 6000)
	want := []string{
		`istio_revision_router_admissions_total{dry_run="false",verdict="Refused"} 2`,
		`istio_revision_router_admissions_total{dry_run="true",verdict="Admitted"} 1`,
		`istio_revision_router_decisions_total{action="Inject",reason="PodRevision"} 1`,
		`istio_revision_router_decisions_total{action="Unresolvable",reason="UnknownRevision"} 2`,
		`istio_revision_router_exempt_requests_total{exemption="other_operation"} 1`,
		`istio_revision_router_namespace_reads_total{result="disagrees"} 1`,
		`istio_revision_router_panics_total 1`,
		`istio_revision_router_rejected_requests_total{cause="no_snapshot"} 1`,
		`istio_revision_router_request_duration_seconds{webhook="namespace-revision.pods.revision-router.io"} 1 in 0.003`,
		`istio_revision_router_request_size_bytes 1 in 6000`,
		`istio_revision_router_warnings_total{warning="AnnotationIgnored"} 2`,
		`istio_revision_router_warnings_total{warning="InjectionValue"} 2`,
	}
	if diff := cmp.Diff(want, nonZero(r.gather(t))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestUnknownValuesMakeNoSeries(t *testing.T) {
	r := newRig(t)
	before, err := testutil.GatherAndCount(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	r.recorder.Decided(webhook.Outcome{Decision: routing.Decision{Action: "x", Reason: "x"}, Verdict: "x"})
	r.recorder.Exempted("x")
	r.recorder.Rejected("x")
	r.recorder.ReadNamespace("x")
	r.recorder.Served(webhook.Entry{Name: "x"}, 0, 0)
	after, err := testutil.GatherAndCount(r.registry)
	if err != nil {
		t.Fatal(err)
	}
	if before != after {
		t.Errorf("%d series became %d", before, after)
	}
	if got := nonZero(r.gather(t)); len(got) != 1 { // the size is observed, whatever the entry
		t.Errorf("counted %v", got)
	}
}

func TestSnapshotGauges(t *testing.T) {
	r := newRig(t)
	read := func() map[string]float64 {
		values := map[string]float64{}
		for name, f := range r.gather(t) {
			for _, m := range f.GetMetric() {
				if f.GetType() == dto.MetricType_GAUGE && !ofCertificates(name) && !ofServer(name) {
					values[strings.TrimPrefix(name, prefix)+labels(m)] = m.GetGauge().GetValue()
				}
			}
		}
		return values
	}
	build := `build_info{commit="abc",go_version="go1.26",version="v0.1.0"}`
	want := map[string]float64{
		"snapshot_generation": 0, `snapshot_objects{kind="revision"}`: 0, `snapshot_objects{kind="tag"}`: 0,
		`snapshot_objects{kind="namespace"}`: 0, build: 1,
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("before the first snapshot (-want +got):\n%s", diff)
	}
	r.snapshot = Snapshot{Generation: 7, Made: r.now.Add(-90 * time.Second), Lag: 200 * time.Millisecond, Revisions: 2, Tags: 3, Namespaces: 40}
	want = map[string]float64{
		"snapshot_age_seconds": 90, "snapshot_stale_seconds": 0, "snapshot_lag_seconds": 0.2, "snapshot_generation": 7, `snapshot_objects{kind="revision"}`: 2,
		`snapshot_objects{kind="tag"}`: 3, `snapshot_objects{kind="namespace"}`: 40, build: 1,
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Errorf("with a snapshot (-want +got):\n%s", diff)
	}
}

func TestRegisteringTwiceIsAnError(t *testing.T) {
	r := newRig(t)
	if _, err := NewRecorder(r.registry); err == nil {
		t.Error("two recorders share one registry")
	}
	if err := (State{}).Register(r.registry); err == nil {
		t.Error("two states share one registry")
	}
}

// The recorder is on the path of every pod.
func TestRecordingAllocatesNothing(t *testing.T) {
	r := newRig(t)
	entry := webhook.Entries()[0]
	outcome := webhook.Outcome{Decision: routing.Decision{Action: routing.Inject, Reason: routing.PodRevision}, Verdict: routing.Admitted}
	if n := testing.AllocsPerRun(100, func() {
		r.recorder.Decided(outcome)
		r.recorder.Served(entry, time.Millisecond, 6000)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// nonZero lists the counters and histograms that counted something, in order.
func nonZero(families map[string]*dto.MetricFamily) []string {
	var list []string
	for name, f := range families {
		for _, m := range f.GetMetric() {
			if v := m.GetCounter().GetValue(); v != 0 {
				list = append(list, name+labels(m)+" "+number(v))
			}
			if h := m.GetHistogram(); h.GetSampleCount() != 0 {
				list = append(list, name+labels(m)+" "+number(float64(h.GetSampleCount()))+" in "+number(h.GetSampleSum()))
			}
		}
	}
	slices.Sort(list)
	return list
}

func labels(m *dto.Metric) string {
	var pairs []string
	for _, l := range m.GetLabel() {
		pairs = append(pairs, l.GetName()+`="`+l.GetValue()+`"`)
	}
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
