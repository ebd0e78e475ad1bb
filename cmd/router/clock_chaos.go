//go:build chaos

package main

import (
	"os"
	"strings"
	"time"

	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/certs/secretca"
)

// clockVariable names a file that holds by how much the wall clock is off, such as -120h.
const clockVariable = "REVISION_ROUTER_CLOCK"

// wallClock can be made to jump while the process runs, which no machine allows its programs one by one. It is in
// binaries built for test/chaos alone. Timers run as they always do: those of a real clock do not jump either.
func wallClock() secretca.Clock {
	path := os.Getenv(clockVariable)
	if path == "" {
		return clock.RealClock{}
	}
	return jumpingClock{path: path}
}

type jumpingClock struct {
	clock.RealClock
	path string
}

// Now reads the file each time: it is asked a few times a minute.
func (c jumpingClock) Now() time.Time {
	now := c.RealClock.Now()
	text, err := os.ReadFile(c.path)
	if err != nil {
		return now
	}
	offset, err := time.ParseDuration(strings.TrimSpace(string(text)))
	if err != nil {
		return now // the file is being written
	}
	return now.Add(offset)
}
