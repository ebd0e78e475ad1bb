package certs_test

import (
	"errors"
	"testing"
	"time"

	"github.com/revision-router/revision-router/certs"
)

func TestReady(t *testing.T) {
	cases := map[string]struct {
		change func(*certs.State)
		after  time.Duration
		ok     bool
	}{
		"a leaf that is trusted":                {func(*certs.State) {}, 0, true},
		"no configuration":                      {func(s *certs.State) { s.Published = nil }, 0, true},
		"no leaf":                               {func(s *certs.State) { s.Leaf = nil }, 0, false},
		"more than an hour left":                {func(*certs.State) {}, 7*day - certs.MinRemaining - time.Second, true},
		"an hour left":                          {func(*certs.State) {}, 7*day - certs.MinRemaining, false},
		"not valid yet":                         {func(*certs.State) {}, -2 * time.Hour, false},
		"a configuration that was never read":   {func(s *certs.State) { s.Unread = []string{"c"} }, 0, false},
		"a configuration without a bundle":      {func(s *certs.State) { s.Published = published(certs.Bundle{}) }, 0, false},
		"an API server that is away":            {func(s *certs.State) { s.Secret, s.Complete = certs.SecretStale, false }, 0, true},
		"one configuration of two with another": {func(s *certs.State) { s.Published = append(s.Published, published(certs.Bundle{})...) }, 0, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, _ := settled(t)
			tc.change(&s)
			if err := s.Ready(start().Add(tc.after)); (err == nil) != tc.ok {
				t.Errorf("%v, want ready: %t", err, tc.ok)
			}
		})
	}
	if err := (certs.State{}).Ready(start()); !errors.Is(err, certs.ErrNotAvailable) {
		t.Errorf("%v, want %v", err, certs.ErrNotAvailable)
	}
}
