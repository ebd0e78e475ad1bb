// Command sbom writes the bill of materials of a Go binary, as CycloneDX 1.6: what the binary says of itself, each
// module with its version and the checksum of go.sum. The same binary gives the same bytes.
//
//	sbom -o sbom.cdx.json bin/image/router
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"os"
)

func main() {
	output := flag.String("o", "sbom.cdx.json", "file to write")
	flag.Parse()
	if err := run(flag.Arg(0), *output); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(binary, output string) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return fmt.Errorf("reading what the binary %q is built from: %w", binary, err)
	}
	text, err := document(info)
	if err != nil {
		return err
	}
	if err := os.WriteFile(output, text, 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the bill of materials: %w", err)
	}
	return nil
}
