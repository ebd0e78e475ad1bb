package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/webhook"
	"github.com/revision-router/revision-router/webhook/forward"
)

// The values of --mode.
const (
	guardMode   = "guard"
	forwardMode = "forward"
)

// ForwardOptions are the flags about who injects.
type ForwardOptions struct {
	Mode      string
	Excluded  []string
	ConnectTo []string
}

func (o *ForwardOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.Mode, "mode", guardMode,
		"who injects: guard (Istio's own webhooks, and the router only checks) or forward (the router, by calling the "+
			"injector of the revision)")
	flags.StringSliceVar(&o.Excluded, "exclude-namespace", nil,
		"namespaces that the router's webhook configuration leaves out, exactly those; webhooks of Istio's for these alone are "+
			"no obstacle to --mode=forward")
	flags.StringSliceVar(&o.ConnectTo, "connect-to", nil,
		"HOST:PORT=ADDRESS:PORT: connect to the latter where an injector is at the former, as for curl; for running outside "+
			"a cluster's network. The certificate is checked against the former. Only with --mode=forward")
}

func (o *ForwardOptions) validate() error {
	var errs []error
	if o.Mode != guardMode && o.Mode != forwardMode {
		errs = append(errs, fmt.Errorf("--mode %q: must be %s or %s", o.Mode, guardMode, forwardMode))
	}
	if len(o.ConnectTo) > 0 && o.Mode == guardMode {
		errs = append(errs, fmt.Errorf("--connect-to: the router calls no injector with --mode=%s; choose --mode=%s", guardMode, forwardMode))
	}
	if slices.Contains(o.Excluded, "") {
		errs = append(errs, errors.New("--exclude-namespace must not be empty"))
	}
	_, err := o.connections()
	return errors.Join(append(errs, err)...)
}

func (o *ForwardOptions) mode() routing.Mode {
	if o.Mode == forwardMode {
		return routing.Forward
	}
	return routing.Guard
}

// connections are the values of --connect-to, by the address that they replace.
func (o *ForwardOptions) connections() (map[string]string, error) {
	instead := map[string]string{}
	for _, value := range o.ConnectTo {
		from, to, ok := strings.Cut(value, "=")
		if !ok || !isAddress(from) || !isAddress(to) {
			return nil, fmt.Errorf("--connect-to %q: must be HOST:PORT=ADDRESS:PORT, such as istiod.istio-system.svc:443=127.0.0.1:15017", value)
		}
		if before, twice := instead[from]; twice && before != to {
			return nil, fmt.Errorf("--connect-to %q: %s is replaced by %s already", value, from, before)
		}
		instead[from] = to
	}
	return instead, nil
}

func isAddress(text string) bool {
	host, port, err := net.SplitHostPort(text)
	number, notNumber := strconv.ParseUint(port, 10, 16)
	return err == nil && notNumber == nil && number > 0 && host != ""
}

// dial is how injectors are connected to; nil is the client's own way.
func (o *ForwardOptions) dial() (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	instead, err := o.connections()
	if err != nil || len(instead) == 0 {
		return nil, err
	}
	var dialer net.Dialer
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if other, ok := instead[address]; ok {
			address = other
		}
		return dialer.DialContext(ctx, network, address)
	}, nil
}

// newForwarding makes what passes pods on; nothing in guard mode.
func (s shared) newForwarding(source *mesh.Source) (webhook.Forwarding, error) {
	if s.options.Forward.mode() != routing.Forward {
		return webhook.Forwarding{}, nil
	}
	dial, err := s.options.Forward.dial()
	if err != nil {
		return webhook.Forwarding{}, err
	}
	recorder, err := metrics.NewForwardRecorder(s.registry)
	if err != nil {
		return webhook.Forwarding{}, err
	}
	client := forward.NewClient(forward.Options{Dial: dial, Now: time.Now, Retried: recorder.Retried})
	if err := (metrics.Circuits{Circuits: client.Circuits}).Register(s.registry); err != nil {
		return webhook.Forwarding{}, err
	}
	if err := (metrics.ForwardState{Mesh: source.Mesh}).Register(s.registry); err != nil {
		return webhook.Forwarding{}, err
	}
	return webhook.Forwarding{Client: client, Injectors: source, Recorder: recorder}, nil
}
