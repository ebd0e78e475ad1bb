package sail

import (
	"maps"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/revision-router/revision-router/routing"
	"github.com/revision-router/revision-router/test/injector"
)

// hub is where Istio's images are. Nothing is pulled.
const hub = "registry.istio.io/release/"

// release is what Helm's labels on an object tell of the chart that it comes from.
type release struct{ name, chart, app, version string }

// labels are those that all objects of the charts have.
func (r release) labels(more map[string]string) map[string]string {
	labels := map[string]string{
		"app.kubernetes.io/instance": r.name, "app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/name": r.app,
		"app.kubernetes.io/part-of": "istio", "app.kubernetes.io/version": r.version, "helm.sh/chart": r.chart,
		"managed-by": operatorName,
	}
	maps.Copy(labels, more)
	return labels
}

// bare is a version as charts and images have it.
func bare(version string) string { return strings.TrimPrefix(version, "v") }

// image is one of Istio's; the profiles of ambient mode choose its smaller variant.
func image(name, version string, distroless bool) string {
	if distroless {
		version += "-distroless"
	}
	return hub + name + ":" + version
}

func isAmbient(profile string) bool { return profile == "ambient" || profile == "openshift-ambient" }

func istiodName(revision *object) string { return istiodOf(revision.GetName()) }

func istiodOf(revision string) string { return "istiod" + suffixOf(revision) }

// suffixOf is what the names of a revision's objects end with: nothing for the one without a name.
func suffixOf(revision string) string {
	if revision == routing.DefaultRevision {
		return ""
	}
	return "-" + revision
}

func meta(namespace, name string, labels map[string]string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}
}

// istiodChart is the chart istio-discovery, and for the revision "default" the chart base.
func (o *Operator) istiodChart(revision *object) []rendered {
	name, namespace, version := revision.GetName(), namespaceOf(revision), bare(text(revision, "spec", "version"))
	r := release{name: name + "-istiod", chart: "istiod-" + version, app: "istiod", version: version}
	labels := r.labels(map[string]string{
		"app": "istiod", "istio": "pilot", routing.LabelRevision: name,
		"operator.istio.io/component": "Pilot", "release": r.name,
	})
	selector := map[string]string{"app": "istiod", routing.LabelRevision: name}
	if name == routing.DefaultRevision {
		selector = map[string]string{"istio": "pilot"}
	}
	chart := []rendered{
		render(accounts, corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
			&corev1.ServiceAccount{ObjectMeta: meta(namespace, istiodName(revision), r.labels(nil))}),
		istiodDeployment(revision, r, istiodLabels{labels, selector}, o.faultsOf(Istiod, version)),
		istiodService(meta(namespace, istiodName(revision), labels), name),
		render(budgets, policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), &policyv1.PodDisruptionBudget{
			ObjectMeta: meta(namespace, istiodName(revision), labels),
			Spec: policyv1.PodDisruptionBudgetSpec{
				MinAvailable: new(intstr.FromInt32(1)), Selector: &metav1.LabelSelector{MatchLabels: selector},
			},
		}),
		o.validator(revision, r, "istio-validator"+suffixOf(name)+"-"+namespace),
		istiodRights(namespace, name, r),
	}
	if !boolean(revision, "spec", "values", "global", "operatorManageWebhooks") {
		chart = append(chart, o.webhooks(injector.RevisionConfiguration(o.target(revision)), r))
	}
	if name == routing.DefaultRevision {
		chart = append(chart, o.validator(revision, base(name, version), "istiod-default-validator"))
	}
	return chart
}

func base(name, version string) release {
	return release{name: name + "-base", chart: "base-" + version, app: "istiod", version: version}
}

// istiodLabels are those of the chart's objects, and those that select the pods.
type istiodLabels struct{ object, selector map[string]string }

// istiodDeployment follows these values: pilot.replicaCount (or autoscaleMin) and pilot.podAnnotations, with which a
// test keeps pods from being ready.
func istiodDeployment(revision *object, r release, labels istiodLabels, faults map[string]string) rendered {
	name := revision.GetName()
	podLabels := r.labels(map[string]string{
		"app": "istiod", "istio": "istiod", routing.LabelRevision: name, routing.LabelInject: "false",
		"istio.io/dataplane-mode": "none", "operator.istio.io/component": "Pilot",
	})
	delete(podLabels, "managed-by")
	maps.Copy(podLabels, labels.selector)
	annotations := map[string]string{"prometheus.io/port": "15014", "prometheus.io/scrape": "true", routing.LabelInject: "false"}
	maps.Copy(annotations, textMap(revision, "spec", "values", "pilot", "podAnnotations"))
	maps.Copy(annotations, faults)
	replicas := number(revision, 1, "spec", "values", "pilot", "autoscaleMin")
	replicas = number(revision, replicas, "spec", "values", "pilot", "replicaCount")
	surge, unavailable := intstr.FromString("100%"), intstr.FromString("25%")
	return render(deployments, appsv1.SchemeGroupVersion.WithKind("Deployment"), &appsv1.Deployment{
		ObjectMeta: meta(namespaceOf(revision), istiodName(revision), labels.object),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(replicas)), //nolint:gosec // a handful
			Selector: &metav1.LabelSelector{MatchLabels: labels.selector},
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxSurge: &surge, MaxUnavailable: &unavailable},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: podLabels, Annotations: annotations},
				Spec: corev1.PodSpec{
					ServiceAccountName: istiodName(revision), ReadinessGates: gates(faults),
					Containers: []corev1.Container{{
						Name: "discovery", Image: image("pilot", r.version, isAmbient(text(revision, "spec", "values", "profile"))), Args: []string{"discovery"},
						Env: []corev1.EnvVar{{Name: "REVISION", Value: name}},
						ReadinessProbe: &corev1.Probe{
							ProbeHandler:        corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/ready", Port: intstr.FromInt32(8080)}},
							InitialDelaySeconds: 1, PeriodSeconds: 3, TimeoutSeconds: 5,
						},
					}},
				},
			},
		},
	})
}

