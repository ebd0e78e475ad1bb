{{/* What a router in mode forward reads where a control plane is: in a Role, or for all namespaces in the ClusterRole. */}}
{{- define "revision-router.injectorRules" -}}
# Whether an injector has a ready endpoint.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
# The CA of an injector without a webhook of its own. list and watch of one name: see the Secret in the Role.
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [istio-ca-root-cert]
  verbs: [list, watch]
{{- end -}}
