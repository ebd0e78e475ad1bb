package inventory

import (
	"embed"
	"io/fs"
)

//go:embed crds/*.yaml
var crds embed.FS

// CRDs holds crds/<plural>.yaml for each kind of the Gateway API and of Istio that is followed: small
// CustomResourceDefinitions under the real names, with the fields that are read here. They are for tests and
// demonstrations only, and never part of an installation: there the real ones are. Those of the Sail Operator's kinds
// are sail.CRDs.
func CRDs() fs.FS { return crds }
