package cli

import (
	"strconv"
	"strings"

	"github.com/revision-router/revision-router/internal/migrate"
)

// found says what there is to do.
func (p *migratePrinter) found(e migrate.Event) string {
	what := "workload in namespace " + visible(p.options.namespace)
	if p.options.all {
		what = "workload in any namespace"
	}
	if o := p.options; o.tag != "" || o.from != "" || o.to != "" || o.selector != "" {
		what = "selected " + what
	}
	if e.Total == 0 {
		text := "No " + what + " waits for a restart."
		switch {
		case e.Elsewhere == 1:
			text += " 1 other does; to see it: router migrate -A --dry-run"
		case e.Elsewhere > 1:
			text += " " + strconv.Itoa(e.Elsewhere) + " others do; to see them: router migrate -A --dry-run"
		}
		return text
	}
	verb := " wait"
	if e.Total == 1 {
		verb += "s"
	}
	text := count(e.Total, "workload") + " (" + count(e.Pods, "pod") + ")" + verb + " for a restart"
	if p.options.dryRun {
		return text + ". This would be done:"
	}
	return text + ", in waves of up to " + strconv.Itoa(p.options.maxParallel) + "."
}

// finished sums up.
func (p *migratePrinter) finished(e migrate.Event) []string {
	switch {
	case e.Total == 0:
		return nil
	case p.options.dryRun:
		text := count(e.Done, "workload") + " would be restarted in " + count(e.Wave, "wave")
		if e.Left > 0 {
			text += ", " + strconv.Itoa(e.Left) + " left"
		}
		return []string{p.coloured(ansiBold, text+". Nothing was changed.")}
	case e.Done == e.Total && e.Total == 1:
		return []string{p.coloured(ansiBold, "The workload has rolled out.")}
	case e.Done == e.Total:
		return []string{p.coloured(ansiBold, "All "+count(e.Total, "workload")+" have rolled out.")}
	}
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{
		{e.Failed, " failed"}, {e.Left, " left"}, {e.UnderWay, " still rolling out"}, {e.Waiting(), " waiting"},
	} {
		if part.n > 0 {
			parts = append(parts, strconv.Itoa(part.n)+part.what)
		}
	}
	text := strconv.Itoa(e.Done) + " of " + count(e.Total, "workload") + " rolled out: " + strings.Join(parts, ", ") + "."
	switch {
	case e.Failed > 0:
		text = "Stopped. " + text + " Once that is mended, the same command goes on."
	case e.UnderWay+e.Waiting() > 0:
		text = "Interrupted. " + text + " The same command goes on."
	}
	return []string{p.coloured(ansiBold, text)}
}
