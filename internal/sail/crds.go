package sail

import (
	"embed"
	"io/fs"
)

//go:embed crds/*.yaml
var crds embed.FS

// CRDs holds crds/<plural>.yaml for each kind: small CustomResourceDefinitions under the names of the Sail
// Operator's, with the fields that are read here and its columns of kubectl get. They are for tests and
// demonstrations only, and never part of an installation: there the Sail Operator brings its own.
func CRDs() fs.FS { return crds }
