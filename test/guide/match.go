package guide

import (
	"regexp"
	"strings"
)

// anything is what a page writes for what differs from run to run, such as an age or the end of a pod's name.
const anything = "..."

// Missing returns the lines of a step's output that were not printed, in the order of the page. Spaces count as one, so that
// columns may be as wide as they like, and a line that is indented belongs to the one before, so that the page can break
// long messages; "..." is any text, or none.
func Missing(output, printed string) []string {
	var missing []string
	have := squeeze(printed)
	for _, line := range paragraphs(output) {
		if !pattern(line).MatchString(have) {
			missing = append(missing, line)
		}
	}
	return missing
}

// paragraphs are the lines of an output, where a line that is indented goes on with the one before.
func paragraphs(output string) []string {
	var list []string
	for line := range strings.Lines(output) {
		text := squeeze(line)
		switch {
		case text == "":
		case len(list) > 0 && strings.HasPrefix(line, "  "):
			list[len(list)-1] += " " + text
		default:
			list = append(list, text)
		}
	}
	return list
}

func squeeze(text string) string { return strings.Join(strings.Fields(text), " ") }

func pattern(line string) *regexp.Regexp {
	parts := strings.Split(line, anything)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(strings.TrimSpace(parts[i]))
	}
	return regexp.MustCompile(strings.Join(parts, ` ?.*? ?`))
}
