package annotation

import (
	"cmp"
	"encoding/json"
	"io"
)

// quality is one entry of a Code Quality report, with the keys that GitLab reads (docs.gitlab.com, Code Quality).
type quality struct {
	Description string          `json:"description"`
	CheckName   string          `json:"check_name"`
	Fingerprint string          `json:"fingerprint"`
	Severity    string          `json:"severity"`
	Location    qualityLocation `json:"location"`
}

type qualityLocation struct {
	Path  string       `json:"path"`
	Lines qualityLines `json:"lines"`
}

type qualityLines struct {
	Begin int `json:"begin"`
}

// GitLab writes a Code Quality report.
func (r *Report) GitLab(out io.Writer) error {
	prints := r.fingerprints()
	report := make([]quality, 0, len(r.Results))
	for i := range r.Results {
		x := &r.Results[i]
		q := quality{Description: x.Message, CheckName: x.Rule, Fingerprint: prints[i], Severity: "major"}
		if x.Level == Warning {
			q.Severity = "minor"
		}
		q.Location.Path = cmp.Or(r.path(x.Place.File), noFile)
		q.Location.Lines.Begin = max(x.Place.Line, 1)
		report = append(report, q)
	}
	return indented(out, report)
}

func indented(out io.Writer, document any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}
