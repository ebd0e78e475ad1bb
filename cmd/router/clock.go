//go:build !chaos

package main

import (
	"k8s.io/utils/clock"

	"github.com/revision-router/revision-router/certs/secretca"
)

// wallClock is what certificates are looked after by.
func wallClock() secretca.Clock { return clock.RealClock{} }
