package main

import (
	"sync"

	"github.com/revision-router/revision-router/internal/figures"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/routing/skew"
)

// registerMesh registers the metrics of the mesh as it is. inventory is nil where what runs is not followed.
func (s shared) registerMesh(source *mesh.Source, inventory *mesh.Skew) error {
	runs := func() *skew.Mesh { return nil }
	if inventory != nil {
		runs = inventory.SkewMesh
	}
	memo := &figuresMemo{}
	return metrics.Mesh{
		Figures: func() figures.Figures {
			return memo.of(source.Mesh(), runs(), s.policy.Generation(), s.policy.Policy().Skew())
		},
		Policy: func() metrics.Policy {
			return metrics.Policy{Generation: s.policy.Generation(), Failed: s.policy.Err() != nil}
		},
		Overlaps: func() int { return len(source.Overlaps()) },
	}.Register(s.registry)
}

// figuresMemo keeps the figures of the last snapshots, which are immutable: a mesh at rest costs a scrape nothing.
type figuresMemo struct {
	mu     sync.Mutex
	mesh   *routing.Mesh
	runs   *skew.Mesh
	policy int
	known  figures.Figures
}

func (f *figuresMemo) of(m *routing.Mesh, runs *skew.Mesh, generation int, policy skew.Policy) figures.Figures {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mesh != m || f.runs != runs || f.policy != generation {
		f.mesh, f.runs, f.policy = m, runs, generation
		f.known = figures.Of(m, runs, policy)
	}
	return f.known
}
