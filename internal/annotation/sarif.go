package annotation

import (
	"cmp"
	"io"
)

const (
	sarifVersion = "2.1.0"
	sarifSchema  = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

	// Tool is the name under which code scanning lists the results.
	Tool = "Revision Router"
	// Home is where the tool is described.
	Home = "https://github.com/revision-router/revision-router"

	// sourceRoot stands for the folder that was checked out.
	sourceRoot = "%SRCROOT%"
	// fingerprintKey names how fingerprints are made. Code scanning makes its own of the line, which it prefers.
	fingerprintKey = "revisionRouter/v1"
)

// The parts of SARIF that are written, in the order of the standard's sections 3.13 to 3.53.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool       `json:"tool"`
		Automation sarifAutomation `json:"automationDetails"`
		Results    []sarifResult   `json:"results"`
	}
	// sarifAutomation keeps the results of one command from taking the place of another's.
	sarifAutomation struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string             `json:"id"`
		Name          string             `json:"name"`
		Short         sarifText          `json:"shortDescription"`
		Full          sarifText          `json:"fullDescription"`
		Help          sarifText          `json:"help"`
		HelpURI       string             `json:"helpUri"`
		Configuration sarifConfiguration `json:"defaultConfiguration"`
	}
	sarifConfiguration struct {
		Level Level `json:"level"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	sarifResult struct {
		RuleID       string             `json:"ruleId"`
		RuleIndex    int                `json:"ruleIndex"`
		Level        Level              `json:"level"`
		Message      sarifText          `json:"message"`
		Locations    []sarifLocation    `json:"locations"`
		Related      []sarifLocation    `json:"relatedLocations,omitempty"`
		Fingerprints map[string]string  `json:"partialFingerprints"`
		Suppressions []sarifSuppression `json:"suppressions,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Justification string `json:"justification"`
	}
	sarifLocation struct {
		ID       int            `json:"id,omitempty"`
		Physical sarifPhysical  `json:"physicalLocation"`
		Logical  []sarifLogical `json:"logicalLocations,omitempty"`
		Message  *sarifText     `json:"message,omitempty"`
	}
	sarifPhysical struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   sarifRegion   `json:"region"`
	}
	sarifArtifact struct {
		URI  string `json:"uri"`
		Base string `json:"uriBaseId,omitempty"`
	}
	sarifRegion struct {
		StartLine int `json:"startLine"`
	}
	sarifLogical struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind"`
	}
)

// SARIF writes one log with one run.
func (r *Report) SARIF(out io.Writer) error {
	rules, index := r.rulesUsed()
	prints := r.fingerprints()
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{Name: Tool, InformationURI: Home, Rules: rules}},
		Automation: sarifAutomation{"revision-router/" + r.Command + "/"},
		Results:    []sarifResult{}, // never null
	}
	for i := range r.Results {
		x := &r.Results[i]
		result := sarifResult{
			RuleID: x.Rule, RuleIndex: index[x.Rule], Level: x.Level, Message: sarifText{Text: x.Message},
			Locations:    []sarifLocation{r.location(Subject{x.Subject, x.Place})},
			Fingerprints: map[string]string{fingerprintKey: prints[i]},
		}
		for n, other := range x.Concerns {
			location := r.location(other)
			location.ID, location.Message = n+1, &sarifText{Text: other.Name}
			result.Related = append(result.Related, location)
		}
		if x.Justification != "" {
			result.Suppressions = []sarifSuppression{{"inSource", x.Justification}}
		}
		run.Results = append(run.Results, result)
	}
	return indented(out, sarifLog{sarifSchema, sarifVersion, []sarifRun{run}})
}

// rulesUsed are the rules of the results, in the order of [Report.Rules], and where each stands.
func (r *Report) rulesUsed() ([]sarifRule, map[string]int) {
	used := map[string]bool{}
	for i := range r.Results {
		used[r.Results[i].Rule] = true
	}
	rules, index := []sarifRule{}, map[string]int{}
	for _, rule := range r.Rules {
		if !used[rule.ID] {
			continue
		}
		index[rule.ID] = len(rules)
		rules = append(rules, sarifRule{
			ID: rule.ID, Name: rule.ID, Short: sarifText{Text: rule.ID}, Full: sarifText{Text: rule.Summary},
			Help:    sarifText{Text: rule.Summary + ": " + rule.Help, Markdown: "[" + rule.ID + "](" + rule.Help + "): " + rule.Summary},
			HelpURI: rule.Help, Configuration: sarifConfiguration{rule.Level},
		})
	}
	return rules, index
}

func (r *Report) location(s Subject) sarifLocation {
	path := cmp.Or(r.path(s.File), noFile)
	// Code scanning refuses a whole log in which one result has no file or no line.
	out := sarifLocation{Physical: sarifPhysical{Artifact: sarifArtifact{URI: uri(path), Base: sourceRoot}, Region: sarifRegion{max(s.Line, 1)}}}
	if path[0] == '/' {
		out.Physical.Artifact.Base = ""
	}
	if s.Name != "" {
		out.Logical = []sarifLogical{{s.Name, "resource"}}
	}
	return out
}
