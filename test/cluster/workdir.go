package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const (
	workDirPrefix = "revision-router-cluster-"
	workDirLock   = "lock"
)

// errLocked: another process holds the lock.
var errLocked = errors.New("locked by another process")

// workDir holds the data, credentials and logs of one cluster. It is locked while any process of the cluster lives.
type workDir struct {
	path string
	lock *os.File
}

// newWorkDir makes a directory below parent. It first removes those whose processes are all gone without having been
// stopped: each holds more than 100 MB, and a test that runs into its timeout cannot clean up.
func newWorkDir(parent string) (*workDir, error) {
	removeAbandoned(parent)
	path, err := os.MkdirTemp(parent, workDirPrefix)
	if err != nil {
		return nil, err
	}
	d := &workDir{path: path}
	if err := d.takeLock(); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), d.remove())
	}
	return d, nil
}

// takeLock names the lock only once it is taken: else another process could take it in between, and remove the
// directory as abandoned.
func (d *workDir) takeLock() error {
	lock, err := os.Create(d.file(workDirLock + ".new"))
	if err != nil {
		return err
	}
	d.lock = lock
	if err := tryLock(lock); err != nil {
		return err
	}
	return os.Rename(d.lock.Name(), d.file(workDirLock))
}

func (d *workDir) file(name string) string { return filepath.Join(d.path, name) }

// inherited are the descriptors that child processes get, and with them the lock.
func (d *workDir) inherited() []*os.File {
	if !locksWork {
		return nil
	}
	return []*os.File{d.lock}
}

func (d *workDir) remove() error {
	err := os.RemoveAll(d.path)
	if d.lock != nil {
		err = errors.Join(err, d.lock.Close())
	}
	return err
}

// removeAbandoned does what it can: what it cannot remove belongs to another user, or is being removed by another
// process, and neither keeps a cluster from starting.
func removeAbandoned(parent string) {
	if !locksWork {
		return
	}
	locks, err := filepath.Glob(filepath.Join(parent, workDirPrefix+"*", workDirLock))
	if err != nil {
		return
	}
	for _, path := range locks {
		lock, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if tryLock(lock) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}
