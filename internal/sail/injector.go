package sail

import (
	"slices"
	"strings"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/revision-router/revision-router/routing"
)

const (
	// injectorSuffix ends the name of every injector webhook of Istio's; istiod itself knows them by it
	// (pkg/webhooks/webhookpatch.go).
	injectorSuffix = "sidecar-injector.istio.io"
	// injectorAuto is the webhook that exists only with enableNamespacesByDefault.
	injectorAuto = "auto." + injectorSuffix
	// labelDeactivated is on no object. istioctl makes the webhooks of the default revision select it once a tag
	// named default takes their place (istioctl/pkg/tag, DeactivateIstioInjectionWebhook).
	labelDeactivated = "istio.io/deactivated"
)

// Injector is what counts of an injector webhook configuration that no Sail object owns: of plain Istio, or of
// istioctl tag. Its labels alone say which names it serves; [Inventory] makes revisions and tags of it.
type Injector struct {
	// Revision is the label istio.io/rev, Tag the label istio.io/tag, empty on a revision's own configuration.
	Revision, Tag string
	// Namespace of the control plane; empty where the webhook is called by URL.
	Namespace string
	// Deactivated: every webhook selects what no object carries, so that the configuration serves no name.
	Deactivated bool
	// NamespacesByDefault: pods without any label are injected, too, where the name that is served is default.
	NamespacesByDefault bool
	Created             time.Time
	UID                 string
	Deleting            bool
}

// FromWebhookConfiguration reads a configuration. It returns false for one that names no revision or holds no
// injector, and for one that an object of the Sail Operator owns: that object alone says what there is. A
// configuration that outlives its IstioRevision or IstioRevisionTag, for the moment until it is collected or for
// good after the operator was removed, must not bring the name back; nor may the configuration of an object that
// lost its name to an older one.
func FromWebhookConfiguration(c *admissionregistrationv1.MutatingWebhookConfiguration) (Injector, bool) {
	revision := c.Labels[routing.LabelRevision]
	if revision == "" || slices.ContainsFunc(c.OwnerReferences, ofSail) {
		return Injector{}, false
	}
	in := Injector{
		Revision:    revision,
		Tag:         c.Labels[routing.LabelTag],
		Deactivated: true,
		Created:     c.CreationTimestamp.UTC(),
		UID:         string(c.UID),
		Deleting:    c.DeletionTimestamp != nil,
	}
	found := false
	for i := range c.Webhooks {
		w := &c.Webhooks[i]
		if !strings.HasSuffix(w.Name, injectorSuffix) {
			continue
		}
		found = true
		if s := w.ClientConfig.Service; s != nil && in.Namespace == "" {
			in.Namespace = s.Namespace
		}
		if neverMatches(w.NamespaceSelector) || neverMatches(w.ObjectSelector) {
			continue
		}
		in.Deactivated = false
		if w.Name == injectorAuto {
			in.NamespacesByDefault = true
		}
	}
	return in, found
}

// neverMatches recognises the selector that istioctl deactivates a webhook with, in either notation and with
// whatever value.
func neverMatches(s *metav1.LabelSelector) bool {
	if s == nil {
		return false
	}
	if _, ok := s.MatchLabels[labelDeactivated]; ok {
		return true
	}
	return slices.ContainsFunc(s.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
		return r.Key == labelDeactivated && r.Operator == metav1.LabelSelectorOpIn
	})
}

// ownName reports whether the configuration serves the revision under its own name. istioctl install writes the
// default revision's own names into a tag that is named like it, and deactivates the revision's configuration.
func (in Injector) ownName() bool { return in.Tag == "" || in.Tag == in.Revision }

func (in Injector) revision(version string) routing.Revision {
	return routing.Revision{
		Name:      in.Revision,
		Version:   version,
		Namespace: in.Namespace,
		Origin:    routing.Webhook,
		Created:   in.Created,
		UID:       in.UID,
		Deleting:  in.Deleting,
		// Its name leads pods nowhere, or to the tag that took it; other tags still lead to it.
		Deactivated: in.Deactivated,
		Injection:   routing.Injection{EnableNamespacesByDefault: in.NamespacesByDefault},
	}
}

func (in Injector) tag() routing.Tag {
	return routing.Tag{
		Name:     in.Tag,
		Revision: in.Revision,
		Origin:   routing.Webhook,
		Created:  in.Created,
		UID:      in.UID,
		Deleting: in.Deleting,
	}
}
