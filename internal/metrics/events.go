package metrics

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	told "github.com/revision-router/revision-router/internal/events"
)

// EventRecorder counts what becomes of Events.
type EventRecorder struct {
	outcomes map[told.Outcome]prometheus.Counter
}

// NewEventRecorder registers the counter.
func NewEventRecorder(registry prometheus.Registerer) (*EventRecorder, error) {
	f := factory{registry: registry}
	r := &EventRecorder{outcomes: countersFor(&f, events, told.Outcomes())}
	if len(f.errs) > 0 {
		return nil, fmt.Errorf("register the metrics of events: %w", errors.Join(f.errs...))
	}
	return r, nil
}

// Counted counts one.
func (r *EventRecorder) Counted(o told.Outcome) { inc(r.outcomes, o) }
