// Package guide reads docs/upgrade-your-mesh.md, whose commands are the ones that the end-to-end tests run.
//
// A step of the page is a comment that names it, a block of commands, and, where it matters what they print, a block of
// text right behind:
//
//	<!-- step: inplace/update -->
//	```sh
//	kubectl patch istio default --type=merge -p '{"spec":{"version":"v1.30.3"}}'
//	```
//	```text
//	istio.sailoperator.io/default patched
//	```
//
// Every block of commands is a step; a name is unique, and is that of its section, a slash, and its own. The sections of
// the page and what a step stands for are told in the comment of package test/e2e.
package guide

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// Path is where the page is, from the root of the module.
const Path = "docs/upgrade-your-mesh.md"

// Step is a block of commands of the page.
type Step struct {
	// ID names it, such as inplace/update.
	ID string
	// Commands are as printed, for bash.
	Commands string
	// Output is what they print, where the page shows it: Shows.
	Output string
	Shows  bool
	// Line is that of the comment.
	Line int
}

// Page is the page's steps in their order.
type Page struct {
	Steps []Step
	byID  map[string]int
}

// Step returns the step of that name.
func (p *Page) Step(id string) (Step, error) {
	at, ok := p.byID[id]
	if !ok {
		return Step{}, fmt.Errorf("%s has no step %s: write <!-- step: %s --> before its block of commands", Path, id, id)
	}
	return p.Steps[at], nil
}

// Read reads the page of this checkout.
func Read() (*Page, error) {
	data, err := os.ReadFile(file())
	if err != nil {
		return nil, fmt.Errorf("reading the guide: %w", err)
	}
	return Parse(string(data))
}

// file is where the page of this checkout is.
func file() string {
	_, source, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(source), "..", "..", filepath.FromSlash(Path))
}

// Parse reads a page. Its errors name the line.
func Parse(text string) (*Page, error) {
	s := scanner{lines: strings.Split(text, "\n"), page: &Page{byID: map[string]int{}}}
	for s.at < len(s.lines) {
		if err := s.next(); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", Path, s.at+1, err)
		}
	}
	return s.page, nil
}

const fence = "```"

// scanner goes through the lines of a page.
type scanner struct {
	lines []string
	at    int
	page  *Page
}

// next takes one line, or one step.
func (s *scanner) next() error {
	line := s.lines[s.at]
	switch {
	case strings.HasPrefix(line, "<!-- step"):
		return s.step()
	case line == fence+"sh" || line == fence+"bash" || line == fence+"shell":
		return errors.New("this block of commands has no name: write <!-- step: SECTION/NAME --> before it")
	case strings.HasPrefix(line, fence):
		_, err := s.block()
		return err
	}
	s.at++
	return nil
}

func (s *scanner) step() error {
	named := regexp.MustCompile(`^<!-- step: ([a-z0-9-]+/[a-z0-9-]+) -->$`).FindStringSubmatch(s.lines[s.at])
	if named == nil {
		return fmt.Errorf("%q is no name of a step: write <!-- step: SECTION/NAME -->", s.lines[s.at])
	}
	step := Step{ID: named[1], Line: s.at + 1}
	if at, twice := s.page.byID[step.ID]; twice {
		return fmt.Errorf("the step %s is in line %d already", step.ID, s.page.Steps[at].Line)
	}
	s.at++
	if s.at == len(s.lines) || s.lines[s.at] != fence+"sh" {
		return fmt.Errorf("the step %s has no commands: its block, which begins with %ssh, comes right behind its name", step.ID, fence)
	}
	var err error
	if step.Commands, err = s.block(); err != nil {
		return err
	}
	if s.at < len(s.lines) && s.lines[s.at] == fence+"text" {
		step.Shows = true
		if step.Output, err = s.block(); err != nil {
			return err
		}
	}
	if strings.TrimSpace(step.Commands) == "" {
		return fmt.Errorf("the step %s is empty", step.ID)
	}
	s.page.byID[step.ID] = len(s.page.Steps)
	s.page.Steps = append(s.page.Steps, step)
	return nil
}

// block takes a fenced block, and returns what is in it.
func (s *scanner) block() (string, error) {
	begin := s.at + 1
	for end := begin; end < len(s.lines); end++ {
		if s.lines[end] == fence {
			s.at = end + 1
			return strings.Join(append(s.lines[begin:end:end], ""), "\n"), nil
		}
	}
	return "", errors.New("this block does not end")
}
