// Package recorded plays what a real Sail Operator did back onto an API server: the changes of its objects, in
// their order and with their states in between, recorded while it carried out a procedure of the update guide. It
// stands in for the operator in the demo and in tests.
package recorded

import (
	"bufio"
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

//go:embed testdata/*.jsonl
var recordings embed.FS

// RevisionBasedTag is the recording of "RevisionBased strategy and IstioRevisionTag": install v1.29.6, tag it
// default, label a namespace, update to v1.30.3, restart, and the old revision being pruned.
const RevisionBasedTag = "revisionbased-tag"

// Step is one thing that was done, with the changes that the operator made until the next.
type Step struct {
	Name   string
	Events []Event
}

// Event is one change of an object, as a watch reports it.
type Event struct {
	// Type is ADDED, MODIFIED or DELETED.
	Type   string
	Object unstructured.Unstructured
}

// Load reads a recording by its name.
func Load(name string) ([]Step, error) {
	data, err := recordings.ReadFile("testdata/" + name + ".jsonl")
	if err != nil {
		return nil, fmt.Errorf("no recording %q: %w", name, err)
	}
	var steps []Step
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for number := 1; lines.Scan(); number++ {
		var line struct {
			Step   string                    `json:"step"`
			Event  string                    `json:"event"`
			Object unstructured.Unstructured `json:"object"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, fmt.Errorf("recording %s, line %d: %w", name, number, err)
		}
		if line.Step != "" {
			steps = append(steps, Step{Name: line.Step})
			continue
		}
		if len(steps) == 0 {
			return nil, fmt.Errorf("recording %s, line %d: an event before the first step", name, number)
		}
		last := &steps[len(steps)-1]
		last.Events = append(last.Events, Event{Type: line.Event, Object: line.Object})
	}
	return steps, lines.Err()
}

// Player applies events to an API server. The zero value is not usable; set Client. Not for concurrent use.
type Player struct {
	Client dynamic.Interface
	// uids maps the recorded UIDs, which owner references name, to those that this API server gave.
	uids map[types.UID]types.UID
}

// Play applies the events of a step in order.
func (p *Player) Play(ctx context.Context, step Step) error {
	for i, event := range step.Events {
		if err := p.apply(ctx, event); err != nil {
			return fmt.Errorf("step %q, event %d (%s %s %s): %w", step.Name, i+1,
				event.Type, event.Object.GetKind(), event.Object.GetName(), err)
		}
	}
	return nil
}

func (p *Player) apply(ctx context.Context, event Event) error {
	object := event.Object.DeepCopy()
	client := p.Client.Resource(resourceOf(object))
	switch event.Type {
	case "ADDED":
		return p.create(ctx, client, object)
	case "MODIFIED":
		return p.update(ctx, client, object)
	case "DELETED":
		return release(ctx, client, object.GetName())
	}
	return fmt.Errorf("unknown event %q", event.Type)
}

func (p *Player) create(ctx context.Context, client dynamic.NamespaceableResourceInterface, recorded *unstructured.Unstructured) error {
	object := recorded.DeepCopy()
	p.asNew(object)
	created, err := client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("creating: %w", err)
	}
	if p.uids == nil {
		p.uids = map[types.UID]types.UID{}
	}
	p.uids[recorded.GetUID()] = created.GetUID()
	return setStatus(ctx, client, created, recorded)
}

func (p *Player) update(ctx context.Context, client dynamic.NamespaceableResourceInterface, recorded *unstructured.Unstructured) error {
	current, err := client.Get(ctx, recorded.GetName(), metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading what to change: %w", err)
	}
	object := recorded.DeepCopy()
	p.asNew(object)
	object.SetResourceVersion(current.GetResourceVersion())
	if current.GetDeletionTimestamp() == nil {
		if current, err = client.Update(ctx, object, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("updating: %w", err)
		}
	}
	if err := setStatus(ctx, client, current, recorded); err != nil {
		return err
	}
	if recorded.GetDeletionTimestamp() != nil && current.GetDeletionTimestamp() == nil {
		if err := client.Delete(ctx, recorded.GetName(), metav1.DeleteOptions{}); err != nil {
			return fmt.Errorf("deleting: %w", err)
		}
	}
	return nil
}

// asNew removes what an API server sets by itself, and points owner references at the owners of this one.
func (p *Player) asNew(object *unstructured.Unstructured) {
	for _, field := range []string{
		"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields",
		"deletionTimestamp", "deletionGracePeriodSeconds",
	} {
		unstructured.RemoveNestedField(object.Object, "metadata", field)
	}
	unstructured.RemoveNestedField(object.Object, "status")
	owners := object.GetOwnerReferences()
	for i := range owners {
		if uid, ok := p.uids[owners[i].UID]; ok {
			owners[i].UID = uid
		}
	}
	if len(owners) > 0 {
		object.SetOwnerReferences(owners)
	}
}

func setStatus(
	ctx context.Context, client dynamic.NamespaceableResourceInterface, current, recorded *unstructured.Unstructured,
) error {
	status, ok := recorded.Object["status"]
	if !ok {
		return nil
	}
	current = current.DeepCopy()
	current.Object["status"] = status
	if _, err := client.UpdateStatus(ctx, current, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("updating the status: %w", err)
	}
	return nil
}

// release lets an object go that is waiting for its finalizers, or deletes one that has none.
func release(ctx context.Context, client dynamic.NamespaceableResourceInterface, name string) error {
	patch := []byte(`{"metadata":{"finalizers":null}}`)
	_, err := client.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	err = errors.Join(ignoreNotFound(err),
		ignoreNotFound(client.Delete(ctx, name, metav1.DeleteOptions{})))
	if err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	return nil
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// resourceOf is the plural of the Sail Operator's kinds, all of which form it regularly.
func resourceOf(object *unstructured.Unstructured) schema.GroupVersionResource {
	gvk := object.GroupVersionKind()
	return gvk.GroupVersion().WithResource(strings.ToLower(gvk.Kind) + "s")
}
