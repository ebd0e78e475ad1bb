// Package sail stands in for the Sail Operator, and for the one thing that istiod does to the cluster beside
// injecting, in tests on a control plane with nodes (package cluster, Options.Nodes). It reconciles Istio,
// IstioRevision, IstioRevisionTag, IstioCNI and ZTunnel into the objects that the operator makes of Istio's charts,
// reports their states as the operator does, with the states in between, and deploys the waypoints and gateways of
// Gateways. What it reports is compared with recordings of the real operator.
//
// It writes as the operator's ServiceAccount and with no more than its rights, so a webhook sees who asks. One thing
// differs from the operator on purpose: the operator's caches lag behind the API server, and which of several states
// it passes through is chance. Here [Races] decides.
//
// Not for production: no chart is rendered, only what the router and its tests look at is there, and values have an
// effect only where a comment says so.
package sail
