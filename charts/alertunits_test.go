package charts_test

import "strings"

// What promtool reads: https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
type unitTests struct {
	RuleFiles []string   `json:"rule_files"`
	Tests     []unitTest `json:"tests"`
}

type unitTest struct {
	Name        string         `json:"name"`
	Interval    string         `json:"interval"`
	InputSeries []inputSeries  `json:"input_series"`
	Alerts      []alertAtATime `json:"alert_rule_test"`
}

type inputSeries struct {
	Series string `json:"series"`
	Values string `json:"values"`
}

type alertAtATime struct {
	Alert string          `json:"alertname"`
	At    string          `json:"eval_time"`
	Want  []expectedAlert `json:"exp_alerts"`
}

type expectedAlert struct {
	Labels      map[string]string `json:"exp_labels"`
	Annotations map[string]string `json:"exp_annotations"`
}

func unit(name string, tc fires, series []string, want []expectedAlert) unitTest {
	test := unitTest{Interval: "1m", Alerts: []alertAtATime{{name, tc.at, want}}}
	for _, s := range series {
		at := strings.LastIndex(s, "}") + 1
		if at == 0 {
			at = strings.Index(s, " ")
		}
		test.InputSeries = append(test.InputSeries, inputSeries{strings.TrimSpace(s[:at]), strings.TrimSpace(s[at:])})
	}
	return test
}
