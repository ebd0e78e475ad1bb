// Command dashboard writes the Grafana dashboard of the router from the rows and panels in this folder:
//
//	go run ./tools/dashboard charts/revision-router/files/dashboard.json
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboard FILE")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(path string) error {
	text, err := document()
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the dashboard: %w", err)
	}
	return nil
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
