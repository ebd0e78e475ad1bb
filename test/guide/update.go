package guide

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// width of the lines that Update writes.
const width = 118

// Update writes what was printed into the page of this checkout, for steps that show their output. Only lines of the
// outputs change.
func Update(printed map[string]string) error {
	path := file()
	data, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the guide: %w", err)
	}
	page, err := Parse(string(data))
	if err != nil {
		return err
	}
	lines := strings.Split(string(data), "\n")
	for _, step := range slices.Backward(page.Steps) { // from the end, so that lines keep their numbers
		output, ok := printed[step.ID]
		if !ok || !step.Shows {
			continue
		}
		// The comment, a fence, the commands, a fence, and the fence of the output.
		begin := step.Line + strings.Count(step.Commands, "\n") + 3
		end := begin + strings.Count(step.Output, "\n")
		lines = append(lines[:begin:begin], append(wrapped(output), lines[end:]...)...)
	}
	return os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o644) //nolint:gosec // a page for everybody
}

// wrapped breaks lines that are too long; what follows is indented.
func wrapped(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		for len(line) > width {
			at := strings.LastIndex(line[:width], " ")
			if at <= 2 {
				break
			}
			list = append(list, line[:at])
			line = "  " + line[at+1:]
		}
		if strings.TrimSpace(line) != "" {
			list = append(list, line)
		}
	}
	return list
}
