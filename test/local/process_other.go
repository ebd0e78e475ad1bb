//go:build !linux

package local

import "syscall"

// childAttributes are none where the kernel cannot tie a child to this process.
func childAttributes() *syscall.SysProcAttr { return nil }
