package routing

// explained is one decision with the sentences that belong to it. in is decided by the real rules, so that a
// sentence can never be tested for a decision that does not happen.
type explained struct {
	in      Input
	reason  Reason
	explain string
	refusal string // where the pod is refused under the default policy
}

func present(v string) Label { return Label{Value: v, Present: true} }

func meshOfSail(extra ...Tag) *Mesh {
	return NewMesh(Objects{
		Revisions: []Revision{
			{Name: "default-v1-29-6", Version: "v1.29.6", Origin: Sail},
			{Name: "default-v1-30-3", Version: "v1.30.3", Origin: Sail},
		},
		Tags: append([]Tag{{Name: "prod", Revision: "default-v1-30-3", Origin: Sail}}, extra...),
	})
}

func meshWithValues(i Injection) *Mesh {
	return NewMesh(Objects{Revisions: []Revision{{Name: "default", Version: "v1.30.3", Origin: Sail, Injection: i}}})
}

func asked(m *Mesh, ns Namespace, pod Pod) Input {
	if ns.Name == "" {
		ns.Name = "bookinfo"
	}
	return Input{Mesh: m, Namespace: ns, Pod: pod}
}

func guardExplained() map[string]explained {
	byDefault := Tag{Name: "default", Revision: "default-v1-30-3", Origin: Sail}
	rev := func(v string) Namespace { return Namespace{Revision: present(v)} }
	enabled := Namespace{Injection: present("enabled")}
	return map[string]explained{
		"istio-injection=enabled follows the default tag": {
			in: asked(meshOfSail(byDefault), enabled, Pod{}), reason: NamespaceInjection,
			explain: "the namespace's label istio-injection=enabled means revision default-v1-30-3 (v1.30.3), through the tag default",
		},
		"the namespace names a revision": {
			in: asked(meshOfSail(), rev("default-v1-29-6"), Pod{}), reason: NamespaceRevision,
			explain: "the namespace's label istio.io/rev=default-v1-29-6 means revision default-v1-29-6 (v1.29.6)",
		},
		"the pod names a tag": {
			in: asked(meshOfSail(), Namespace{}, Pod{Revision: present("prod")}), reason: PodRevision,
			explain: "the pod's label istio.io/rev=prod means revision default-v1-30-3 (v1.30.3), through the tag prod",
		},
		"the pod opts in, and the version is not known": {
			in:      asked(NewMesh(Objects{Revisions: []Revision{{Name: "default"}}}), Namespace{}, Pod{Inject: present("true")}),
			reason:  PodInjection,
			explain: "the pod's label sidecar.istio.io/inject=true means revision default (version unknown)",
		},
		"namespaces are injected by default": {
			in: asked(meshWithValues(Injection{EnableNamespacesByDefault: true}), Namespace{}, Pod{}), reason: NamespacesByDefault,
			explain: "enableNamespacesByDefault of the default revision means revision default (v1.30.3)",
		},
		"the pod opts out by label": {
			in: asked(meshOfSail(), enabled, Pod{Inject: present("false"), ImageAuto: true}), reason: PodOptOut,
			explain: "the pod's label sidecar.istio.io/inject=false opts out",
			refusal: `PodOptOut: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which only ` +
				`injection replaces, and the pod's label sidecar.istio.io/inject=false opts out. ` +
				`Next: take the label sidecar.istio.io/inject=false off the pod template, or set a real image`,
		},
		"the namespace is disabled, and there is a default": {
			in:      asked(meshOfSail(byDefault), Namespace{Injection: present("disabled")}, Pod{ImageAuto: true}),
			reason:  NamespaceDisabled,
			explain: "the namespace's label istio-injection=disabled switches injection off",
			refusal: `NamespaceDisabled: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which ` +
				`only injection replaces, and the namespace's label istio-injection=disabled switches injection off. ` +
				`Next: kubectl label namespace bookinfo istio-injection=enabled --overwrite`,
		},
		"the namespace is disabled by an odd value, and there is one revision to choose": {
			in: asked(NewMesh(Objects{Revisions: []Revision{{Name: "canary", Origin: Sail}}}),
				Namespace{Injection: present("")}, Pod{ImageAuto: true}),
			reason:  NamespaceDisabled,
			explain: `the namespace's label istio-injection="" switches injection off`,
			refusal: `NamespaceDisabled: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which ` +
				`only injection replaces, and the namespace's label istio-injection="" switches injection off. ` +
				`Next: kubectl label namespace bookinfo istio-injection- istio.io/rev=canary --overwrite`,
		},
		"nothing selects the pod, and there is a default": {
			in: asked(meshOfSail(byDefault), Namespace{}, Pod{ImageAuto: true}), reason: NotSelected,
			explain: "no label of the pod or its namespace asks for a sidecar",
			refusal: `NotSelected: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which only ` +
				`injection replaces, and no label of the pod or its namespace asks for a sidecar. Next: set the label ` +
				`istio.io/rev=default in the pod template, or kubectl label namespace bookinfo istio.io/rev=default`,
		},
		"nothing selects the pod, and no name suggests itself": {
			in: asked(meshOfSail(), Namespace{}, Pod{ImageAuto: true}), reason: NotSelected,
			explain: "no label of the pod or its namespace asks for a sidecar",
			refusal: `NotSelected: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which only ` +
				`injection replaces, and no label of the pod or its namespace asks for a sidecar. Next: let the namespace's ` +
				`label istio.io/rev name a revision; for their names, kubectl get istiorevisions,istiorevisiontags`,
		},
		"the pod is on the host's network": {
			in: asked(meshOfSail(), rev("prod"), Pod{HostNetwork: true, ImageAuto: true}), reason: HostNetwork,
			explain: "the pod is on the host's network, and istiod injects no such pod",
			refusal: `HostNetwork: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which only ` +
				`injection replaces, and the pod is on the host's network, and istiod injects no such pod. ` +
				`Next: set hostNetwork to false in the pod template, or a real image`,
		},
		"the namespace is one of Kubernetes' own": {
			in:      asked(meshOfSail(), Namespace{Name: "kube-public", Revision: present("prod")}, Pod{ImageAuto: true}),
			reason:  IgnoredNamespace,
			explain: "istiod injects nothing in the namespace kube-public",
			refusal: `IgnoredNamespace: pod "web-*" in namespace kube-public is refused: a container's image is "auto", ` +
				`which only injection replaces, and istiod injects nothing in the namespace kube-public. ` +
				`Next: deploy it in another namespace, or set a real image`,
		},
		"the pod opts out by annotation": {
			in: asked(meshOfSail(), rev("prod"), Pod{InjectAnnotation: present("false"), ImageAuto: true}), reason: AnnotationOptOut,
			explain: "the pod's annotation sidecar.istio.io/inject=false opts out",
			refusal: `AnnotationOptOut: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which ` +
				`only injection replaces, and the pod's annotation sidecar.istio.io/inject=false opts out. ` +
				`Next: take the annotation sidecar.istio.io/inject=false off the pod template, or set a real image`,
		},
		"a neverInjectSelector matches": {
			in: asked(meshWithValues(Injection{NeverInject: []Selector{{{Key: "job", Operator: OpExists}}}}), enabled,
				Pod{Labels: []Pair{{"job", "x"}}, ImageAuto: true}),
			reason:  NeverInjectSelector,
			explain: "a neverInjectSelector of revision default (v1.30.3) matches the pod",
			refusal: `NeverInjectSelector: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", ` +
				`which only injection replaces, and a neverInjectSelector of revision default (v1.30.3) matches the pod. ` +
				`Next: set the label sidecar.istio.io/inject=true in the pod template`,
		},
		"the revision injects only on request": {
			in: asked(meshWithValues(Injection{AutoInject: "disabled"}), enabled, Pod{ImageAuto: true}), reason: AutoInjectDisabled,
			explain: "revision default (v1.30.3) injects only pods that ask for it (global.proxy.autoInject: disabled)",
			refusal: `AutoInjectDisabled: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which ` +
				`only injection replaces, and revision default (v1.30.3) injects only pods that ask for it ` +
				`(global.proxy.autoInject: disabled). Next: set the label sidecar.istio.io/inject=true in the pod template`,
		},
		"the revision's policy is no policy": {
			in: asked(meshWithValues(Injection{AutoInject: "on"}), enabled, Pod{ImageAuto: true}), reason: AutoInjectInvalid,
			explain: `revision default (v1.30.3) injects nothing: its global.proxy.autoInject is "on", neither enabled nor disabled`,
			refusal: `AutoInjectInvalid: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which ` +
				`only injection replaces, and revision default (v1.30.3) injects nothing: its global.proxy.autoInject is "on", ` +
				`neither enabled nor disabled. Next: set global.proxy.autoInject to enabled in the values of the Istio that ` +
				`owns the revision`,
		},
		"a mirror pod is nobody's to change": {
			in: asked(meshOfSail(), rev("prod"), Pod{Mirror: true}), reason: MirrorPod,
			explain: "the pod mirrors a static pod, which only the kubelet can change",
		},
		"the namespace's label is empty": {
			in: asked(meshOfSail(byDefault), rev(""), Pod{}), reason: EmptyRevision,
			explain: "the namespace's label istio.io/rev is there but empty, which no injector of Istio's matches",
			refusal: `EmptyRevision: pod "web-*" in namespace bookinfo is refused: the namespace's label istio.io/rev is there ` +
				`but empty, which no injector of Istio's matches. The mesh has default, default-v1-29-6, default-v1-30-3 and prod. ` +
				`Next: kubectl label namespace bookinfo istio.io/rev=default --overwrite`,
		},
		"two letters of a tag are swapped": {
			in: asked(meshOfSail(), rev("prdo"), Pod{}), reason: UnknownRevision,
			explain: "the namespace's label istio.io/rev=prdo names neither a revision nor a tag that exists",
			refusal: `UnknownRevision: pod "web-*" in namespace bookinfo is refused: the namespace's label istio.io/rev=prdo ` +
				`names neither a revision nor a tag that exists. The mesh has default-v1-29-6, default-v1-30-3 and prod. ` +
				`Did you mean "prod"? Next: kubectl label namespace bookinfo istio.io/rev=prod --overwrite`,
		},
		"the pod names a version instead of a revision": {
			in: asked(meshOfSail(), Namespace{}, Pod{Revision: present("v1.30.3"), ImageAuto: true}), reason: UnknownRevision,
			explain: "the pod's label istio.io/rev=v1.30.3 names neither a revision nor a tag that exists",
			refusal: `UnknownRevision: pod "web-*" in namespace bookinfo is refused: a container's image is "auto", which only ` +
				`injection replaces, and the pod's label istio.io/rev=v1.30.3 names neither a revision nor a tag that exists. ` +
				`The mesh has default-v1-29-6, default-v1-30-3 and prod. Did you mean "default-v1-30-3"? Next: set the label ` +
				`istio.io/rev=default-v1-30-3 in the pod template, or kubectl get istiorevisions,istiorevisiontags`,
		},
		"the namespace names nothing that is near": {
			in: asked(NewMesh(Objects{Revisions: []Revision{{Name: "1-29", Origin: Webhook}, {Name: "1-30", Origin: Webhook}}}),
				rev("staging"), Pod{}),
			reason:  UnknownRevision,
			explain: "the namespace's label istio.io/rev=staging names neither a revision nor a tag that exists",
			refusal: `UnknownRevision: pod "web-*" in namespace bookinfo is refused: the namespace's label ` +
				`istio.io/rev=staging names neither a revision nor a tag that exists. The mesh has 1-29 and 1-30. ` +
				`Next: kubectl get mutatingwebhookconfigurations -L istio.io/rev,istio.io/tag`,
		},
		"RevisionBased without a default tag, several revisions": {
			in: asked(meshOfSail(), enabled, Pod{}), reason: NoDefaultRevision,
			explain: "the namespace's label istio-injection=enabled asks for the default revision, but neither a revision " +
				"nor a tag is named default",
			refusal: `NoDefaultRevision: pod "web-*" in namespace bookinfo is refused: the namespace's label ` +
				`istio-injection=enabled asks for the default revision, but neither a revision nor a tag is named default. ` +
				`The mesh has default-v1-29-6, default-v1-30-3 and prod. Next: create an IstioRevisionTag named default; ` +
				`for its target, kubectl get istiorevisions,istiorevisiontags`,
		},
		"RevisionBased without a default tag, one revision": {
			in: asked(NewMesh(Objects{Revisions: []Revision{{Name: "r1", Origin: Sail}}}), enabled, Pod{}), reason: NoDefaultRevision,
			explain: "the namespace's label istio-injection=enabled asks for the default revision, but neither a revision " +
				"nor a tag is named default",
			refusal: `NoDefaultRevision: pod "web-*" in namespace bookinfo is refused: the namespace's label ` +
				`istio-injection=enabled asks for the default revision, but neither a revision nor a tag is named default. ` +
				`The mesh has r1. Next: create an IstioRevisionTag named default, or kubectl label namespace bookinfo ` +
				`istio-injection- istio.io/rev=r1 --overwrite`,
		},
		"the tag's revision is gone": {
			in: asked(meshOfSail(Tag{Name: "old", Revision: "default-v1-28-1", Origin: Sail}), rev("old"), Pod{}), reason: DanglingTag,
			explain: "the namespace's label istio.io/rev=old asks for the tag old, which points at the revision " +
				"default-v1-28-1 that does not exist",
			refusal: `DanglingTag: pod "web-*" in namespace bookinfo is refused: the namespace's label istio.io/rev=old asks ` +
				`for the tag old, which points at the revision default-v1-28-1 that does not exist. ` +
				`The mesh has default-v1-29-6, default-v1-30-3 and prod. Next: kubectl get istiorevisiontag old -o yaml`,
		},
		"the tag was never reconciled": {
			in: asked(meshOfSail(Tag{Name: "new", TargetKind: "Istio", TargetName: "mesh", Origin: Sail}),
				Namespace{}, Pod{Revision: present("new")}),
			reason: DanglingTag,
			explain: "the pod's label istio.io/rev=new asks for the tag new, which was never given a revision by its target, " +
				"the Istio mesh",
			refusal: `DanglingTag: pod "web-*" in namespace bookinfo is refused: the pod's label istio.io/rev=new asks for the ` +
				`tag new, which was never given a revision by its target, the Istio mesh. ` +
				`The mesh has default-v1-29-6, default-v1-30-3 and prod. Next: kubectl get istiorevisiontag new -o yaml`,
		},
		"there is no mesh": {
			in: asked(NewMesh(Objects{}), enabled, Pod{}), reason: NoMesh,
			explain: "the namespace's label istio-injection=enabled asks for a sidecar, but the cluster holds no revision " +
				"of Istio at all",
			refusal: `NoMesh: pod "web-*" in namespace bookinfo is refused: the namespace's label istio-injection=enabled asks ` +
				`for a sidecar, but the cluster holds no revision of Istio at all. ` +
				`Next: install Istio, or kubectl label namespace bookinfo istio-injection-`,
		},
	}
}
