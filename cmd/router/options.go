package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Options are the flags of router serve.
type Options struct {
	Kubeconfig string

	WebhookHost    string
	WebhookPort    int
	HealthAddress  string
	MetricsAddress string

	Namespace        string
	Service          string
	CASecret         string
	Certs            CertOptions
	TLSNames         []string
	MutatingWebhooks []string

	ValidatingWebhooks []string

	Changes bool
	Events  bool

	Forward ForwardOptions
	Server  ServerOptions

	Policy     string
	DrainDelay time.Duration
	LogLevel   string
	LogFormat  string
}

// AddFlags registers the flags with their defaults.
func (o *Options) AddFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Kubeconfig, "kubeconfig", "",
		"kubeconfig to reach the API server with; in a pod its ServiceAccount is used when this is empty")
	flags.StringVar(&o.WebhookHost, "webhook-host", "", "address to serve the webhooks on; empty means all")
	flags.IntVar(&o.WebhookPort, "webhook-port", 9443, "port to serve the webhooks on")
	flags.StringVar(&o.HealthAddress, "health-address", ":8081", "address for /healthz and /readyz; 0 switches it off")
	flags.StringVar(&o.MetricsAddress, "metrics-address", ":8080", "address for /metrics; 0 switches it off")
	flags.StringVar(&o.Namespace, "namespace", "revision-router", "namespace that the router runs in")
	flags.StringVar(&o.Service, "service", "revision-router", "Service through which the API server reaches the router")
	flags.StringVar(&o.CASecret, "ca-secret", "revision-router-ca", "Secret in which the replicas share their CA")
	o.Certs.addFlags(flags)
	flags.StringSliceVar(&o.TLSNames, "tls-san", nil,
		"further DNS names and IP addresses for the serving certificate, for webhooks called by URL")
	flags.StringSliceVar(&o.MutatingWebhooks, "mutating-webhook", []string{"0-istio-revision-router"},
		"MutatingWebhookConfigurations whose CA bundle the router maintains")
	flags.StringSliceVar(&o.ValidatingWebhooks, "validating-webhook", nil,
		"ValidatingWebhookConfigurations whose CA bundle the router maintains")
	flags.BoolVar(&o.Changes, "changes", true,
		"also follow what runs in the mesh, down to the pods, and serve the webhooks that validate changes of it")
	flags.BoolVar(&o.Events, "events", true,
		"tell people in Events of pods that are refused, of tags that lead elsewhere than they should, and of rules that were overridden")
	flags.StringVar(&o.Policy, "policy", "", "policy file (kind RouterPolicy); empty means the defaults")
	o.Forward.addFlags(flags)
	o.Server.addFlags(flags)
	flags.DurationVar(&o.DrainDelay, "drain-delay", 15*time.Second,
		"how long to go on serving after SIGTERM, so that the API server notices that this replica leaves")
	flags.StringVar(&o.LogLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.LogFormat, "log-format", "text", "text or json")
}

// Validate names everything that is wrong with the flags, at once.
func (o *Options) Validate() error {
	var errs []error
	if o.WebhookPort < 1 || o.WebhookPort > 65535 {
		errs = append(errs, fmt.Errorf("--webhook-port %d: a port is a number from 1 to 65535", o.WebhookPort))
	}
	for _, required := range []struct{ flag, value string }{
		{"--namespace", o.Namespace}, {"--service", o.Service}, {"--ca-secret", o.CASecret},
	} {
		if required.value == "" {
			errs = append(errs, fmt.Errorf("%s must not be empty", required.flag))
		}
	}
	if err := o.Certs.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := o.Forward.validate(); err != nil {
		errs = append(errs, err)
	}
	if err := o.Server.validate(); err != nil {
		errs = append(errs, err)
	}
	if o.DrainDelay < 0 {
		errs = append(errs, fmt.Errorf("--drain-delay %s: must not be negative", o.DrainDelay))
	}
	if _, err := o.logLevel(); err != nil {
		errs = append(errs, err)
	}
	if o.LogFormat != "text" && o.LogFormat != "json" {
		errs = append(errs, fmt.Errorf("--log-format %q: must be text or json", o.LogFormat))
	}
	return errors.Join(errs...)
}

func (o *Options) logLevel() (slog.Level, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(o.LogLevel))); err != nil {
		return 0, fmt.Errorf("--log-level %q: must be debug, info, warn or error", o.LogLevel)
	}
	return level, nil
}

// servingNames are the names that the serving certificate carries: those of the Service, then --tls-san.
func (o *Options) servingNames() (dns []string, ips []netip.Addr) {
	host := o.Service + "." + o.Namespace
	dns = []string{host + ".svc", host + ".svc.cluster.local"}
	for _, name := range o.TLSNames {
		if ip, err := netip.ParseAddr(name); err == nil {
			ips = append(ips, ip)
		} else {
			dns = append(dns, name)
		}
	}
	return dns, ips
}
