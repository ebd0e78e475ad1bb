package events

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// write writes the Event of a series, without the lock: others tell meanwhile.
func (r *Recorder) write(ctx context.Context, s *series) {
	r.mu.Lock()
	object, pending, written := s.object(r.Instance), s.pending, s.written
	r.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err := r.send(ctx, object, written)

	r.mu.Lock()
	defer r.mu.Unlock()
	s.pause = min(max(2*s.pause, firstPause), lastPause)
	s.next = r.Clock.Now().Add(s.pause)
	if err != nil {
		r.Counted(Failed)
		r.complain(err)
		return
	}
	s.pending -= pending
	s.written = true
	r.said = time.Time{}
	r.Counted(Written)
}

// send creates or patches the Event.
func (r *Recorder) send(ctx context.Context, e *corev1.Event, written bool) error {
	if written {
		// One that has expired, or that somebody deleted, is created anew.
		if err := r.patch(ctx, e); !apierrors.IsNotFound(err) {
			return err
		}
	}
	err := r.create(ctx, e)
	if apierrors.IsAlreadyExists(err) {
		// Another replica has told of the same state, or an earlier try succeeded without our hearing of it.
		return r.patch(ctx, e)
	}
	return err
}

// +kubebuilder:rbac:groups="",resources=events,verbs=create
func (r *Recorder) create(ctx context.Context, e *corev1.Event) error {
	if _, err := r.Client.Events(e.Namespace).Create(ctx, e, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the Event %s: %w", e.Reason, err)
	}
	return nil
}

// +kubebuilder:rbac:groups="",resources=events,verbs=patch
func (r *Recorder) patch(ctx context.Context, e *corev1.Event) error {
	change, err := json.Marshal(map[string]any{"count": e.Count, "lastTimestamp": e.LastTimestamp, "message": e.Message})
	if err != nil {
		return fmt.Errorf("writing the Event %s: %w", e.Reason, err)
	}
	_, err = r.Client.Events(e.Namespace).Patch(ctx, e.Name, types.MergePatchType, change, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("counting the Event %s: %w", e.Reason, err)
	}
	return nil
}

// complain says once, and then now and again, that Events cannot be written: without a right every one of them fails.
func (r *Recorder) complain(err error) {
	now := r.Clock.Now()
	if !r.said.IsZero() && now.Sub(r.said) < sayAgain {
		r.Log.V(1).Info("an Event was not written", "error", err.Error())
		return
	}
	r.said = now
	r.Log.Error(err, "Events cannot be written; the router goes on without")
}
