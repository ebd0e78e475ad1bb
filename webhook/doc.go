// Package webhook holds the admission handlers of the Revision Router.
//
// A handler goes through the same five steps each time: decode the fields that matter, gather the mesh and the
// namespace, decide in package routing, respond, record. Only the third step decides anything. The world is
// reached through the one-method interfaces declared here, so that nothing in this package knows a client.
//
// Pods are the hot path: every pod of the mesh passes [PodRouter] once, and a failed call is a failed pod, or one
// that starts without its sidecar. So it has an http.Handler of its own, which reads the few fields it needs
// from the raw body and allocates the same for a pod of any size; controller-runtime's admission.Webhook decodes
// the whole object, which costs many times the decision. In exchange the handler brings each guard that
// admission.Webhook has: method, content type, size, review version, panics and the UID of the reply.
package webhook
