//go:build !linux

package cluster

import "syscall"

// childAttributes are none: only Linux can tie a child to this process (FreeBSD can, but is not tested). The child
// stays in the process group, so that a terminal's Ctrl-C and a signal to the group reach it too.
func childAttributes() *syscall.SysProcAttr { return nil }
