// Package certs holds what the webhook's TLS needs without a cluster: an [Authority] that signs a [Leaf] for each
// replica, the CA [Bundle] that the API server checks it against, the [Source] that a TLS server takes it from,
// and the state machine [Next] that replaces the Authority with nobody noticing.
//
// It is pure: standard library only, no clock, no network, no file. Every time is an argument. Package secretca
// feeds it from the API server and carries out its actions.
//
// # Why rotation needs a state machine
//
// A pod is created through a TLS connection from the API server to one of several replicas. It works while the leaf
// that this replica serves was signed by a CA in the bundle that this API server has read from the webhook
// configuration. Leaf and bundle are changed by different processes at different times, so they must overlap:
//
//	                 CA Secret                    bundle published    leaves are signed by
//	settled          Current=a                    a                   a
//	StageNext        Current=a Next=b             a                   a
//	PublishBundle                                 a b                 a
//	ConfirmPublished   + read back everywhere     a b                 a
//	Promote          Current=b Previous=a         a b                 a, then b: each replica as it notices
//	DropOld          Current=b                    a b                 b: no leaf of a can be valid any more
//	PublishBundle                                 b                   b
//
// Losing the Secret takes the same road with Current empty: replicas go on serving the leaf they hold in memory, and
// the CA that signed it stays in the bundle until the new one is trusted everywhere.
//
// # What whoever carries the actions out must do
//
// Any number of replicas may follow [Next] at once, each on what it read a moment ago. Three things make the table
// true nevertheless:
//
//   - Every write, of the Secret and of a configuration, is a compare-and-swap on the version that was read for this
//     decision. A replica that decided on old knowledge so loses, and looks again.
//   - The configurations are read between two reads of the Secret that find the same version. Whatever is published
//     is then as new as the CA that a leaf would be signed by, and the bundle to publish as new as what is published.
//   - A published bundle never loses a CA of ours that the Secret does not know ([CarryOver] adds it to the Secret
//     first). What the configurations hold is the record of what other replicas' leaves may depend on, and survives
//     the loss of the Secret and of every replica's memory.
package certs
