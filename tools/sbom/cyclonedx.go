package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
)

// bom has the fields of CycloneDX 1.6 that are written, in the order of its schema.
type bom struct {
	BOMFormat    string       `json:"bomFormat"`
	SpecVersion  string       `json:"specVersion"`
	SerialNumber string       `json:"serialNumber"`
	Version      int          `json:"version"`
	Metadata     metadata     `json:"metadata"`
	Components   []component  `json:"components"`
	Dependencies []dependency `json:"dependencies"`
}

type metadata struct {
	Timestamp string    `json:"timestamp,omitempty"`
	Component component `json:"component"`
}

type component struct {
	Type       string     `json:"type"`
	Ref        string     `json:"bom-ref"`
	Name       string     `json:"name"`
	Version    string     `json:"version,omitempty"`
	PackageURL string     `json:"purl"`
	Properties []property `json:"properties,omitempty"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type dependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"`
}

// document is the bill of materials. A binary does not tell which module needs which, so that all of them stand below
// the program. The time is that of the commit, where the binary knows one.
func document(info *debug.BuildInfo) ([]byte, error) {
	program := component{
		Type: "application", Ref: reference(&info.Main), Name: info.Path, Version: info.Main.Version,
		PackageURL: reference(&info.Main), Properties: settings(info),
	}
	out := bom{
		BOMFormat: "CycloneDX", SpecVersion: "1.6", Version: 1,
		Metadata: metadata{Timestamp: setting(info, "vcs.time"), Component: program},
		// Go's own library is part of the binary, and has vulnerabilities of its own.
		Components: []component{library(&debug.Module{Path: "stdlib", Version: goVersion(info.GoVersion)})},
	}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		out.Components = append(out.Components, library(module))
	}
	slices.SortFunc(out.Components, func(a, b component) int { return cmp.Compare(a.Ref, b.Ref) })
	all := dependency{Ref: program.Ref, DependsOn: []string{}}
	for _, c := range out.Components {
		all.DependsOn = append(all.DependsOn, c.Ref)
	}
	out.Dependencies = []dependency{all}
	serial, err := serialNumber(out)
	if err != nil {
		return nil, err
	}
	out.SerialNumber = serial
	return indented(out)
}

func library(m *debug.Module) component {
	c := component{Type: "library", Ref: reference(m), Name: m.Path, Version: m.Version, PackageURL: reference(m)}
	if m.Sum != "" {
		// A sum of go.sum is one of a listing of files, and none that CycloneDX has a name for.
		c.Properties = []property{{"go:sum", m.Sum}}
	}
	return c
}

// settings are those that change what is built, in the order of the binary.
func settings(info *debug.BuildInfo) []property {
	list := []property{{"go:version", info.GoVersion}}
	for _, s := range info.Settings {
		if s.Value != "" && !strings.HasPrefix(s.Key, "-ldflags") {
			list = append(list, property{"go:build:" + s.Key, s.Value})
		}
	}
	return list
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

// goVersion is a version as scanners compare it: go1.26.8 is v1.26.8, with what an experiment adds left out.
func goVersion(version string) string {
	number, _, _ := strings.Cut(strings.TrimPrefix(version, "go"), " ")
	return "v" + number
}

// reference is the package URL of a module (purl-spec, type golang).
func reference(m *debug.Module) string {
	purl := "pkg:golang/" + strings.ReplaceAll(url.PathEscape(m.Path), "%2F", "/")
	if m.Version != "" {
		purl += "@" + url.QueryEscape(m.Version)
	}
	return purl
}

// serialNumber is a UUID that only depends on the content (version 8 of RFC 9562, whose bits are the maker's choice).
func serialNumber(of bom) (string, error) {
	text, err := indented(of)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	id := sum[:16]
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return fmt.Sprintf("urn:uuid:%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]), nil
}

func indented(of bom) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(of); err != nil {
		return nil, fmt.Errorf("writing JSON: %w", err)
	}
	return text.Bytes(), nil
}
