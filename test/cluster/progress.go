package cluster

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// say writes one line of progress. Progress that cannot be shown is no reason to fail.
func say(log io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(log, "cluster: "+format+"\n", args...)
}

// progress says at intervals that something goes on, the first time at once.
type progress struct {
	log     io.Writer
	what    string
	started time.Time
	next    time.Time
}

func newProgress(log io.Writer, what string) *progress { return &progress{log: log, what: what} }

func (p *progress) tick(now time.Time) {
	if p.started.IsZero() {
		p.started = now
	}
	if now.Before(p.next) {
		return
	}
	p.next = now.Add(progressInterval)
	say(p.log, "%s (%s)", p.what, now.Sub(p.started).Round(time.Second))
}

// watch runs a go build -v and reports how far it is. The error carries what the compiler said.
func watch(ctx context.Context, log io.Writer, cmd *exec.Cmd, what string) error {
	var output buildOutput
	cmd.Stdout, cmd.Stderr = &output, &output
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%w; the go command has to be in PATH", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	ticker := time.NewTicker(progressInterval)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err == nil {
				say(log, "%s: done after %s", what, time.Since(started).Round(time.Second))
				return nil
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return fmt.Errorf("go build in %s: %w\n%s", cmd.Dir, err, output.tail())
		case <-ticker.C:
			say(log, "%s: %s, %d packages compiled", what, time.Since(started).Round(time.Second), output.lines())
		}
	}
}

// buildOutput keeps what go build -v prints: one line for each package that it compiles, and the errors.
type buildOutput struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *buildOutput) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *buildOutput) lines() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Count(o.buf.Bytes(), []byte("\n"))
}

func (o *buildOutput) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(o.buf.String()), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
