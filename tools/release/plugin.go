package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

const (
	pluginName = "revision-router"
	project    = "https://github.com/revision-router/revision-router"
)

// plugin is the manifest of a kubectl plugin, as krew reads it.
type plugin struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Metadata   pluginMeta `json:"metadata"`
	Spec       pluginSpec `json:"spec"`
}

type pluginMeta struct {
	Name string `json:"name"`
}

type pluginSpec struct {
	Version          string           `json:"version"`
	Homepage         string           `json:"homepage"`
	ShortDescription string           `json:"shortDescription"`
	Description      string           `json:"description"`
	Caveats          string           `json:"caveats,omitempty"`
	Platforms        []pluginPlatform `json:"platforms"`
}

type pluginPlatform struct {
	Selector pluginSelector `json:"selector"`
	URI      string         `json:"uri"`
	SHA256   string         `json:"sha256"`
	Files    []pluginFile   `json:"files"`
	Bin      string         `json:"bin"`
}

type pluginSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

type pluginFile struct {
	From string `json:"from"`
	To   string `json:"to"`
}

const description = `Tells which revision of an Istio mesh every pod gets and why, what runs and what waits for a
restart, whether a change of the mesh would be admitted, and the order of steps to another version. It reads the
cluster of the current context, or manifests without one.

The commands only read, but for "certs rotate". They need no router in the cluster, and decide as it does.
`

// pluginOf is the manifest of a release with these archives.
func pluginOf(version string, archives []archive) plugin {
	p := plugin{
		APIVersion: "krew.googlecontainertools.github.com/v1alpha2", Kind: "Plugin", Metadata: pluginMeta{pluginName},
		Spec: pluginSpec{
			Version: version, Homepage: project, Description: description,
			ShortDescription: "Explain and plan upgrades of an Istio mesh", // 50 characters at most
		},
	}
	for _, a := range archives {
		p.Spec.Platforms = append(p.Spec.Platforms, pluginPlatform{
			Selector: pluginSelector{map[string]string{"os": a.os, "arch": a.arch}},
			URI:      project + "/releases/download/" + version + "/" + a.name, SHA256: a.sha256, Bin: a.bin,
			Files: []pluginFile{{a.bin, "."}, {"LICENSE", "."}},
		})
	}
	return p
}

// writePlugin writes the manifest, whose file has to be named as the plugin is.
func writePlugin(o options, archives []archive) error {
	text, err := yaml.Marshal(pluginOf(o.version, archives))
	if err != nil {
		return fmt.Errorf("writing the plugin's manifest: %w", err)
	}
	path := filepath.Join(o.out, pluginName+".yaml")
	if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // it is there to be read
		return fmt.Errorf("writing the plugin's manifest: %w", err)
	}
	return nil
}
