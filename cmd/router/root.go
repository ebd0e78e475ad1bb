package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/cli"
)

// newRootCommand lists every command of the program, once.
func newRootCommand(streams cli.Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "router",
		Short: "Make upgrading an Istio mesh safe",
		Long: `The Revision Router resolves istio.io/rev, istio-injection and IstioRevisionTags to concrete revisions
when pods are admitted, and refuses pods that would silently start without their sidecar.

The commands that answer questions need no server, and with --filename no cluster. Their exit code is 0 if all is
well, 1 if something is refused or cannot be resolved, and 2 if the command line is wrong or something cannot be read.`,
		Example: `  # What there is, what is wrong, and what is left to do
  router status

  # The way to another version
  router plan --to v1.30.3

  # Would these writes be admitted?
  router check --change mesh/

  # Which revision do the pods of these manifests get?
  router resolve -f mesh/ -f apps/`,
		SilenceErrors: true, // main prints the error, once
		SilenceUsage:  true, // a failed run is no reason to repeat the manual
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.AddCommand(newServeCommand(streams), cli.NewResolveCommand(streams), cli.NewCheckCommand(streams),
		cli.NewStatusCommand(streams, clock.RealClock{}), cli.NewPlanCommand(streams), cli.NewMigrateCommand(streams, clock.RealClock{}),
		cli.NewCertsCommand(streams, wallClock()), newVersionCommand(streams))
	return root
}

func newVersionCommand(streams cli.Streams) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Long: `Print the version of this program, the commit that it was built from and the release of Go.

They are read from the build itself: a checkout that was changed has a commit that ends in -dirty.`,
		Example: `  # To be named when something is reported
  router version`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args:              cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := currentVersion()
			_, err := fmt.Fprintf(streams.Out, "router %s (commit %s, %s)\n", v.version, v.commit, v.goVersion)
			return err
		},
	}
}

type buildVersion struct{ version, commit, goVersion string }

// currentVersion reads what the Go linker recorded: the module's version when built from a tag, the commit and
// whether the tree was changed when built from a checkout. There is nothing to set by -ldflags and to forget.
func currentVersion() buildVersion {
	v := buildVersion{version: "(devel)", commit: "unknown", goVersion: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.goVersion = info.GoVersion
	if info.Main.Version != "" {
		v.version = info.Main.Version
	}
	modified := false
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			v.commit = setting.Value
		case "vcs.modified":
			modified = setting.Value == "true"
		}
	}
	if modified {
		v.commit += "-dirty"
	}
	return v
}
