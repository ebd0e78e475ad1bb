//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cluster

import (
	"errors"
	"os"
	"syscall"
)

// locksWork: tryLock really locks.
const locksWork = true

// tryLock locks the file until everyone who has it open has closed it, child processes that inherited it included.
// It returns errLocked while someone else holds the lock.
func tryLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
