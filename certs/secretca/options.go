package secretca

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/kubernetes"

	"github.com/revision-router/revision-router/certs"
)

// DefaultSecretName is what the chart calls the CA Secret. RBAC markers name it.
const DefaultSecretName = "revision-router-ca"

// Clock is all of a clock that a Manager needs; k8s.io/utils/clock.RealClock is one.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Outcome is what became of an action. The set is closed, so that it can be a metric label.
type Outcome string

// What can become of an action.
const (
	// Done: it was carried out.
	Done Outcome = "Done"
	// Conflict: somebody else was faster. That is normal where several replicas write.
	Conflict Outcome = "Conflict"
	// Failed: the API server refused, or could not be asked.
	Failed Outcome = "Failed"
)

// Outcomes returns all outcomes, for whoever needs the closed set.
func Outcomes() []Outcome { return []Outcome{Done, Conflict, Failed} }

// Recorder counts actions. It is called for every action that was tried, and not where there is nothing to do.
type Recorder interface {
	CertificateAction(certs.Kind, Outcome)
}

// Options configure a [Manager].
type Options struct {
	Client kubernetes.Interface
	// Namespace and SecretName say where the CA is. The name defaults to DefaultSecretName.
	Namespace, SecretName string
	// DNSNames and IPs go into the serving certificate. The API server dials <service>.<namespace>.svc, or what the
	// URL of a webhook configuration says.
	DNSNames []string
	IPs      []netip.Addr
	// MutatingWebhookConfigurations and ValidatingWebhookConfigurations are the names of those that get the CA bundle,
	// in every one of their webhooks. One that does not exist is waited for.
	MutatingWebhookConfigurations, ValidatingWebhookConfigurations []string
	Clock                                                          Clock
	Log                                                            logr.Logger
	// CALifetime and LeafLifetime default to those of package certs.
	CALifetime, LeafLifetime time.Duration
	// Settle defaults to certs.DefaultSettle.
	Settle time.Duration
	// Recorder may be nil.
	Recorder Recorder
	// IsLeader tells whether this replica writes. Nil: every replica does, which is as safe.
	IsLeader func() bool
}

func (o Options) withDefaults() Options {
	if o.SecretName == "" {
		o.SecretName = DefaultSecretName
	}
	if o.CALifetime == 0 {
		o.CALifetime = certs.DefaultCALifetime
	}
	if o.LeafLifetime == 0 {
		o.LeafLifetime = certs.MaxLeafLifetime
	}
	if o.Settle == 0 {
		o.Settle = certs.DefaultSettle
	}
	if o.Recorder == nil {
		o.Recorder = nobody{}
	}
	if o.IsLeader == nil {
		o.IsLeader = func() bool { return true }
	}
	return o
}

func (o Options) policy() certs.Policy {
	return certs.Policy{CALifetime: o.CALifetime, LeafLifetime: o.LeafLifetime, Settle: o.Settle}
}

func (o Options) request() certs.LeafRequest {
	return certs.LeafRequest{DNSNames: o.DNSNames, IPs: o.IPs, Lifetime: o.LeafLifetime}
}

func (o Options) validate() error {
	switch {
	case o.Client == nil:
		return errors.New("client is missing")
	case o.Namespace == "":
		return errors.New("namespace of the CA Secret is missing")
	case o.Clock == nil:
		return errors.New("clock is missing")
	}
	if err := o.policy().Validate(); err != nil {
		return err
	}
	return o.request().Validate()
}

// New checks the options and makes a Manager, which does nothing before Start.
func New(o Options) (*Manager, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("configure serving certificates: %w", err)
	}
	return &Manager{
		options: o,
		targets: targets(o),
		secret:  secretStore{client: o.Client.CoreV1().Secrets(o.Namespace), name: o.SecretName},
		wake:    make(chan struct{}, 1),
		known:   map[string]configuration{},
	}, nil
}

type nobody struct{}

func (nobody) CertificateAction(certs.Kind, Outcome) {}
