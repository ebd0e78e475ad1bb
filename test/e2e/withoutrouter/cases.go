package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// router begins the name of a case that the router makes hold, as go test writes it.
const router = "router:_"

// cases are how the cases of the procedures ended, by their full name: pass, fail or skip. A procedure that stopped half way
// has no end.
type cases struct {
	ended      map[string]string
	procedures []string
	// said is what each case printed.
	said map[string]string
}

// event is what go test -json prints.
type event struct{ Action, Test, Output string }

// read reads the events of go test -json, and prints how each case ended.
func read(events io.Reader, out io.Writer) (*cases, error) {
	c := &cases{ended: map[string]string{}, said: map[string]string{}}
	decoder := json.NewDecoder(events)
	for {
		var e event
		if err := decoder.Decode(&e); errors.Is(err, io.EOF) {
			return c, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go test says: %w", err)
		}
		procedure, name, isCase := strings.Cut(e.Test, "/")
		c.said[e.Test] += e.Output
		if e.Action != "pass" && e.Action != "fail" && e.Action != "skip" || procedure == "" {
			continue
		}
		if !isCase {
			c.procedures = append(c.procedures, procedure)
			continue
		}
		c.ended[e.Test] = e.Action
		fmt.Fprintf(out, "%-4s  %s: %s\n", e.Action, procedure, strings.ReplaceAll(name, "_", " "))
	}
}

// judge wants the cases of the router to have failed, and the others to have passed.
func (c *cases) judge(out io.Writer) error {
	var wrong []string
	var ofRouter, failed, others, passed int
	for name, action := range c.ended {
		_, short, _ := strings.Cut(name, "/")
		switch {
		case strings.HasPrefix(short, router):
			ofRouter++
			if action == "fail" {
				failed++
				continue
			}
		default:
			others++
			if action == "pass" {
				passed++
				continue
			}
			fmt.Fprintf(out, "%s, which needs no router, said:\n%s\n", name, c.said[name])
		}
		wrong = append(wrong, name+": "+action)
	}
	fmt.Fprintf(out, "%d procedures. %d of %d cases of the router fail without it; %d of %d others pass.\n",
		len(c.procedures), failed, ofRouter, passed, others)
	slices.Sort(wrong)
	switch {
	case ofRouter == 0:
		return errors.New("no case of the router was run")
	case len(wrong) > 0:
		return fmt.Errorf("these ended otherwise than they should without the router:\n  %s", strings.Join(wrong, "\n  "))
	}
	return nil
}
