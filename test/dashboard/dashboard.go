// Package dashboard puts the queries of the chart's Grafana dashboard to a real Prometheus that scrapes a real router,
// for the test that each has an answer and for the picture in docs/images.
package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/revision-router/revision-router/charts"
	"github.com/revision-router/revision-router/test/local"
)

// Panel is a panel of the dashboard as Grafana reads it, or a row's title.
type Panel struct {
	Title       string `json:"title"`
	Type        string `json:"type"`
	Description string `json:"description"`
	GridPos     struct {
		H, W, X, Y int
	} `json:"gridPos"`
	FieldConfig struct {
		Defaults struct {
			Unit       string   `json:"unit"`
			Decimals   *int     `json:"decimals"`
			Min, Max   *float64 `json:",omitempty"`
			Thresholds struct {
				Steps []struct {
					Color string   `json:"color"`
					Value *float64 `json:"value"`
				} `json:"steps"`
			} `json:"thresholds"`
		} `json:"defaults"`
	} `json:"fieldConfig"`
	Targets []Target `json:"targets"`
}

// Target is a query of a panel.
type Target struct {
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Range        bool   `json:"range"`
}

// Legend is how Grafana names a series of the target.
func (t Target) Legend(labels map[string]string) string {
	text := t.LegendFormat
	for key, value := range labels {
		text = strings.ReplaceAll(text, "{{"+key+"}}", value)
	}
	return text
}

// Panels are those of the dashboard in the chart, in order.
func Panels() ([]Panel, error) {
	raw, err := charts.FS().ReadFile(path.Join(charts.Name, "files", "dashboard.json"))
	if err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	var model struct {
		Panels []Panel `json:"panels"`
	}
	if err := json.Unmarshal(raw, &model); err != nil {
		return nil, fmt.Errorf("reading the dashboard: %w", err)
	}
	return model.Panels, nil
}

// Window is the time that a dashboard shows.
type Window struct {
	From, To time.Time
	Step     time.Duration
}

// Ask returns the series of each target of a panel.
func Ask(ctx context.Context, from *local.Prometheus, p Panel, w Window) ([][]local.Series, error) {
	var all [][]local.Series
	for _, t := range p.Targets {
		ask := func() ([]local.Series, error) { return from.QueryAt(ctx, t.Expr, w.To) }
		if t.Range {
			ask = func() ([]local.Series, error) {
				return from.QueryRange(ctx, t.Expr, local.Range{From: w.From, To: w.To, Step: w.Step})
			}
		}
		series, err := ask()
		if err != nil {
			return nil, fmt.Errorf("panel %q: %w", p.Title, err)
		}
		all = append(all, series)
	}
	return all, nil
}
