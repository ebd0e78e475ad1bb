package metrics

import (
	"fmt"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/revision-router/revision-router/internal/figures"
)

// The names of the metrics of the mesh as it is, each without the prefix.
const (
	meshWorkloads    = "mesh_workloads"
	meshRestarts     = "mesh_workloads_to_restart"
	meshObservations = "mesh_observations"
	tagRollout       = "tag_rollout_percent"
	tagWorkloads     = "tag_workloads"
	tagHeldBack      = "tag_held_back"
	policyGeneration = "policy_generation"
	policyFailed     = "policy_failed"
	injectorOverlaps = "injector_overlaps"
	injectorReady    = "injector_ready_pods"
)

// maxMeshSeries bounds each metric whose labels come from objects. What is beyond is added up under [otherRevision].
const maxMeshSeries = 200

// MeshCatalog lists the metrics of the mesh as it is. All replicas tell the same, so take the max of them and not the
// sum. Those by revision and by tag are there where such objects are.
func MeshCatalog() []Metric {
	rows := []Metric{
		{meshWorkloads, Gauge, []string{"revision", "version", "role"}, "Workloads of the mesh, by the revision and version of their proxies. One that is being restarted counts for each version."},
		{meshRestarts, Gauge, []string{"revision", "version"}, "Workloads whose sidecars would be of another revision or version if their pods were created now, by what they run."},
		{meshObservations, Gauge, []string{"rule", "level"}, "What the rules find wrong with the mesh as it is: skew and references that lead nowhere."},
		{tagRollout, Gauge, []string{"tag", "revision"}, "Share of a tag's workloads that its rollout sends to the revision, in percent. Absent for tags without one."},
		{tagWorkloads, Gauge, []string{"tag", "revision"}, "Workloads with a sidecar that ask for a tag, by the revision that they run."},
		{tagHeldBack, Gauge, []string{"tag"}, "1 while a tag leads to another revision than its target, because that takes no pods, or to none."},
		{policyGeneration, Gauge, nil, "How many policies were put in force since the start, the first one included."},
		{policyFailed, Gauge, nil, "1 while the policy file cannot be used, so that an older policy stays in force."},
		{injectorReady, Gauge, []string{"revision"}, "Ready pods of the istiod of a revision, whose injector they are. Absent where its Deployment is not found."},
		{injectorOverlaps, Gauge, nil, "Webhooks of Istio's that inject pods which the router injects as well. Always 0 in guard mode."},
	}
	for i := range rows {
		rows[i].Name = prefix + rows[i].Name
	}
	return rows
}

// Policy tells about the policy file.
type Policy struct {
	Generation int
	Failed     bool
}

// Mesh are the gauges of the mesh as it is, read when they are asked for. All fields are required.
type Mesh struct {
	Figures  func() figures.Figures
	Policy   func() Policy
	Overlaps func() int
}

// Register registers the gauges.
func (m Mesh) Register(registry prometheus.Registerer) error {
	c := &meshCollector{
		Mesh: m, workloads: gauge(meshWorkloads), restarts: gauge(meshRestarts), observations: gauge(meshObservations),
		rollout: gauge(tagRollout), tagged: gauge(tagWorkloads), held: gauge(tagHeldBack),
		generation: gauge(policyGeneration), failed: gauge(policyFailed), overlaps: gauge(injectorOverlaps),
		injectors: gauge(injectorReady),
	}
	if err := registry.Register(c); err != nil {
		return fmt.Errorf("register the metrics of the mesh: %w", err)
	}
	return nil
}

type meshCollector struct {
	Mesh
	workloads, restarts, observations, rollout, tagged, held *prometheus.Desc
	generation, failed, overlaps, injectors                  *prometheus.Desc
}

// Describe lists the metrics.
func (c *meshCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.workloads, c.restarts, c.observations, c.rollout, c.tagged, c.held, c.generation, c.failed, c.overlaps, c.injectors,
	} {
		ch <- d
	}
}

// Collect reads the state.
func (c *meshCollector) Collect(ch chan<- prometheus.Metric) {
	now, policy := c.Figures(), c.Policy()
	workloads, restarts := bounded{desc: c.workloads}, bounded{desc: c.restarts}
	for _, w := range now.Workloads {
		workloads.add(float64(w.Count), []string{w.Revision, w.Version, string(w.Role)}, []string{otherRevision, otherRevision, string(w.Role)})
	}
	for _, r := range now.Restarts {
		restarts.add(float64(r.Count), []string{r.Revision, r.Version}, []string{otherRevision, otherRevision})
	}
	workloads.send(ch)
	restarts.send(ch)
	for _, o := range now.Observations {
		ch <- prometheus.MustNewConstMetric(c.observations, prometheus.GaugeValue, float64(o.Count), string(o.Rule), string(o.Level))
	}
	for i, in := range now.Injectors {
		if i < maxMeshSeries { // nothing could be added up here
			ch <- prometheus.MustNewConstMetric(c.injectors, prometheus.GaugeValue, float64(in.Ready), in.Revision)
		}
	}
	c.tags(ch, now.Tags)
	ch <- prometheus.MustNewConstMetric(c.generation, prometheus.GaugeValue, float64(policy.Generation))
	ch <- prometheus.MustNewConstMetric(c.failed, prometheus.GaugeValue, boolean(policy.Failed))
	ch <- prometheus.MustNewConstMetric(c.overlaps, prometheus.GaugeValue, float64(c.Overlaps()))
}

func (c *meshCollector) tags(ch chan<- prometheus.Metric, tags []figures.Tag) {
	tagged := bounded{desc: c.tagged}
	for i, t := range tags {
		for _, w := range t.Workloads {
			tagged.add(float64(w.Count), []string{t.Name, w.Revision}, []string{otherRevision, otherRevision})
		}
		if i >= maxMeshSeries {
			continue // nothing could be added up here
		}
		ch <- prometheus.MustNewConstMetric(c.held, prometheus.GaugeValue, boolean(t.Held), t.Name)
		if t.Rollout.Set() {
			ch <- prometheus.MustNewConstMetric(c.rollout, prometheus.GaugeValue, float64(t.Rollout.Percent), t.Name, t.Rollout.Revision)
		}
	}
	tagged.send(ch)
}

// bounded is a metric with at most maxMeshSeries series and those of the rest.
type bounded struct {
	desc   *prometheus.Desc
	series []sample
}

type sample struct {
	value  float64
	labels []string
}

// add adds a value under its labels, or under those of the rest where there is no room.
func (b *bounded) add(value float64, labels, rest []string) {
	if len(b.series) >= maxMeshSeries {
		labels = rest
	}
	for i := range b.series {
		if slices.Equal(b.series[i].labels, labels) {
			b.series[i].value += value
			return
		}
	}
	b.series = append(b.series, sample{value, labels})
}

func (b *bounded) send(ch chan<- prometheus.Metric) {
	for _, s := range b.series {
		ch <- prometheus.MustNewConstMetric(b.desc, prometheus.GaugeValue, s.value, s.labels...)
	}
}
