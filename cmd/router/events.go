package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/internal/events"
	"github.com/revision-router/revision-router/internal/mesh"
	"github.com/revision-router/revision-router/internal/metrics"
	"github.com/revision-router/revision-router/webhook"
)

// notices are what people are told in Events. Without --events nobody is, and all fields but start are nil.
type notices struct {
	pod    func(webhook.PodNotice)
	change func(webhook.ChangeNotice)
	start  func(context.Context) error
}

// newNotices makes what writes Events. Its counter is there without it, too, so that the metrics do not depend on flags.
func (s shared) newNotices(source *mesh.Source) (notices, error) {
	counter, err := metrics.NewEventRecorder(s.registry)
	if err != nil {
		return notices{}, err
	}
	if !s.options.Events {
		return notices{start: idle}, nil
	}
	client, err := kubernetes.NewForConfig(s.api)
	if err != nil {
		return notices{}, fmt.Errorf("connecting to the API server: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return notices{}, errors.Join(errors.New("finding a name for the source of Events"), err)
	}
	options := events.Options{
		Client: client.CoreV1(), Instance: host + "_" + rand.Text(), Clock: clock.RealClock{},
		Log: s.log.WithName("events"), Counted: counter.Counted,
	}
	if err := options.Validate(); err != nil {
		return notices{}, err
	}
	recorder := events.New(options)
	tags := &events.Tags{Mesh: source.Mesh, Tell: recorder.Tell, Clock: clock.RealClock{}}
	return notices{
		pod:    func(n webhook.PodNotice) { recorder.Tell(aboutPod(n)) },
		change: func(n webhook.ChangeNotice) { recorder.Tell(aboutChange(n)) },
		start: func(ctx context.Context) error {
			group, ctx := errgroup.WithContext(ctx)
			group.Go(func() error { return recorder.Start(ctx) })
			group.Go(func() error { return tags.Start(ctx) })
			return group.Wait()
		},
	}, nil
}

// The actions of Events.
const (
	actionRefuse   = "Refuse"
	actionAdmit    = "Admit"
	actionOverride = "Override"
	actionExcuse   = "Excuse"
)

// aboutPod is about the pod's namespace: a pod that is refused does not exist, and its labels are mostly the namespace's.
func aboutPod(n webhook.PodNotice) events.Event {
	e := events.Event{
		Object:  events.Object{APIVersion: "v1", Kind: "Namespace", Name: n.Namespace},
		Warning: true, Reason: n.Reason, Action: actionAdmit, Message: n.Message,
	}
	if n.Refused {
		e.Action = actionRefuse
	}
	return e
}

func aboutChange(n webhook.ChangeNotice) events.Event {
	e := events.Event{
		Object:  events.Object{APIVersion: n.APIVersion, Kind: n.Kind, Namespace: n.Namespace, Name: n.Name, UID: n.UID},
		Warning: true, Reason: string(n.Finding.Rule), Action: actionExcuse,
		Message: "let through, because " + n.User + " is never refused: " + n.Finding.Message,
	}
	if n.Finding.Overridden != "" {
		e.Action = actionOverride
		e.Message = "overridden by " + n.User + " (" + n.Finding.Overridden + "): " + n.Finding.Message
	}
	return e
}
