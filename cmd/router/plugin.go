package main

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

const (
	// pluginFile begins the names of programs that kubectl runs as commands of its own. A dash in the command is an
	// underscore in the file's name.
	pluginFile = "kubectl-"
	// pluginCommand is what users type when this program is called kubectl-revision_router.
	pluginCommand = "kubectl revision-router"
)

// invokedByKubectl reports whether the program was run under the name of a plugin.
func invokedByKubectl(program string) bool {
	return strings.HasPrefix(filepath.Base(program), pluginFile)
}

// asPlugin has every text name the command as it is typed behind kubectl. Completion is then kubectl's, which asks
// kubectl_complete-revision_router.
func asPlugin(root *cobra.Command) {
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: pluginCommand}
	root.CompletionOptions.DisableDefaultCmd = true
	var names []string
	for _, cmd := range root.Commands() {
		names = append(names, regexp.QuoteMeta(cmd.Name()))
	}
	typed := regexp.MustCompile(`\b` + root.Name() + ` (` + strings.Join(names, "|") + `)\b`)
	var rename func(cmd *cobra.Command)
	rename = func(cmd *cobra.Command) {
		cmd.Long = typed.ReplaceAllString(cmd.Long, pluginCommand+" $1")
		cmd.Example = typed.ReplaceAllString(cmd.Example, pluginCommand+" $1")
		for _, sub := range cmd.Commands() {
			rename(sub)
		}
	}
	rename(root)
}
