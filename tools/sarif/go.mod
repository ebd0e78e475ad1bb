// The official schema of SARIF 2.1.0, as a module that carries it, and a validator, so that a test can hold what the
// router writes against it. Apart from the product's go.mod: the router needs neither.
module github.com/revision-router/revision-router/tools/sarif

go 1.26.0

require (
	github.com/owenrumney/go-sarif/v3 v3.3.1
	github.com/xeipuuv/gojsonschema v1.2.0
)

require (
	github.com/xeipuuv/gojsonpointer v0.0.0-20180127040702-4e3ac2762d5f // indirect
	github.com/xeipuuv/gojsonreference v0.0.0-20180127040603-bd5ef7bd5415 // indirect
)
