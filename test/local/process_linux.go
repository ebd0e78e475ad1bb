package local

import "syscall"

// childAttributes make the kernel end the child when this process dies, however it dies: killed, or by a test's
// timeout. A group of its own keeps a terminal's Ctrl-C from it, which is Close's to pass on.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
