package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// dialTimeout is how long a replica may take to show its certificate.
const dialTimeout = 10 * time.Second

const certsStatusLong = `Show the CA in its Secret, where its rotation stands and what comes next, and whether every webhook of the
router holds the right CA bundle.

With --address the serving certificate of a replica is fetched as well, and checked against what the webhook
configurations hold, as the API server does.

The exit code is 0 if everything is in order, 1 if something is wrong, and 2 if the command line is wrong or
something cannot be read.`

const certsStatusExample = `  # The CA and the webhook configurations
  router certs status

  # With the certificate that the replicas serve
  kubectl -n revision-router port-forward service/revision-router 9443:443 &
  router certs status --address localhost:9443

  # When does the CA expire?
  router certs status -o json | jq -r .current.notAfter`

type certsStatusOptions struct {
	certsOptions
	address string
	output  string
}

func newCertsStatusCommand(streams Streams, clock secretca.Clock) *cobra.Command {
	o := certsStatusOptions{certsOptions: certsOptions{clock: clock}}
	cmd := newCommand(streams, cobra.Command{
		Use:     "status [-n NAMESPACE] [--address HOST:PORT] [-o table|json|yaml] [--kubeconfig FILE] [--context NAME]",
		Short:   "Show the CA of the webhooks, its rotation, and whether the CA bundles are right",
		Long:    certsStatusLong,
		Example: certsStatusExample,
		RunE:    func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), streams) },
	})
	cmd.Args = noArguments
	o.addFlags(cmd.Flags())
	cmd.Flags().StringVar(&o.address, "address", "", "host:port of a replica, or of its Service, whose serving certificate to check")
	cmd.Flags().StringVarP(&o.output, "output", "o", outputTable, "format of the output: table, json or yaml")
	o.source.complete(cmd, []string{outputTable, outputJSON, outputYAML})
	return cmd
}

// certsReport is the answer.
type certsReport struct {
	secretca.Status
	// InjectedFrom is the Certificate of cert-manager's that the CA bundles come from, in place of a CA of the router's own.
	InjectedFrom string `json:"injectedFrom,omitempty"`
	// Step is what comes next, in a sentence.
	Step string `json:"step,omitempty"`
	// Serving is the certificate that was seen at --address.
	Serving *secretca.Certificate `json:"serving,omitempty"`
	// Problems are everything that is wrong, each with what to do.
	Problems []string `json:"problems,omitempty"`
}

func (o *certsStatusOptions) run(ctx context.Context, streams Streams) error {
	if !slices.Contains([]string{outputTable, outputJSON, outputYAML}, o.output) {
		return usage(fmt.Errorf("unknown output format %q: use -o table, -o json or -o yaml", o.output))
	}
	report, err := o.look(ctx)
	if err != nil {
		return usage(err)
	}
	if err := writeCerts(streams.Out, report, o.output); err != nil {
		return usage(fmt.Errorf("writing the output: %w", err))
	}
	if len(report.Problems) > 0 {
		return ExitError{Code: ExitRefused}
	}
	return nil
}

func (o *certsStatusOptions) look(ctx context.Context) (certsReport, error) {
	cluster, err := o.connect()
	if err != nil {
		return certsReport{}, err
	}
	status, err := cluster.Status(ctx)
	if err != nil {
		return certsReport{}, o.explain(err, "get")
	}
	report := certsReport{Status: status}
	if report.InjectedFrom, err = cluster.injector(ctx, o.mutating); err != nil {
		return certsReport{}, o.explain(err, "get")
	}
	now := o.clock.Now()
	for _, name := range o.mutating {
		if slices.Contains(status.Missing, "MutatingWebhookConfiguration "+name) {
			report.Problems = append(report.Problems, fmt.Sprintf(
				"MutatingWebhookConfiguration %s does not exist, so the router is not called; to put it back, helm upgrade", name))
		}
	}
	if report.InjectedFrom == "" {
		report.Step = nextStep(status)
		report.Problems = append(report.Problems, o.problemsOf(status, now)...)
	}
	if o.address != "" {
		report.Problems = append(report.Problems, o.serving(ctx, &report, now)...)
	}
	return report, nil
}

// problemsOf are those of a CA of the router's own.
func (o *certsOptions) problemsOf(s secretca.Status, now time.Time) []string {
	logs := fmt.Sprintf("kubectl -n %s logs deployment/%s", o.namespace, o.service)
	var problems []string
	switch {
	case s.SecretState == certs.SecretMissing:
		return []string{fmt.Sprintf("the Secret %s does not exist: is a replica running, and does it hold the lease? "+
			"kubectl -n %s get pods,lease", s.Secret, o.namespace)}
	case s.SecretState == certs.SecretCorrupt:
		return []string{fmt.Sprintf("the Secret %s cannot be used, and no replica has replaced it: %s", s.Secret, logs)}
	case s.Current == nil:
		problems = append(problems, "no CA signs: the Secret was lost, and the new CA is not trusted everywhere yet; "+
			"replicas go on with the certificates they have")
	case now.After(s.Current.NotAfter) || now.Before(s.Current.NotBefore):
		problems = append(problems, fmt.Sprintf("the CA is valid from %s to %s, not now: is a replica running, and are the clocks right? %s",
			stamp(s.Current.NotBefore), stamp(s.Current.NotAfter), logs))
	}
	if since, is := stuck(s, now); is {
		problems = append(problems, fmt.Sprintf("the rotation has not moved since %s: %s is due, because %s; see %s",
			stamp(since), s.Action, s.Reason, logs))
	}
	for _, w := range s.Webhooks {
		if !w.InOrder {
			problems = append(problems, fmt.Sprintf("webhook %s holds another CA bundle than Secret %s; a replica mends that within seconds, or says why not: %s",
				w.Name, s.Secret, logs))
		}
	}
	return problems
}

// serving checks what is served at the address as the API server would.
func (o *certsStatusOptions) serving(ctx context.Context, report *certsReport, now time.Time) []string {
	leaf, err := o.dial(ctx)
	if err != nil {
		return []string{fmt.Sprintf("no certificate from %s: %v; to reach the router, "+
			"kubectl -n %s port-forward service/%s 9443:443 and --address localhost:9443", o.address, err, o.namespace, o.service)}
	}
	seen := secretca.Describe(leaf)
	report.Serving = &seen
	var problems []string
	if err := certs.CheckRemaining(leaf, now); err != nil {
		problems = append(problems, err.Error())
	}
	for _, w := range report.Webhooks {
		if err := w.Verifies(leaf, o.servingName(), now); err != nil {
			problems = append(problems, fmt.Sprintf("the API server would not trust the router for webhook %s: %v", w.Name, err))
		}
	}
	return problems
}

// dial fetches the certificate without judging it.
func (o *certsStatusOptions) dial(ctx context.Context) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	dialer := tls.Dialer{Config: &tls.Config{
		ServerName: o.servingName(), MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, //nolint:gosec // nothing is sent; serving checks against every webhook's bundle
	}}
	connection, err := dialer.DialContext(ctx, "tcp", o.address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	encrypted, ok := connection.(*tls.Conn)
	if !ok || len(encrypted.ConnectionState().PeerCertificates) == 0 {
		return nil, errors.New("the server showed no certificate")
	}
	return encrypted.ConnectionState().PeerCertificates[0], nil
}
