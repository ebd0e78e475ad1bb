{{/*
The annotation that says who writes the CA bundles of both configurations, where it is not the router: cert-manager's
cainjector goes by it. Renders nothing otherwise.
*/}}
{{- define "revision-router.caInjection" -}}
{{- if eq .Values.certs.provider "cert-manager" -}}
cert-manager.io/inject-ca-from: {{ include "revision-router.namespace" . }}/{{ include "revision-router.tlsSecret" . }}
{{- end -}}
{{- end -}}

{{/* The caBundle of a webhook where it is a value: with the other providers no manifest ever holds the field. */}}
{{- define "revision-router.caBundle" -}}
{{- if eq .Values.certs.provider "secret" -}}
caBundle: {{ .Values.certs.secret.caBundle | trim | printf "%s\n" | b64enc }}
{{- end -}}
{{- end -}}

{{/*
What all entries about pods have in common. Takes a list: the root context, the last element of the path, and the
failurePolicy.

matchPolicy Equivalent: a pod that is created through another version of the API would still be seen.
sideEffects None: true for dry runs as well, since deciding writes nothing.
failurePolicy Ignore, the default of mode guard, fails open: without the router pods start as if it had never been
installed. Fail, that of mode forward, fails closed: they would start without a sidecar otherwise.
reinvocationPolicy IfNeeded, the default: a later webhook may change the labels that were judged, and only a second
look sees what the pod ends up with; it changes nothing where they are the same. A webhook is never called for the
first time in the second round, so this does not make up for a configuration that sorts after Istio's.
*/}}
{{- define "revision-router.webhook" -}}
{{- $root := index . 0 -}}
admissionReviewVersions: [v1]
clientConfig:
  {{- with include "revision-router.caBundle" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  service:
    name: {{ include "revision-router.fullname" $root }}
    namespace: {{ include "revision-router.namespace" $root }}
    path: /mutate-v1-pod/{{ index . 1 }}
    port: 443
rules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [pods]
    scope: Namespaced
matchPolicy: Equivalent
sideEffects: None
failurePolicy: {{ index . 2 }}
reinvocationPolicy: {{ $root.Values.webhook.reinvocationPolicy }}
timeoutSeconds: {{ include "revision-router.timeoutSeconds" $root }}
{{- end -}}

{{/*
One entry about pods, or two of it where the router fails closed: what no injector of Istio's touches must not wait for a
router that is away, and still gets the router's opinion where one answers. That are pods in the node's network and pods
that opt out by their label, by istiod's own rules (pkg/kube/inject, injectRequired), and mirrors of static pods, which
run whatever is answered. An expression that fails counts as the entry's failurePolicy says, so these cannot fail: every field
is optional in them.

Takes a dict: root; entry, which names the path; namespaces and objects, the requirements beside those of all entries; asks,
what the pod's label has to say to be injected, in CEL.
*/}}
{{- define "revision-router.podEntry" -}}
{{- $entry := . -}}
{{- $mayBeInjected := printf "%s && %s && object.metadata.?labels[?\"sidecar.istio.io/inject\"].orValue(\"\") %s"
  "!object.spec.?hostNetwork.orValue(false)" "!object.metadata.?annotations[?\"kubernetes.io/config.mirror\"].hasValue()" .asks -}}
{{- if eq (include "revision-router.failurePolicy" .root) "Fail" -}}
{{- $fails := dict "name" .entry "failurePolicy" "Fail" "condition" "may-be-injected" "expression" $mayBeInjected -}}
{{- $open := dict "name" (printf "%s-unasked" .entry) "failurePolicy" "Ignore" "condition" "never-injected" "expression" (printf "!(%s)" $mayBeInjected) -}}
{{- range list $fails $open }}
{{ include "revision-router.podWebhook" (merge . $entry) }}
{{- end -}}
{{- else }}
{{ include "revision-router.podWebhook" (merge (dict "name" .entry "failurePolicy" "Ignore") $entry) }}
{{- end -}}
{{- end -}}

{{- define "revision-router.podWebhook" -}}
- name: {{ .name }}.pods.revision-router.io
  {{- include "revision-router.webhook" (list .root .entry .failurePolicy) | nindent 2 }}
  namespaceSelector:
    matchExpressions:
      {{- include "revision-router.notExempt" .root | nindent 6 }}
      {{- .namespaces | nindent 6 }}
  objectSelector:
    matchExpressions:
      {{- include "revision-router.notOwn" .root | nindent 6 }}
      {{- with .objects }}
      {{- . | nindent 6 }}
      {{- end }}
  {{- with .condition }}
  matchConditions:
    - name: {{ . }}
      expression: {{ $.expression | quote }}
  {{- end }}
{{- end -}}

{{/* Namespaces that must start while the router is down: its own, the system's, those of control planes. */}}
{{- define "revision-router.notExempt" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    {{- include "revision-router.exemptNamespaces" . | nindent 4 }}
{{- end -}}

{{/*
The router's own pods and istiod's, wherever they run: with failurePolicy Fail a router that waits for itself, or for
an istiod that waits for it, would never start. Whoever puts such a label on a pod of their own only does without the
router's check of that pod: Istio's webhooks do not look at these labels.
*/}}
{{- define "revision-router.notOwn" -}}
- key: app.kubernetes.io/name
  operator: NotIn
  values:
    - {{ include "revision-router.name" . }}
- key: app
  operator: NotIn
  values:
    - istiod
{{- end -}}

{{/* The router's own namespace, which must be creatable and repairable before there is a router, and the platform's. */}}
{{- define "revision-router.notOwnNamespace" -}}
- key: kubernetes.io/metadata.name
  operator: NotIn
  values:
    {{- list (include "revision-router.namespace" .) "kube-system" | uniq | sortAlpha | toYaml | nindent 4 }}
{{- end -}}

{{/*
What all entries about changes of the mesh have in common. Takes a list: the root context, and the entry's name in
changes.perHook.

failurePolicy Ignore, the default, fails open: while no router answers, nobody is kept from repairing a mesh, and the
operator from reconciling it. Fail is for those who would rather have no change than one that nobody judged.
sideEffects None: true for dry runs as well, since judging writes nothing.
matchPolicy Equivalent: a change through another version of the API would still be seen.
*/}}
{{- define "revision-router.changeWebhook" -}}
{{- $root := index . 0 -}}
{{- $changes := $root.Values.changes -}}
{{- $own := get $changes.perHook (index . 1) -}}
admissionReviewVersions: [v1]
clientConfig:
  {{- with include "revision-router.caBundle" $root }}
  {{- . | nindent 2 }}
  {{- end }}
  service:
    name: {{ include "revision-router.fullname" $root }}
    namespace: {{ include "revision-router.namespace" $root }}
    path: /validate-mesh-change
    port: 443
matchPolicy: Equivalent
sideEffects: None
failurePolicy: {{ default $changes.failurePolicy $own.failurePolicy }}
timeoutSeconds: {{ default $changes.timeoutSeconds $own.timeoutSeconds | int }}
{{- end -}}

{{/* Whether any of the entries about changes fails closed; empty where none does. */}}
{{- define "revision-router.changesFailClosed" -}}
{{- with .Values.changes -}}
{{- $changes := . -}}
{{- range $name, $own := .perHook -}}
{{- if eq (default $changes.failurePolicy $own.failurePolicy) "Fail" -}}
true
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
