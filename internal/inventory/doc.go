// Package inventory turns Kubernetes objects, as the API server or a file gives them, into the plain values that the
// skew rules look at. The admission webhooks, the watches and the offline commands all decode through it, so that one
// object means the same to each of them. It reads leniently, as the Sail Operator's API does: what it does not know
// it leaves alone, and a Helm value of an unexpected type counts as absent.
package inventory
