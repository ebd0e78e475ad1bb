{{/* Where everything of the release is, the router's own namespace. */}}
{{- define "revision-router.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{/* Name of the application, in the label app.kubernetes.io/name. */}}
{{- define "revision-router.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 54 | trimSuffix "-" -}}
{{- end -}}

{{/*
Name of the objects. Names of Services have at most 63 characters, and the longest suffix, -metrics, takes 8.
*/}}
{{- define "revision-router.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "revision-router.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 54 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 54 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
The name is the same in every install: mutating webhooks are called in order of their configuration's name, and the
router must come before istio-revision-tag-* and istio-sidecar-injector*. It also makes a second install in one
cluster fail, since Helm does not take over an object of another release.
*/}}
{{- define "revision-router.mutatingWebhook" -}}
0-istio-revision-router
{{- end -}}

{{/* Fixed so that a second install fails here too. Validating webhooks are called all at once, so this one needs no prefix. */}}
{{- define "revision-router.validatingWebhook" -}}
istio-revision-router
{{- end -}}

{{- define "revision-router.serviceAccountName" -}}
{{- default (include "revision-router.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "revision-router.caSecret" -}}
{{- printf "%s-ca" (include "revision-router.fullname" .) -}}
{{- end -}}

{{/* The Secret with the serving certificate where the router does not keep it itself. With cert-manager also the Certificate. */}}
{{- define "revision-router.tlsSecret" -}}
{{- if eq .Values.certs.provider "secret" -}}
{{- .Values.certs.secret.name -}}
{{- else -}}
{{- printf "%s-tls" (include "revision-router.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Labels that never change in the life of a release. */}}
{{- define "revision-router.selectorLabels" -}}
app.kubernetes.io/name: {{ include "revision-router.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "revision-router.labels" -}}
{{- $fixed := include "revision-router.selectorLabels" . | fromYaml -}}
{{- $_ := set $fixed "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63) -}}
{{- $_ := set $fixed "app.kubernetes.io/version" .Chart.AppVersion -}}
{{- $_ := set $fixed "app.kubernetes.io/managed-by" .Release.Service -}}
{{- mergeOverwrite (dict) .Values.commonLabels $fixed | toYaml -}}
{{- end -}}

{{/*
Labels of the pods. sidecar.istio.io/inject=false keeps every injector of Istio's away, whatever the labels of the
namespace are: a router with a sidecar could not start while istiod is down, and the API server does not speak mTLS.
Nothing here changes with the chart's version, so that an upgrade that changes no pod restarts none.
*/}}
{{- define "revision-router.podLabels" -}}
{{- $fixed := include "revision-router.selectorLabels" . | fromYaml -}}
{{- $optOut := dict "sidecar.istio.io/inject" "false" -}}
{{- mergeOverwrite (dict) .Values.commonLabels .Values.podLabels $optOut $fixed | toYaml -}}
{{- end -}}

{{/*
The annotations of an object, or nothing. Takes a list: the root context, then the annotations that the object has
beside those of all objects; later ones win.
*/}}
{{- define "revision-router.annotations" -}}
{{- $root := index . 0 -}}
{{- $all := deepCopy $root.Values.commonAnnotations -}}
{{- range rest . -}}
{{- $all = mergeOverwrite $all (deepCopy .) -}}
{{- end -}}
{{- with $all -}}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{- define "revision-router.image" -}}
{{- with .Values.image -}}
{{- $repository := ternary (printf "%s/%s" (trimSuffix "/" .registry) .repository) .repository (ne .registry "") -}}
{{- if .digest -}}
{{- printf "%s@%s" $repository .digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default $.Chart.AppVersion .tag) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
Nine tenths of the memory limit in bytes: the collector then works harder before the kernel kills the process. The
schema admits only quantities that this reads.
*/}}
{{- define "revision-router.goMemLimit" -}}
{{- $quantity := . -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $quantity -}}
{{- $unit := get $units (trimPrefix $number $quantity) -}}
{{- mulf (float64 $number) (float64 $unit) 0.9 | int64 -}}
{{- end -}}

{{/* OpenShift assigns user and group itself and refuses pods that name others. */}}
{{- define "revision-router.podSecurityContext" -}}
{{- if or (eq .Values.platform "openshift") (and (eq .Values.platform "") (.Capabilities.APIVersions.Has "security.openshift.io/v1")) -}}
{{- omit .Values.podSecurityContext "runAsUser" "runAsGroup" "fsGroup" | toYaml -}}
{{- else -}}
{{- toYaml .Values.podSecurityContext -}}
{{- end -}}
{{- end -}}

{{/*
Namespaces that are never intercepted, in a fixed order. Where the router's certificate comes from cert-manager, that too,
so that neither waits for the other, whatever the values say; in mode forward likewise the control planes'.
*/}}
{{- define "revision-router.exemptNamespaces" -}}
{{- $always := list (include "revision-router.namespace" .) "kube-node-lease" "kube-public" "kube-system" -}}
{{- if eq .Values.certs.provider "cert-manager" -}}
{{- $always = append $always "cert-manager" -}}
{{- end -}}
{{- if eq .Values.mode "forward" -}}
{{- $always = concat $always .Values.forward.controlPlaneNamespaces -}}
{{- end -}}
{{- concat $always .Values.exemptNamespaces | uniq | sortAlpha | toYaml -}}
{{- end -}}

{{/* What --exclude-namespace takes: the namespaces that every entry of the webhook configuration leaves out. */}}
{{- define "revision-router.excludedNamespaces" -}}
{{- include "revision-router.exemptNamespaces" . | fromYamlArray | join "," -}}
{{- end -}}

{{/* How many pods there are at least. */}}
{{- define "revision-router.replicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicaCount .Values.autoscaling.enabled | int -}}
{{- end -}}

{{- define "revision-router.failurePolicy" -}}
{{- default (ternary "Fail" "Ignore" (eq .Values.mode "forward")) .Values.webhook.failurePolicy -}}
{{- end -}}

{{- define "revision-router.timeoutSeconds" -}}
{{- default (ternary 10 3 (eq .Values.mode "forward")) .Values.webhook.timeoutSeconds | int -}}
{{- end -}}

{{/* Whether the API server's certificate is asked for; empty where it is not. */}}
{{- define "revision-router.clientCA" -}}
{{- with .Values.server.clientCA -}}
{{- if or .configMap .secret -}}
true
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The constraints of the values, each with a selector; empty where there are none. */}}
{{- define "revision-router.topologySpreadConstraints" -}}
{{- $own := dict "labelSelector" (dict "matchLabels" (include "revision-router.selectorLabels" . | fromYaml)) -}}
{{- $constraints := list -}}
{{- range .Values.topologySpreadConstraints -}}
{{- $constraints = append $constraints (merge (dict) . $own) -}}
{{- end -}}
{{- if $constraints -}}
{{- toYaml $constraints -}}
{{- end -}}
{{- end -}}
