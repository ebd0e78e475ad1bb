// Package manifest reads Kubernetes objects as they are written in files or listed by an API server, and makes of
// them what the commands need: the [routing.Mesh], and the pods and pod templates that are routed in it.
//
// It accepts what kubectl accepts, with the same meaning: YAML of several documents, JSON, concatenated JSON, and
// lists of any kind. Where the two differ in strictness, kubectl together with the API server is the measure: a
// label that is not a string is an error here, since no API server would take it. Kinds that nothing here needs
// are passed over. Everything wrong is collected, with file and line, rather than only the first mistake.
//
// Nothing is written, and no cluster is asked.
package manifest
