package annotation

import (
	"bufio"
	"io"
	"strconv"
	"strings"
)

// GitHub writes a workflow command for each result. GitHub Actions shows it beside the line, and in the log as the
// message alone.
func (r *Report) GitHub(out io.Writer) error {
	w := bufio.NewWriter(out)
	for i := range r.Results {
		x := &r.Results[i]
		var properties []string
		add := func(name, value string) { properties = append(properties, name+"="+property(value)) }
		if path := r.path(x.Place.File); path != "" {
			add("file", path)
			if x.Place.Line > 0 {
				add("line", strconv.Itoa(x.Place.Line))
			}
		}
		add("title", x.Rule)
		// A write that fails is reported by Flush.
		_, _ = w.WriteString("::" + string(x.Level) + " " + strings.Join(properties, ",") + "::" + data(x.Message) + "\n")
	}
	return w.Flush()
}

// data escapes what would end a command early, as the runner undoes it (actions/toolkit, packages/core, command.ts).
func data(text string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(text)
}

// property escapes also what separates properties.
func property(text string) string {
	return strings.NewReplacer(":", "%3A", ",", "%2C").Replace(data(text))
}
