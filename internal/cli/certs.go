package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/certs"
	"github.com/revision-router/revision-router/certs/secretca"
)

// injectedFrom is the annotation by which cert-manager's cainjector knows whose CA belongs into a configuration.
const injectedFrom = "cert-manager.io/inject-ca-from"

// stuckAfter is how long a step of a rotation may take before something must be keeping it: a replica needs seconds,
// and the longest wait on purpose is certs.DefaultSettle.
const stuckAfter = 5 * time.Minute

// certsOptions say where the router is that the commands are about.
type certsOptions struct {
	source     sourceOptions // kubeconfig and context only
	namespace  string
	service    string
	secret     string
	mutating   []string
	validating []string
	clock      secretca.Clock
}

// NewCertsCommand returns the command "certs". The clock is what validity is judged by.
func NewCertsCommand(streams Streams, clock secretca.Clock) *cobra.Command {
	cmd := newCommand(streams, cobra.Command{
		Use:   "certs",
		Short: "Show and rotate the CA of the webhooks",
		Long: `Show and rotate the CA that the API server checks the router's serving certificates against.

Certificates look after themselves: these commands are for people who want to know, or want a new CA sooner.`,
		Example: `  # Is everything in order?
  router certs status

  # A new CA, and see it through
  router certs rotate --wait`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	})
	cmd.Args = noArguments
	cmd.AddCommand(newCertsStatusCommand(streams, clock), newCertsRotateCommand(streams, clock))
	return cmd
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage(fmt.Errorf("%s takes no argument %q; see %s --help", cmd.CommandPath(), args[0], cmd.CommandPath()))
	}
	return nil
}

func (o *certsOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&o.namespace, "namespace", "n", "revision-router", "namespace that the router runs in")
	flags.StringVar(&o.service, "service", "revision-router", "Service through which the API server reaches the router")
	flags.StringVar(&o.secret, "ca-secret", secretca.DefaultSecretName, "Secret in which the replicas share their CA")
	flags.StringSliceVar(&o.mutating, "mutating-webhook", []string{"0-istio-revision-router"},
		"MutatingWebhookConfigurations of the router")
	flags.StringSliceVar(&o.validating, "validating-webhook", []string{"istio-revision-router"},
		"ValidatingWebhookConfigurations of the router; one that does not exist is no mistake")
	flags.StringVar(&o.source.kubeconfig, "kubeconfig", "", "path of the kubeconfig file for the cluster")
	flags.StringVar(&o.source.context, "context", "", "context of the kubeconfig to use")
}

// servingName is what the API server dials.
func (o *certsOptions) servingName() string { return o.service + "." + o.namespace + ".svc" }

// authority is the cluster as the commands see it.
type authority struct {
	*secretca.Manager
	client kubernetes.Interface
}

// connect makes a Manager that is never started: it looks, and asks for rotations.
func (o *certsOptions) connect() (authority, error) {
	config, err := o.source.kubeconfigured().ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return authority{}, errors.New("no cluster to ask: no kubeconfig was found; name one with --kubeconfig")
	case err != nil:
		return authority{}, explainKubeconfig(err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return authority{}, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	manager, err := secretca.New(secretca.Options{
		Client: client, Namespace: o.namespace, SecretName: o.secret, DNSNames: []string{o.servingName()},
		MutatingWebhookConfigurations: o.mutating, ValidatingWebhookConfigurations: o.validating,
		Clock: o.clock, Log: logr.Discard(),
	})
	if err != nil {
		return authority{}, err
	}
	return authority{manager, client}, nil
}

// injector returns the Certificate, as namespace/name, from which cert-manager injects the CA; empty where it does not.
func (a authority) injector(ctx context.Context, configurations []string) (string, error) {
	for _, name := range configurations {
		found, err := a.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("read MutatingWebhookConfiguration %s: %w", name, err)
		}
		if from := found.Annotations[injectedFrom]; from != "" {
			return from, nil
		}
	}
	return "", nil
}

// explain adds the next command to an error of the API server.
func (o *certsOptions) explain(err error, verb string) error {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return fmt.Errorf("%w; to see what you may do, kubectl -n %s auth can-i %s secret/%s", err, o.namespace, verb, o.secret)
	}
	if errors.Is(err, secretca.ErrNoSecret) {
		return err
	}
	return fmt.Errorf("%w; to see whether the cluster answers, kubectl cluster-info", err)
}

// stuck tells since when a rotation has not moved although it should have.
func stuck(s secretca.Status, now time.Time) (since time.Time, _ bool) {
	var began *time.Time
	switch {
	case s.Phase.Rotating():
		began = s.PhaseSince
	case s.RotationRequested && !s.RequestWaits:
		began = s.RequestedAt
	}
	if began == nil || now.Sub(*began) <= stuckAfter {
		return time.Time{}, false
	}
	return *began, true
}

// nextStep is what comes next in the life of the CA, and when.
func nextStep(s secretca.Status) string {
	switch {
	case s.Action != certs.Nothing:
		return fmt.Sprintf("%s is due now, because %s", s.Action, s.Reason)
	case s.RequestWaits && s.RotationRequested:
		return "the requested rotation begins " + at(s.PreviousUntil) + ": too many replaced CAs are still trusted"
	case s.Until == nil:
		return s.Reason
	case s.Phase == certs.Settling:
		return "the next CA begins to sign " + at(s.Until)
	case s.PreviousUntil != nil && s.Until.Equal(*s.PreviousUntil):
		return "the replaced CA leaves the bundles " + at(s.Until)
	}
	return "a new CA is made " + at(s.Until)
}

func at(t *time.Time) string {
	if t == nil {
		return "soon"
	}
	return "at " + stamp(*t)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
