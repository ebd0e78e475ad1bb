package sail

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/revision-router/revision-router/routing"
)

const (
	meshController    = "istio.io/mesh-controller"
	gatewayController = "istio.io/gateway-controller"

	labelGateway      = "gateway.networking.k8s.io/gateway-name"
	labelGatewayClass = "gateway.networking.k8s.io/gateway-class-name"
	proxyImage        = "sidecar.istio.io/proxyImage"
)

// classControllers are the classes that istiod makes.
func classControllers() map[string]string {
	return map[string]string{"istio": gatewayController, "istio-waypoint": meshController, "istio-east-west": meshController}
}

// deployGateways deploys each Gateway as the istiod does whose it is. One that belongs to none keeps what it has.
func (o *Operator) deployGateways(ctx context.Context, running []istiod) error {
	served, err := o.served(ctx, gateways)
	if err != nil || !served || len(running) == 0 {
		return err
	}
	if err := acceptClasses(ctx, running[0]); err != nil {
		return err
	}
	all, err := o.list(ctx, gateways)
	if err != nil {
		return err
	}
	owners, err := o.findOwners(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, gateway := range all {
		for _, i := range running {
			if i.complete && gateway.GetDeletionTimestamp() == nil && owners.of(gateway) == i.revision {
				errs = append(errs, o.deployGateway(ctx, i, gateway))
			}
		}
	}
	return errors.Join(errs...)
}

// acceptClasses makes istiod's GatewayClasses, where that kind is served, and accepts them.
func acceptClasses(ctx context.Context, i istiod) error {
	if _, err := i.client.Resource(classes).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
		return unlessNotServed(err)
	}
	for name, controller := range classControllers() {
		class, err := i.client.Resource(classes).Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(conditionsOf(class)) > 0 && conditionOf(class, "Accepted").Status == isTrue {
			continue
		}
		if err != nil {
			class = &object{Object: map[string]any{"spec": map[string]any{"controllerName": controller}}}
			class.SetAPIVersion(classes.GroupVersion().String())
			class.SetKind("GatewayClass")
			class.SetName(name)
			if class, err = i.client.Resource(classes).Create(ctx, class, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create GatewayClass %s: %w", name, err)
			}
		}
		if err := setStatus(ctx, i, class, nil); err != nil {
			return fmt.Errorf("accept GatewayClass %s: %w", name, err)
		}
	}
	return nil
}

// owners tells which revision a Gateway belongs to (istiod's tag_watcher.go): by the label istio.io/rev on it, else on
// its namespace, by the name of a revision or of a tag; without a label it is the default revision's.
type owners struct {
	namespaces map[string]string // the label of each namespace
	tags       map[string]string // the revision of each tag, by its webhook or Service
	fallback   string            // whose istiod-default-validator it is
}

func (o *Operator) findOwners(ctx context.Context) (owners, error) {
	found := owners{namespaces: map[string]string{}, tags: map[string]string{}}
	all, err := o.list(ctx, namespaces)
	if err != nil {
		return found, err
	}
	for _, ns := range all {
		found.namespaces[ns.GetName()] = ns.GetLabels()[routing.LabelRevision]
	}
	for _, kind := range []resource{services, mutating} {
		list, err := o.client.Resource(kind).List(ctx, metav1.ListOptions{LabelSelector: routing.LabelTag})
		if err != nil {
			return found, fmt.Errorf("list the tags' %s: %w", kind.Resource, err)
		}
		for i := range list.Items {
			labels := list.Items[i].GetLabels()
			found.tags[labels[routing.LabelTag]] = labels[routing.LabelRevision]
		}
	}
	validator, err := o.get(ctx, validating, "", "istiod-default-validator")
	if err == nil && validator != nil {
		found.fallback = validator.GetLabels()[routing.LabelRevision]
	}
	return found, err
}

func (f owners) of(gateway *object) string {
	name := gateway.GetLabels()[routing.LabelRevision]
	if name == "" {
		name = f.namespaces[gateway.GetNamespace()]
	}
	if name == "" {
		if revision, ok := f.tags[routing.DefaultRevision]; ok {
			return revision
		}
		return f.fallback
	}
	if revision, ok := f.tags[name]; ok {
		return revision
	}
	return name
}

// deployGateway makes the Deployment, the Service and the ServiceAccount of a Gateway of istiod's classes, and reports
// it as programmed. The image is that of the istiod, so a new version of it rolls the Gateway out.
func (o *Operator) deployGateway(ctx context.Context, i istiod, gateway *object) error {
	class := text(gateway, "spec", "gatewayClassName")
	controller, err := o.controllerOf(ctx, class)
	if err != nil || controller == "" || elsewhere(gateway) {
		return err
	}
	name, managed := gateway.GetName(), "istio.io-mesh-controller"
	if controller == gatewayController {
		name, managed = name+"-"+class, "istio.io-gateway-controller"
	}
	labels := map[string]string{labelGateway: gateway.GetName(), labelGatewayClass: class}
	maps.Copy(labels, infrastructure(gateway, "labels"))
	proxy := gateway.GetAnnotations()[proxyImage]
	var faults map[string]string
	if !strings.Contains(proxy, "/") {
		proxy, faults = image("proxyv2", i.version, i.distroless), o.faultsOf(Waypoint, i.version)
	}
	owner := *metav1.NewControllerRef(gateway, gateway.GroupVersionKind())
	for _, r := range gatewayObjects(gatewaySpec{
		gateway: gateway, name: name, labels: labels, managed: managed, image: proxy, revision: i.revision, faults: faults,
	}) {
		r.object.SetOwnerReferences([]metav1.OwnerReference{owner})
		options := metav1.ApplyOptions{FieldManager: "istio.io/gateway-controller", Force: true}
		_, err := at(i.client, r.kind, gateway.GetNamespace()).Apply(ctx, r.object.GetName(), r.object, options)
		if err != nil {
			return fmt.Errorf("deploy Gateway %s/%s: %w", gateway.GetNamespace(), gateway.GetName(), err)
		}
	}
	addresses := []any{map[string]any{
		"type": "Hostname", "value": name + "." + gateway.GetNamespace() + ".svc.cluster.local",
	}}
	return setStatus(ctx, i, gateway, addresses)
}

