// Package secretca gives the webhook its serving certificate from a CA that all replicas share in one Secret, and
// publishes that CA in the webhook configurations. It feeds the state machine of package certs from the API server and
// carries out what it says; nothing is decided here.
//
// Each replica runs a [Manager]. Replicas need no election: every write is a compare-and-swap, so that any number may
// try, and Options.IsLeader only spares the attempts. Each signs a leaf of its own and keeps it in memory. No private
// key of a leaf is ever written anywhere, and a new certificate needs no restart.
//
// # The Secret
//
// It is of type Opaque. Keys that have nothing to say are present and empty.
//
//	tls.crt, tls.key             the CA that signs; empty only while the first one after a loss is being published
//	next-tls.crt, next-tls.key   the CA that will sign next
//	next-published-at            RFC 3339: when next-tls.crt was read back from every webhook configuration
//	previous.crt                 CAs that signed leaves which may still be valid
//	previous-until               RFC 3339: when none can be valid any more
//	dropped.crt                  CAs that were in previous.crt; never published again
//	ca.crt                       the bundle that is published: for people and other programs, never read here
//
// The annotation revision-router.io/rotate with any value asks for a new CA; it is removed once the rotation is under
// way. Deleting the Secret also leads to a new CA. Neither breaks a request.
//
// # Permissions
//
// Each rule stands as a +kubebuilder:rbac marker beside the call that needs it. list and watch can be granted for one
// name: the API server takes the name of such a request from its field selector metadata.name, which every list and
// watch here has. create cannot, because a request to create has no name at the time it is authorized.
package secretca
