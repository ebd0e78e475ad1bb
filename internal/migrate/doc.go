// Package migrate restarts the workloads whose pods would come out with another sidecar now, a wave at a time, as
// kubectl rollout restart does, and waits for each of them.
//
// What to do is decided by pure functions on snapshots of a namespace: [DueIn] picks the workloads of a status report,
// [Namespace.Judge] tells whether one of them can be restarted now, and [Workload.Rollout] how far it is. [Runner]
// carries that out with a [Cluster].
//
// There is no file that remembers what was done. A workload that is done does not wait for a restart any more, and a
// rollout that is under way can be seen: it is waited for, and not begun again. So a run that was interrupted is resumed
// by running it again.
//
// Nothing here acts without being called: the command line is the only caller, and does each thing once.
package migrate
