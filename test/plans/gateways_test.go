//go:build plans

package plans

import "fmt"

const inMesh, atEdge = `"metadata":{"name":"waypoint","namespace":%q%s},"spec":{"gatewayClassName":"istio-waypoint","listeners":[` +
	`{"name":"mesh","port":15008,"protocol":"HBONE","allowedRoutes":{"namespaces":{"from":"All"}}}]}}`,
	`"metadata":{"name":"ingress","namespace":%q%s},"spec":{"gatewayClassName":"istio","listeners":[` +
		`{"name":"http","port":80,"protocol":"HTTP"}]}}`

func gateway(shape, namespace, revision string) string {
	labels := ""
	if revision != "" {
		labels = fmt.Sprintf(`,"labels":{"istio.io/rev":%q}`, revision)
	}
	return `{"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway",` + fmt.Sprintf(shape, namespace, labels)
}

// waypoint serves its own namespace and that of others: update guide 3.6.
func waypoint(namespace, revision string) string { return gateway(inMesh, namespace, revision) }

func ingress(revision string) string { return gateway(atEdge, "edge", revision) }
