// Package events tells people in Kubernetes Events what they should notice: pods that are refused, tags that lead
// elsewhere than they should, rules that were overridden.
//
// A handler only notes what happened, which takes a map and a lock and never waits: no request depends on an Event, and
// none is written while one is answered. A [Recorder] writes them a moment later. It makes one Event of everything that
// has the same object, reason and action, and writes that again with the new number, ever more rarely, so that a
// thousand refused pods are a handful of requests. Memory and requests are bounded whatever happens; where the API
// server takes no Events, the router goes on without.
package events
