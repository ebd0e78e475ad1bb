package local

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/revision-router/revision-router/test/balance"
)

// template is what every replica is started with, as the rendered Deployment states it.
type template struct {
	binary string
	args   []string // without the ports
	env    []string
	grace  time.Duration
	probe  corev1.Probe
	dir    string
}

// Replica is one router process.
type Replica struct {
	// Name tells it from the others.
	Name string
	// Webhook is the address of its webhooks, past the Service; Health and Metrics are base URLs.
	Webhook, Health, Metrics string
	// Endpoint is its place in the Service.
	Endpoint *balance.Endpoint

	process *process
	// deleted is closed when it was told to stop.
	deleted chan struct{}
	// ready is closed when the Service has it for the first time, gone when the Service will never have it again.
	ready, gone chan struct{}
}

// start runs a replica on ports of its own.
func (t template) start(name string) (*Replica, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	address := func(i int) string { return fmt.Sprintf("%s:%d", loopback, ports[i]) }
	r := &Replica{
		Name: name, Webhook: address(0), Health: "http://" + address(1), Metrics: "http://" + address(2) + "/metrics",
		Endpoint: balance.NewEndpoint(address(0)),
		deleted:  make(chan struct{}), ready: make(chan struct{}), gone: make(chan struct{}),
	}
	args := slices.Concat(t.args, []string{
		"--webhook-port=" + strconv.Itoa(ports[0]), "--health-address=" + address(1), "--metrics-address=" + address(2),
	})
	r.process, err = startProcess(command{t.binary, args, t.env, filepath.Join(t.dir, name+".log")})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Running tells whether the process is there.
func (r *Replica) Running() bool { return !r.process.ended() }

// Err tells how the process ended; nil for one that runs, and for one that stopped because it was told to.
func (r *Replica) Err() error {
	if r.Running() {
		return nil
	}
	return r.process.err
}

// Log is the path of the replica's log, Tail the end of it.
func (r *Replica) Log() string { return r.process.log }

// Tail is the end of the replica's log.
func (r *Replica) Tail() string { return r.process.tail() }

// Memory is what the process holds at this moment and what it held at most, in bytes (VmRSS and VmHWM of proc(5)).
func (r *Replica) Memory() (now, most int64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.process.cmd.Process.Pid))
	if err != nil {
		return 0, 0, fmt.Errorf("reading the memory of %s: %w", r.Name, err)
	}
	now, errNow := kilobytes(string(status), "VmRSS:")
	most, errMost := kilobytes(string(status), "VmHWM:")
	return now, most, errors.Join(errNow, errMost)
}

func kilobytes(status, field string) (int64, error) {
	_, rest, found := strings.Cut(status, field)
	line, _, _ := strings.Cut(rest, "\n")
	number, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(line), "kB")), 10, 64)
	if !found || err != nil {
		return 0, fmt.Errorf("no %s in the status of a process: %w", field, err)
	}
	return number << 10, nil
}

// Suspend stops the process without ending it: it keeps its connections and answers nothing.
func (r *Replica) Suspend() error { return r.signal(syscall.SIGSTOP) }

// Resume lets a process go on after Suspend.
func (r *Replica) Resume() error { return r.signal(syscall.SIGCONT) }

func (r *Replica) signal(s os.Signal) error {
	if err := r.process.cmd.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %s to %s: %w", s, r.Name, err)
	}
	return nil
}
