package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/internal/status"
)

// follow shows the mesh again whenever something has changed, until ctx is done. Its exit code is that of what was
// shown last.
func (o *statusOptions) follow(ctx context.Context, show *statusPrinter) error {
	l, err := o.podLister()
	if err != nil {
		return usage(err)
	}
	pods := newPodStore()
	version, err := l.list(ctx, pods.clear, pods.set)
	if err != nil {
		return usage(err)
	}
	var running sync.WaitGroup
	defer running.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	running.Go(func() { o.followPods(ctx, l, pods, version) })

	ticks := o.clock.NewTicker(o.interval)
	defer ticks.Stop()
	for {
		rest, err := o.readRest(ctx)
		switch {
		case ctx.Err() != nil:
			return show.last
		case err != nil && show.shown == "":
			return usage(err)
		case err != nil:
			show.trouble(err)
		default:
			inventory, stale := pods.inventory()
			seen := rest.with(inventory)
			if stale != nil {
				seen.notices = append(seen.notices, "pods are as they were, and are read again: "+stale.Error())
			}
			if err := show.changed(seen); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return show.last
		case <-ticks.C():
		}
	}
}

// podStore knows every pod by a handle that it shares with the others of its workload.
type podStore struct {
	mu    sync.Mutex
	known map[string]unique.Handle[status.Pod]
	// stale is why the pods cannot be followed at the moment.
	stale error
}

func newPodStore() *podStore { return &podStore{known: map[string]unique.Handle[status.Pod]{}} }

func (s *podStore) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.known)
}

func (s *podStore) set(p podRead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.counts {
		delete(s.known, p.key)
		return
	}
	s.known[p.key] = unique.Make(p.pod)
}

func (s *podStore) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, key)
}

// replace takes what another store has: a list that was read anew.
func (s *podStore) replace(other *podStore) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = other.known
}

func (s *podStore) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stale = err
}

func (s *podStore) inventory() (*status.Inventory, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := status.NewInventory()
	for _, p := range s.known {
		out.Add(p.Value())
	}
	return out, s.stale
}

// errPodsExpired: the version to go on from is gone.
var errPodsExpired = errors.New("too much has changed since")

// followPods keeps the store as the cluster is. Where the connection ends it is made again; where too much was missed,
// all pods are listed again.
func (o *statusOptions) followPods(ctx context.Context, l *podLister, pods *podStore, version string) {
	for ctx.Err() == nil {
		err := l.watch(ctx, pods, &version)
		if err == nil || ctx.Err() != nil {
			continue // the API server ends every watch after some minutes
		}
		pods.trouble(err)
		select {
		case <-ctx.Done():
			return
		case <-o.clock.After(o.interval):
		}
		fresh := newPodStore()
		listed, err := l.list(ctx, fresh.clear, fresh.set)
		if err != nil {
			pods.trouble(err)
			continue
		}
		version = listed
		pods.replace(fresh)
		pods.trouble(nil)
	}
}

// watch follows the pods from a version on until the API server ends it, and keeps the version up to date.
func (l *podLister) watch(ctx context.Context, pods *podStore, version *string) error {
	request := l.client.Get().AbsPath(l.what.path).SetHeader("Accept", "application/json").
		Param("watch", "true").Param("allowWatchBookmarks", "true").Param("resourceVersion", *version).
		Timeout(watchTimeout)
	for key, value := range l.what.params {
		request.Param(key, value)
	}
	stream, err := request.Stream(ctx)
	if err != nil {
		return explainList(l.what, err)
	}
	defer func() { _ = stream.Close() }() // it was only read
	events := json.NewDecoder(stream)
	for {
		var event struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := events.Decode(&event); err != nil {
			if errors.Is(err, io.EOF) || ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("following pods: %w", err)
		}
		if err := pods.apply(ctx, event.Type, event.Object, version); err != nil {
			return err
		}
	}
}

// watchTimeout asks the API server to end a watch, so that a connection that died unnoticed does not last for ever.
const watchTimeout = 5 * time.Minute

func (s *podStore) apply(ctx context.Context, event string, object json.RawMessage, version *string) error {
	if event == "ERROR" {
		return errPodsExpired
	}
	var head metav1.PartialObjectMetadata
	if err := json.Unmarshal(object, &head); err != nil {
		return fmt.Errorf("following pods: %w", err)
	}
	*version = head.ResourceVersion
	switch event {
	case "DELETED":
		s.remove(head.Namespace + "/" + head.Name)
	case "ADDED", "MODIFIED":
		read, err := decodePods(ctx, object)
		if err != nil {
			return err
		}
		for p := range read {
			s.set(p)
		}
	}
	return nil
}

// trouble tells once that the mesh cannot be read at the moment.
func (p *statusPrinter) trouble(err error) {
	text := "warning: the mesh is as it was, and is read again: " + err.Error()
	if text != p.told {
		p.told = text
		fmt.Fprintln(p.streams.Err, strings.TrimSpace(visible(text)))
	}
}
