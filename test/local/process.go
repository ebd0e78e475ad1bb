package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// readyTimeout is how long the router may take to become ready; it takes about two seconds.
	readyTimeout = 60 * time.Second
	// stopTimeout is how long a process may take to end after SIGTERM before it is killed.
	stopTimeout = 20 * time.Second
	// tailBytes of a log are shown when something fails.
	tailBytes = 4 << 10
)

// command is what a process is started with.
type command struct {
	binary string
	args   []string
	env    []string // beside that of this process
	log    string
}

// process is a child of this one.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

func startProcess(c command) (*process, error) {
	log, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("opening a log: %w", err)
	}
	cmd := exec.Command(c.binary, c.args...) //nolint:gosec,noctx // ended by stop, which lets it drain
	cmd.Stdout, cmd.Stderr, cmd.Env = log, log, append(os.Environ(), c.env...)
	cmd.SysProcAttr = childAttributes()
	p := &process{cmd: cmd, log: c.log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel ends the child with the thread that started it (see childAttributes), which this goroutine holds.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = errors.Join(cmd.Wait(), log.Close())
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", c.binary, err), log.Close())
	}
	return p, nil
}

// waitReady waits until url answers 200, or the process ends.
func (p *process) waitReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	var last string
	for {
		ok, answer := get(ctx, url)
		if ok {
			return nil
		}
		last = answer
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("the router ended: %w\n%s", p.err, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("the router is not ready: %s\n%s", last, p.tail())
		}
	}
}

func get(ctx context.Context, url string) (ok bool, answer string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return false, err.Error()
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, tailBytes))
	if err != nil {
		return false, err.Error()
	}
	return response.StatusCode == http.StatusOK, string(body)
}

// ended tells whether the process is gone.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// stop ends the process by SIGTERM and waits for it. Calling it again does nothing.
func (p *process) stop() error { return p.stopWithin(stopTimeout) }

// stopWithin gives the process this long, and then kills it, which is an error.
func (p *process) stopWithin(grace time.Duration) error {
	if p.ended() {
		return nil
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the router: %w", err)
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return errors.Join(fmt.Errorf("the router did not stop within %s\n%s", grace, p.tail()), p.kill())
	}
}

// kill ends the process without a warning, and waits for it.
func (p *process) kill() error {
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing the router: %w", err)
	}
	<-p.done
	return nil
}

func (p *process) tail() string {
	data, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	if len(data) > tailBytes {
		data = data[len(data)-tailBytes:]
	}
	return strings.TrimSpace(string(data))
}
