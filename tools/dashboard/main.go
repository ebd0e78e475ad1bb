// Command dashboard writes the Grafana dashboard of the router from the rows and panels in this folder:
//
//	go run ./tools/dashboard charts/revision-router/files/dashboard.json
//
// With -queries it prints what the panels ask instead, one JSON object a line, for the picture in docs/images.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
)

func main() {
	queries := flag.Bool("queries", false, "print the queries of the panels instead")
	flag.Parse()
	if err := run(flag.Arg(0), *queries); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(path string, queries bool) error {
	if queries {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetEscapeHTML(false)
		for _, r := range rows() {
			for _, p := range r.panels {
				if err := encoder.Encode(asked{Row: r.title, Title: p.title, Type: p.kind, Unit: p.unit, Targets: p.queries}); err != nil {
					return fmt.Errorf("writing the queries: %w", err)
				}
			}
		}
		return nil
	}
	text, err := document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
}

// asked is one panel, with what a picture of it needs.
type asked struct {
	Row, Title, Type, Unit string
	Targets                []query
}

// document is the dashboard as JSON, the same bytes each time.
func document() ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(dashboard()); err != nil {
		return nil, fmt.Errorf("writing the dashboard: %w", err)
	}
	return text.Bytes(), nil
}
