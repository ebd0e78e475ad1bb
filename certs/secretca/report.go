package secretca

import (
	"crypto/x509"
	"time"

	"github.com/revision-router/revision-router/certs"
)

// Report is what the last look found. Unlike Status it asks nobody, so that it can be made for every scrape.
type Report struct {
	// Leaf, Current and Next are nil where there is none.
	Leaf, Current, Next *x509.Certificate
	Previous            []*x509.Certificate
	Phase               certs.Phase
	// Webhooks are those of every configuration that exists; InOrder those that hold exactly the bundle that is wanted.
	Webhooks, InOrder int
	// Published is when this replica wrote a bundle last; zero before.
	Published time.Time
	// Failed: the last look could not read or do everything.
	Failed bool
	// Writes: this replica writes.
	Writes bool
}

// Report tells what the last look found.
func (m *Manager) Report() Report {
	report := Report{Phase: certs.NoCA, Writes: m.options.IsLeader(), Leaf: m.source.Leaf()}
	if at := m.published.Load(); at != nil {
		report.Published = *at
	}
	last := m.last.Load()
	if last == nil {
		return report
	}
	a := last.state.Authorities
	report.Phase, report.Previous, report.Failed = a.Phase(), a.Previous.Certificates(), last.err != nil
	if a.Current != nil {
		report.Current = a.Current.Certificate
	}
	if a.Next != nil {
		report.Next = a.Next.Certificate
	}
	want := a.Bundle()
	for _, p := range last.state.Published {
		report.Webhooks++
		if p.Holds(want) {
			report.InOrder++
		}
	}
	return report
}
