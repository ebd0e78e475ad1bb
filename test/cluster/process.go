package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// stopGrace is how long a component may take to end by itself. It takes about a second; an API server that waits
	// for a webhook which does not answer would take a minute.
	stopGrace = 5 * time.Second
	// killGrace bounds the wait for a process after SIGKILL, which takes long only where the kernel hangs.
	killGrace = 10 * time.Second
	// probeInterval is short, because tests wait for it, and a probe costs a millisecond.
	probeInterval = 25 * time.Millisecond
	// An error carries so much of a component's log: enough for the reason, which comes last.
	tailLines, tailBytes = 20, 16 << 10
)

// process is a component that this process started. It ends with this process (see childAttributes).
type process struct {
	name string
	log  string
	cmd  *exec.Cmd
	// done is closed when the process has ended; err may be read after that.
	done chan struct{}
	err  error
}

// startProcess starts the binary in dir, with its output in NAME.log there. It appends, so that the log survives a
// restart.
func startProcess(name, path string, dir *workDir, args []string) (*process, error) {
	p := &process{name: name, log: dir.file(name + ".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.cmd = exec.Command(path, args...) //nolint:gosec,noctx // Our own binary; Stop ends it, gracefully first.
	p.cmd.Dir = dir.path
	p.cmd.Stdout, p.cmd.Stderr = log, log
	// Both read their environment: ETCD_* are etcd's flags, and a proxy must not stand before the webhooks of a test.
	p.cmd.Env = []string{"HOME=" + dir.path, "PATH=" + os.Getenv("PATH")}
	// While any of its processes lives, nobody else may remove the directory as left behind.
	p.cmd.ExtraFiles = dir.inherited()
	p.cmd.SysProcAttr = childAttributes()

	started := make(chan error, 1)
	go p.run(started)
	// The child has its own copy of the log's descriptor.
	if err := errors.Join(<-started, log.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) run(started chan<- error) {
	// Linux ends the child when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), not the process, and
	// Go may end a thread at any time, unless a goroutine holds it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	p.err = p.cmd.Wait()
	close(p.done)
}

// await returns when ready does without an error. It gives up when the process ends, when ctx does, and after
// startLimit; the error then carries the end of the process's log.
func (p *process) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	var last error
	for {
		err := ready(ctx)
		if last == nil || ctx.Err() == nil {
			last = err // The reason, and not that the time was up.
		}
		// The order matters: an answer may have come from a process of another cluster, if this one lost its port.
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%s)%s", p.name, p.cmd.ProcessState, p.tail())
		default:
		}
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; it was not ready: %w%s", p.name, ctx.Err(), last, p.tail())
		}
	}
}

// ended reports whether the process has ended, whoever ended it.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process and returns when it is gone. How it ends is of no interest then.
func (p *process) stop() error {
	if p.ended() {
		return nil
	}
	// Where there is no SIGTERM (Windows), the signal fails, and the process is killed at once.
	if p.cmd.Process.Signal(syscall.SIGTERM) == nil && p.endsWithin(stopGrace) {
		return nil
	}
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s, process %d: %w", p.name, p.cmd.Process.Pid, err)
	}
	if !p.endsWithin(killGrace) {
		return fmt.Errorf("%s, process %d, still runs %s after it was killed", p.name, p.cmd.Process.Pid, killGrace)
	}
	return nil
}

func (p *process) endsWithin(limit time.Duration) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return true
	case <-timer.C:
		return false
	}
}

// tail returns the end of the log, to follow a sentence.
func (p *process) tail() string {
	raw, err := os.ReadFile(p.log)
	if err != nil {
		return fmt.Sprintf("; its log cannot be read: %v", err)
	}
	raw = bytes.TrimSpace(raw[max(0, len(raw)-tailBytes):])
	if len(raw) == 0 {
		return "; its log is empty"
	}
	lines := strings.Split(string(raw), "\n")
	return "; its log ends with:\n" + strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
