// Package status makes the report of a mesh as it is: its control planes and tags, what is declared and what runs,
// which workloads use what, what is wrong by the rules, and what is left to restart. It turns values into values: it
// reads no cluster and no clock, and formats nothing, so that the table, the JSON and the page say the same.
//
//	inventory := status.NewInventory()
//	inventory.Add(pod) // once for each
//	skewMesh := ... // with the workloads of inventory.Parts()
//	report := status.New(status.Input{Mesh: mesh, Skew: skewMesh, Pods: inventory.Groups(), Policy: policy})
package status
