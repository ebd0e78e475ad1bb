// Package kind starts a kind cluster for tests, where the router's image runs as its users run it: pods on nodes, called
// through its Service, with its ServiceAccount's own token and the kubelet's probes. Nothing is pulled: the images of Istio's
// components and of applications are one small program (test/standin), built and loaded here under their names.
//
// It uses the docker of the machine and its kind, or builds the kind that tools/kind pins. Environment:
//
//	KIND_NODE_IMAGE  the image of the nodes, where the one that kind would pull cannot be had
//	KIND_CLUSTER     the name of the cluster, where kind-config.yaml's is taken
package kind
