// Package annotation writes what is wrong in files in the forms that code hosts show beside the lines of a change:
// workflow commands of GitHub Actions, Code Quality reports of GitLab, and SARIF 2.1.0, which code scanning reads.
//
// It knows nothing of meshes: a [Result] is a rule, a place and a sentence.
package annotation