func (o *Operator) controllerOf(ctx context.Context, class string) (string, error) {
	if controller, ok := classControllers()[class]; ok {
		return controller, nil
	}
	found, err := o.get(ctx, classes, "", class)
	if err != nil || found == nil {
		return "", err
	}
	controller := text(found, "spec", "controllerName")
	if controller != meshController && controller != gatewayController {
		return "", nil
	}
	return controller, nil
}

// elsewhere reports whether the Gateway names an address of its own, which istiod then does not deploy anything for.
func elsewhere(gateway *object) bool {
	addresses, _, _ := unstructured.NestedSlice(gateway.Object, "spec", "addresses")
	for _, a := range addresses {
		if content, ok := a.(map[string]any); ok && content["type"] == "Hostname" {
			return true
		}
	}
	return false
}

// infrastructure are the labels or annotations that a Gateway hands on: those of spec.infrastructure, and where it has
// none its own. So an annotation that keeps pods from being ready can stand on the Gateway.
func infrastructure(gateway *object, field string) map[string]string {
	if given := textMap(gateway, "spec", "infrastructure", field); given != nil {
		return given
	}
	own := maps.Clone(textMap(gateway, "metadata", field))
	delete(own, "kubectl.kubernetes.io/last-applied-configuration")
	return own
}

type gatewaySpec struct {
	gateway                        *object
	name, managed, image, revision string
	labels, faults                 map[string]string
}

func gatewayObjects(g gatewaySpec) []rendered {
	namespace := g.gateway.GetNamespace()
	deploymentLabels := maps.Clone(g.labels)
	deploymentLabels["gateway.istio.io/managed"] = g.managed
	podLabels := maps.Clone(deploymentLabels)
	podLabels[routing.LabelInject], podLabels["istio.io/dataplane-mode"] = "false", "none"
	annotations := map[string]string{routing.LabelRevision: g.revision}
	maps.Copy(annotations, infrastructure(g.gateway, "annotations"))
	maps.Copy(annotations, g.faults)
	selector := map[string]string{labelGateway: g.gateway.GetName()}
	ports := []corev1.ServicePort{{Name: "status-port", Port: 15021, TargetPort: intstr.FromInt32(15021), Protocol: corev1.ProtocolTCP}}
	listeners, _, _ := unstructured.NestedSlice(g.gateway.Object, "spec", "listeners")
	for n, l := range listeners {
		content, _ := l.(map[string]any)
		if port, ok := content["port"].(int64); ok {
			ports = append(ports, corev1.ServicePort{Name: fmt.Sprintf("listener-%d", n), Port: int32(port), Protocol: corev1.ProtocolTCP}) //nolint:gosec // a port
		}
	}
	return []rendered{
		render(accounts, corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
			&corev1.ServiceAccount{ObjectMeta: meta(namespace, g.name, g.labels)}),
		render(deployments, appsv1.SchemeGroupVersion.WithKind("Deployment"), &appsv1.Deployment{
			ObjectMeta: meta(namespace, g.name, deploymentLabels),
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: selector},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: annotations},
					Spec: corev1.PodSpec{
						ServiceAccountName: g.name, ReadinessGates: gates(g.faults),
						Containers: []corev1.Container{{Name: "istio-proxy", Image: g.image, Args: []string{"proxy"}}},
					},
				},
			},
		}),
		render(services, corev1.SchemeGroupVersion.WithKind("Service"), &corev1.Service{
			ObjectMeta: meta(namespace, g.name, g.labels), Spec: corev1.ServiceSpec{Selector: selector, Ports: ports},
		}),
	}
}

// setStatus reports a GatewayClass as accepted, and a Gateway, which has addresses, as programmed, too.
func setStatus(ctx context.Context, i istiod, item *object, addresses []any) error {
	kind, kinds, status := classes, []string{"Accepted"}, map[string]any{}
	if addresses != nil {
		kind, kinds = gateways, append(kinds, "Programmed")
		status["addresses"] = addresses
	}
	var list []any
	for _, name := range kinds {
		c := conditionOf(item, name)
		if c.Status != isTrue {
			c.Since = time.Now().UTC().Format(time.RFC3339)
		}
		list = append(list, map[string]any{
			"type": name, "status": isTrue, "reason": name, "message": "handled by istiod of revision " + i.revision,
			"lastTransitionTime": c.Since, "observedGeneration": item.GetGeneration(),
		})
	}
	status["conditions"] = list
	if reflect.DeepEqual(item.Object["status"], any(status)) {
		return nil
	}
	item.Object["status"] = status
	_, err := at(i.client, kind, item.GetNamespace()).UpdateStatus(ctx, item, metav1.UpdateOptions{})
	return err
}
