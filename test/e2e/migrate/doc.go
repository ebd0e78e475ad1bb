//go:build e2e

// Package migrate runs router migrate as a person does, as a process that is sent Ctrl-C, over 200 workloads on a real
// control plane whose pods an injector gives their sidecars, while every PodDisruptionBudget is watched.
package migrate
