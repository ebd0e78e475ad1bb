package config

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
)

// pollInterval is how often the file is compared with what was last read. A ConfigMap volume takes the kubelet
// up to a minute to change anyway; reading a few hundred bytes needs no file notification and misses no rename.
const pollInterval = 5 * time.Second

// Store holds the policy in force and replaces it when the file changes.
type Store struct {
	path    string
	log     logr.Logger
	current atomic.Pointer[RouterPolicy]

	mu         sync.Mutex
	lastRead   []byte
	lastErr    error
	generation int
	onChange   func(RouterPolicy)
}

// NewStore reads the file once. A bad file is an error here, at start-up, where a person or a roll-out is
// watching; later it only keeps the old policy in force.
func NewStore(path string, log logr.Logger) (*Store, error) {
	s := &Store{path: path, log: log}
	policy := Default()
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the policy: %w", err)
		}
		if policy, err = Parse(data); err != nil {
			return nil, fmt.Errorf("policy %s: %w", path, err)
		}
		s.lastRead = data
	}
	s.current.Store(&policy)
	s.generation = 1
	return s, nil
}

// OnChange sets what is called with each policy that replaces the one in force. Call it before [Store.Start]; the last
// call counts.
func (s *Store) OnChange(call func(RouterPolicy)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onChange = call
}

// Policy is the policy in force.
func (s *Store) Policy() RouterPolicy { return *s.current.Load() }

// Generation counts the policies that were put in force, the first one included.
func (s *Store) Generation() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.generation
}

// Err tells why the file as it is now is not in force; nil when it is.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastErr
}

// Start watches the file until ctx is done.
func (s *Store) Start(ctx context.Context) error {
	if s.path == "" {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			s.Reload()
		}
	}
}

// Reload reads the file if it has changed. A file that cannot be used keeps the old policy: the router fails
// neither open nor closed over a typing mistake, it stays as it was and says so.
func (s *Store) Reload() {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := os.ReadFile(s.path)
	if err != nil {
		// Forget what was read, so that the same file coming back counts as a change and clears the error.
		s.lastRead = nil
		s.failed(fmt.Errorf("reading the policy: %w", err))
		return
	}
	if bytes.Equal(data, s.lastRead) {
		return
	}
	policy, err := Parse(data)
	if err != nil {
		s.lastRead = data
		s.failed(fmt.Errorf("policy %s: %w", s.path, err))
		return
	}
	s.lastRead, s.lastErr = data, nil
	s.generation++
	s.current.Store(&policy)
	if s.onChange != nil {
		s.onChange(policy)
	}
	s.log.Info("policy changed", "file", s.path, "generation", s.generation,
		"unresolved", policy.Unresolved, "noMesh", policy.NoMesh)
}

func (s *Store) failed(err error) {
	if s.lastErr == nil || s.lastErr.Error() != err.Error() {
		s.log.Error(err, "the policy file cannot be used, the old policy stays in force", "file", s.path)
	}
	s.lastErr = err
}
