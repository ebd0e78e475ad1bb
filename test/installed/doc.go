// Package installed tests the chart as its users get it: Helm installs, upgrades and uninstalls packages of it on a control
// plane with nodes, the router of each pod runs with the token of its ServiceAccount and so with the chart's rights and no
// others, and the API server calls the webhooks by their Service. How, and what differs from a cluster, is told at
// local.Installation.
package installed
