package main

// The parts of Grafana's dashboard model (schema 39) that are written.
type model struct {
	Title         string    `json:"title"`
	UID           string    `json:"uid"`
	Description   string    `json:"description"`
	Tags          []string  `json:"tags"`
	Editable      bool      `json:"editable"`
	SchemaVersion int       `json:"schemaVersion"`
	Refresh       string    `json:"refresh"`
	Time          timeRange `json:"time"`
	Templating    lists     `json:"templating"`
	Annotations   lists     `json:"annotations"`
	Panels        []any     `json:"panels"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

type lists struct {
	List []variable `json:"list"`
}

type variable struct {
	Name  string `json:"name"`
	Label string `json:"label"`
	Type  string `json:"type"`
	Query string `json:"query"`
}

type grid struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type heading struct {
	ID        int    `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	Collapsed bool   `json:"collapsed"`
	GridPos   grid   `json:"gridPos"`
	Panels    []any  `json:"panels"`
}

type source struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

type graph struct {
	ID          int      `json:"id"`
	Type        string   `json:"type"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Datasource  source   `json:"datasource"`
	GridPos     grid     `json:"gridPos"`
	FieldConfig fields   `json:"fieldConfig"`
	Targets     []target `json:"targets"`
}

type fields struct {
	Defaults  defaults `json:"defaults"`
	Overrides []any    `json:"overrides"`
}

type defaults struct {
	Unit       string     `json:"unit"`
	Decimals   *int       `json:"decimals,omitempty"`
	Min        *float64   `json:"min,omitempty"`
	Max        *float64   `json:"max,omitempty"`
	Thresholds thresholds `json:"thresholds"`
}

type thresholds struct {
	Mode  string `json:"mode"`
	Steps []step `json:"steps"`
}

type step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type target struct {
	RefID        string `json:"refId"`
	Datasource   source `json:"datasource"`
	Expr         string `json:"expr"`
	LegendFormat string `json:"legendFormat"`
	Instant      bool   `json:"instant"`
	Range        bool   `json:"range"`
	Format       string `json:"format,omitempty"`
}

// columns is the width of Grafana's grid.
const columns = 24

func dashboard() model {
	m := model{
		Title: "Revision Router", UID: "revision-router",
		Description: "Is anything refused, is anything skewed, how far is the upgrade, is the router healthy?",
		Tags:        []string{"istio", "revision-router"}, Editable: true, SchemaVersion: 39, Refresh: "30s",
		Time:        timeRange{"now-6h", "now"},
		Templating:  lists{[]variable{{"datasource", "Data source", "datasource", "prometheus"}}},
		Annotations: lists{[]variable{}}, Panels: []any{},
	}
	id, y := 0, 0
	for _, r := range rows() {
		id++
		m.Panels = append(m.Panels, heading{ID: id, Type: "row", Title: r.title, GridPos: grid{1, columns, 0, y}, Panels: []any{}})
		y++
		for _, line := range lines(r.panels) {
			x, tallest := 0, 0
			for _, p := range line {
				tallest = max(tallest, p.height())
			}
			for _, p := range line {
				id++
				m.Panels = append(m.Panels, p.graph(id, grid{tallest, p.width, x, y}))
				x += p.width
			}
			y += tallest
		}
	}
	return m
}

// lines breaks panels into those that stand side by side, and are as high as the tallest of them.
func lines(panels []panel) [][]panel {
	var all [][]panel
	room := 0
	for _, p := range panels {
		if p.width > room {
			all, room = append(all, nil), columns
		}
		all[len(all)-1] = append(all[len(all)-1], p)
		room -= p.width
	}
	return all
}

func (p panel) height() int {
	if p.kind == "timeseries" {
		return 8
	}
	if p.kind == "stat" || p.kind == "gauge" {
		return 5
	}
	return 6
}

func (p panel) graph(id int, at grid) graph {
	prometheus := source{"prometheus", "${datasource}"}
	g := graph{ID: id, Type: p.kind, Title: p.title, Description: p.about, Datasource: prometheus, GridPos: at}
	g.FieldConfig = fields{Defaults: defaults{Unit: p.unit, Thresholds: thresholds{"absolute", []step{{"green", nil}}}}, Overrides: []any{}}
	if p.red != nil {
		g.FieldConfig.Defaults.Thresholds.Steps = append(g.FieldConfig.Defaults.Thresholds.Steps, step{"red", p.red})
	}
	if p.kind == "stat" && p.unit == "short" {
		g.FieldConfig.Defaults.Decimals = new(0) // an increase is extrapolated, and nobody refuses a tenth of a pod
	}
	if p.kind == "timeseries" || p.kind == "bargauge" {
		g.FieldConfig.Defaults.Min = new(0.0)
	}
	if p.kind == "gauge" {
		g.FieldConfig.Defaults.Min, g.FieldConfig.Defaults.Max = new(0.0), new(1.0)
	}
	for i, q := range p.queries {
		t := target{
			RefID: string(rune('A' + i)), Datasource: prometheus, Expr: q.Expr, LegendFormat: q.Legend,
			Instant: p.kind != "timeseries", Range: p.kind == "timeseries",
		}
		if p.kind == "table" {
			t.Format = "table"
		}
		g.Targets = append(g.Targets, t)
	}
	return g
}
