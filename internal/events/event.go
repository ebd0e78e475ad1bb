package events

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// component is who the Events are from.
const component = "revision-router"

// maxMessage is what the API conventions allow for the message of an Event.
const maxMessage = 1024

// Object is what an Event is about. UID may be empty where it is not known: kubectl describe does not show the Event
// then, kubectl get events and kubectl events --for do.
type Object struct{ APIVersion, Kind, Namespace, Name, UID string }

// namespace is where the Event is kept. Whoever looks after a namespace may read the Events in it, and often no others, so
// one about the namespace is kept there. Events about other objects without a namespace are kept in default, as all are.
func (o Object) namespace() string {
	switch {
	case o.Namespace != "":
		return o.Namespace
	case o.Kind == "Namespace":
		return o.Name
	}
	return metav1.NamespaceDefault
}

// Event is what happened, once.
type Event struct {
	Object Object
	// Warning: somebody has to do something about it.
	Warning bool
	// Reason and Action are words of closed sets. With the object they are what is counted together.
	Reason, Action string
	// Message of the last time it happened is the one that is kept.
	Message string
	// State: it says what is so, and all replicas find the same. They share one Event then, which is not counted.
	State bool
}

type key struct {
	object         Object
	reason, action string
}

func (e Event) key() key { return key{e.Object, e.Reason, e.Action} }

// series is everything that has one key.
type series struct {
	event       Event // as it happened last
	first, last time.Time
	// pending happened since the Event was written, total altogether.
	pending, total int
	// written: the API server has an Event of this name, or had one.
	written bool
	// next is when it may be written again, and pause what was between the last two.
	next  time.Time
	pause time.Duration
}

// name of the Event. Replicas count for themselves, so that each has Events of its own, except for those about a state.
func (s *series) name(instance string) string {
	k := s.event.key()
	parts := []string{k.object.APIVersion, k.object.Kind, k.object.Namespace, k.object.Name, k.object.UID, k.reason, k.action}
	if !s.event.State {
		parts = append(parts, instance, s.first.UTC().Format(time.RFC3339Nano))
	}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	const longest = 200 // of 253 that a name may have
	object := strings.TrimRight(k.object.Name[:min(len(k.object.Name), longest)], ".-")
	return fmt.Sprintf("%s.%s", object, hex.EncodeToString(sum[:8]))
}

// object is the Event as the API server shall have it.
func (s *series) object(instance string) *corev1.Event {
	e := s.event
	kind := corev1.EventTypeNormal
	if e.Warning {
		kind = corev1.EventTypeWarning
	}
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Object.namespace(), Name: s.name(instance)},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: e.Object.APIVersion, Kind: e.Object.Kind, Name: e.Object.Name, UID: types.UID(e.Object.UID),
			// The API server wants the two namespaces to be the same where either is not default.
			Namespace: involved(e.Object),
		},
		Type: kind, Reason: e.Reason, Action: e.Action, Message: clip(e.Message),
		Count: s.count(), FirstTimestamp: metav1.NewTime(s.first), LastTimestamp: metav1.NewTime(s.last),
		Source:              corev1.EventSource{Component: component, Host: instance},
		ReportingController: component, ReportingInstance: instance,
	}
}

func involved(o Object) string {
	if o.Kind == "Namespace" {
		return o.Name
	}
	return o.Namespace
}

// count is how often it happened. A state is one thing, however often somebody looks.
func (s *series) count() int32 {
	if s.event.State {
		return 1
	}
	return int32(min(s.total, 1<<31-1)) //nolint:gosec // bounded
}

// clip cuts a message at the end of a letter.
func clip(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const ellipsis = "..."
	return strings.ToValidUTF8(message[:maxMessage-len(ellipsis)], "") + ellipsis
}