// istiodService is the Service of a revision, or of a tag, which selects the pods of a revision.
func istiodService(metadata metav1.ObjectMeta, revision string) rendered {
	selector := map[string]string{"app": "istiod", routing.LabelRevision: revision}
	if revision == routing.DefaultRevision {
		selector = map[string]string{"app": "istiod", "istio": "pilot"}
	}
	port := func(name string, number, to int32) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, TargetPort: intstr.FromInt32(to), Protocol: corev1.ProtocolTCP}
	}
	return render(services, corev1.SchemeGroupVersion.WithKind("Service"), &corev1.Service{
		ObjectMeta: metadata,
		Spec: corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{
			port("grpc-xds", 15010, 15010), port("https-dns", 15012, 15012),
			port("https-webhook", 443, 15017), port("http-monitoring", 15014, 15014),
		}},
	})
}

// target is where the webhooks of a revision lead. The CA bundle is istiod's to write.
func (o *Operator) target(revision *object) injector.Target {
	to := injector.Target{
		Revision:            revision.GetName(),
		NamespacesByDefault: boolean(revision, "spec", "values", "sidecarInjectorWebhook", "enableNamespacesByDefault"),
	}
	if o.options.Inject != nil {
		to.ClientConfig = o.options.Inject(revision.GetName(), text(revision, "spec", "version"))
		to.ClientConfig.CABundle = nil
		return to
	}
	to.ClientConfig.Service = &admissionregistrationv1.ServiceReference{
		Namespace: namespaceOf(revision), Name: istiodName(revision), Path: new("/inject"), Port: new(int32(443)),
	}
	return to
}

// webhooks adds Helm's labels to a configuration, which has Istio's already.
func (o *Operator) webhooks(c *admissionregistrationv1.MutatingWebhookConfiguration, r release) rendered {
	labels := r.labels(map[string]string{"operator.istio.io/component": "Pilot", "release": r.name})
	maps.Copy(labels, c.Labels)
	c.Labels = labels
	return render(mutating, admissionregistrationv1.SchemeGroupVersion.WithKind("MutatingWebhookConfiguration"), c)
}

// tagChart is the chart revisiontags, and for the tag "default" the chart base.
func (o *Operator) tagChart(tag, revision *object) []rendered {
	name, version := tag.GetName(), bare(text(revision, "spec", "version"))
	r := release{name: name + "-revisiontags", chart: "revisiontags-0.1.0", app: "istiod", version: version}
	labels := r.labels(map[string]string{
		"app": "istiod", "istio": "pilot", routing.LabelRevision: revision.GetName(), routing.LabelTag: name,
		"operator.istio.io/component": "Pilot", "release": r.name,
	})
	chart := []rendered{istiodService(meta(namespaceOf(revision), "istiod-revision-tag-"+name, labels), revision.GetName())}
	if !boolean(revision, "spec", "values", "global", "operatorManageWebhooks") {
		chart = append(chart, o.webhooks(injector.TagConfiguration(name, o.target(revision)), r))
	}
	if name == routing.DefaultRevision {
		chart = append(chart, o.validator(revision, base(name, version), "istiod-default-validator"))
	}
	return chart
}

// validator is the configuration by which istiod validates Istio's own resources. The chart says failurePolicy Ignore,
// for istiod to change; the operator leaves the field out, so that it is Fail from the start.
func (o *Operator) validator(revision *object, r release, name string) rendered {
	hook := admissionregistrationv1.ValidatingWebhook{
		Name: "validation.istio.io",
		ClientConfig: admissionregistrationv1.WebhookClientConfig{Service: &admissionregistrationv1.ServiceReference{
			Namespace: namespaceOf(revision), Name: istiodName(revision), Path: new("/validate"), Port: new(int32(443)),
		}},
		Rules: []admissionregistrationv1.RuleWithOperations{{
			Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create, admissionregistrationv1.Update},
			Rule: admissionregistrationv1.Rule{
				APIGroups:   []string{"security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"},
				APIVersions: []string{"*"}, Resources: []string{"*"},
			},
		}},
		FailurePolicy: new(admissionregistrationv1.Fail), SideEffects: new(admissionregistrationv1.SideEffectClassNone),
		AdmissionReviewVersions: []string{"v1"},
	}
	if o.webhookServer != nil {
		hook.ClientConfig = admissionregistrationv1.WebhookClientConfig{URL: new(o.webhookServer.URL + validatePath + revision.GetName())}
	}
	if name != "istiod-default-validator" {
		hook.Name = "rev.validation.istio.io"
		hook.ObjectSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
			Key: routing.LabelRevision, Operator: metav1.LabelSelectorOpIn, Values: []string{revision.GetName()},
		}}}
	}
	return render(validating, admissionregistrationv1.SchemeGroupVersion.WithKind("ValidatingWebhookConfiguration"),
		&admissionregistrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: r.labels(map[string]string{
				"app": "istiod", "istio": "istiod", routing.LabelRevision: revision.GetName(), "release": r.name,
			})},
			Webhooks: []admissionregistrationv1.ValidatingWebhook{hook},
		})
}
