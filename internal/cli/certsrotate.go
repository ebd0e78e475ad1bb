package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// watchEvery is how often --wait looks.
const watchEvery = time.Second

const certsRotateLong = `Ask the replicas for a new CA.

No request fails meanwhile: the new CA is published beside the old one, read back from every webhook configuration,
and signs only when every API server has had the time to learn of it. The old one stays trusted until no certificate
that it signed can be valid any more, eight days.

While a rotation is in progress another one is refused, unless it has not moved for five minutes; the request is
then made again, and the answer tells what keeps it.

The exit code is 0 if the rotation was asked for (with --wait: if it was carried out), 1 if it was refused or not
carried out in time, and 2 if the command line is wrong or something cannot be read.`

const certsRotateExample = `  # A new CA, and see it through
  router certs rotate --wait

  # Would it be possible?
  router certs rotate --dry-run`

type certsRotateOptions struct {
	certsOptions
	wait    bool
	timeout time.Duration
	dryRun  bool
}

func newCertsRotateCommand(streams Streams, clock secretca.Clock) *cobra.Command {
	o := certsRotateOptions{certsOptions: certsOptions{clock: clock}}
	cmd := newCommand(streams, cobra.Command{
		Use:     "rotate [-n NAMESPACE] [--wait [--timeout DURATION] | --dry-run] [--kubeconfig FILE] [--context NAME]",
		Short:   "Ask for a new CA",
		Long:    certsRotateLong,
		Example: certsRotateExample,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	})
	cmd.Args = noArguments
	flags := cmd.Flags()
	o.addFlags(flags)
	flags.BoolVar(&o.wait, "wait", false, "wait until the new CA signs, and tell the steps")
	flags.DurationVar(&o.timeout, "timeout", stuckAfter, "how long to wait")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only let the API server check the request")
	o.source.complete(cmd, nil)
	return cmd
}

func (o *certsRotateOptions) run(ctx context.Context, streams Streams) error {
	if o.wait && o.dryRun {
		return usage(errors.New("--wait and --dry-run exclude each other: there is nothing to wait for"))
	}
	cluster, err := o.connect()
	if err != nil {
		return usage(err)
	}
	before, err := cluster.Status(ctx)
	if err != nil {
		return usage(o.explain(err, "get"))
	}
	from, err := cluster.injector(ctx, o.mutating)
	if err != nil {
		return usage(o.explain(err, "get"))
	}
	if from != "" {
		return refused(fmt.Errorf("the router keeps no CA: cert-manager injects that of Certificate %s; "+
			"to renew it, cmctl renew, see cert-manager's documentation", from))
	}
	if err := o.refusal(before, streams); err != nil {
		return refused(err)
	}
	return o.request(ctx, streams, cluster, before)
}

func refused(err error) error { return ExitError{Code: ExitRefused, Err: err} }

// refusal tells why a rotation cannot be asked for now.
func (o *certsRotateOptions) refusal(s secretca.Status, streams Streams) error {
	if s.SecretState == certs.SecretMissing {
		return fmt.Errorf("rotate the CA in Secret %s: %w; it is created by the first replica that runs: kubectl -n %s get pods",
			s.Secret, secretca.ErrNoSecret, o.namespace)
	}
	if !s.Phase.Rotating() && !s.RotationRequested {
		if s.RequestWaits {
			fmt.Fprintf(streams.Err, "warning: %d replaced CAs are still trusted, so the rotation begins only %s\n", len(s.Previous), at(s.PreviousUntil))
		}
		return nil
	}
	if since, is := stuck(s, o.clock.Now()); is {
		fmt.Fprintf(streams.Err, "warning: the rotation has not moved since %s: %s is due, because %s\n", stamp(since), s.Action, s.Reason)
		return nil
	}
	return fmt.Errorf("a rotation is in progress already (%s): %s; to see it, router certs status", s.Phase, nextStep(s))
}

func (o *certsRotateOptions) request(ctx context.Context, streams Streams, cluster authority, before secretca.Status) error {
	if o.dryRun {
		if err := cluster.RotateDryRun(ctx); err != nil {
			return usage(o.explain(err, "update"))
		}
		fmt.Fprintf(streams.Out, "a rotation of the CA in Secret %s would be asked for (dry run)\n", before.Secret)
		return nil
	}
	if err := cluster.Rotate(ctx); err != nil {
		return usage(o.explain(err, "update"))
	}
	fmt.Fprintf(streams.Out, "asked for a new CA in Secret %s\n", before.Secret)
	if !o.wait {
		fmt.Fprintf(streams.Out, "The replica that holds the lease publishes it, lets it sign after about %s, and keeps the old one trusted for %s.\n"+
			"To follow it, router certs status\n", certs.DefaultSettle, certs.Overlap)
		return nil
	}
	return o.follow(ctx, streams, cluster, before)
}

// follow tells each step until the new CA signs and every webhook holds the right bundle.
func (o *certsRotateOptions) follow(ctx context.Context, streams Streams, cluster authority, before secretca.Status) error {
	deadline := o.clock.Now().Add(o.timeout)
	told := ""
	tell := func(to io.Writer, text string) {
		if text != told {
			told = text
			fmt.Fprintln(to, text)
		}
	}
	for {
		now, err := cluster.Status(ctx)
		over := !o.clock.Now().Before(deadline)
		switch {
		case err != nil && (over || !passing(ctx, err)):
			return usage(o.explain(err, "get"))
		case err != nil:
			tell(streams.Err, fmt.Sprintf("warning: %v; looking again", err))
		case rotated(before, now):
			fmt.Fprintf(streams.Out, "done: the new CA %s signs, %s\n", now.Current.Fingerprint[:shownFingerprint], nextStep(now))
			return nil
		case over:
			return refused(fmt.Errorf("the rotation is not over after %s: %s; it goes on by itself; to see it, router certs status, "+
				"and what keeps it, kubectl -n %s logs deployment/%s", o.timeout, nextStep(now), o.namespace, o.service))
		default:
			tell(streams.Out, string(now.Phase)+": "+nextStep(now))
		}
		select {
		case <-ctx.Done():
			return usage(ctx.Err())
		case <-o.clock.After(watchEvery):
		}
	}
}

// passing tells whether a look that failed may do better a moment later: the rotation goes on without whoever watches it, so
// one request that a busy API server does not answer in time is no reason to stop.
func passing(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !apierrors.IsForbidden(err) && !apierrors.IsUnauthorized(err)
}

// rotated tells whether another CA signs than before, and is published everywhere.
func rotated(before, now secretca.Status) bool {
	if now.Current == nil || now.Phase.Rotating() || now.RotationRequested {
		return false
	}
	if before.Current != nil && before.Current.Fingerprint == now.Current.Fingerprint {
		return false
	}
	return !slices.ContainsFunc(now.Webhooks, func(w secretca.Webhook) bool { return !w.InOrder })
}
