package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/revision-router/revision-router/internal/manifest"
)

// defaultPageSize is how many objects are asked for at a time: kubectl's choice, small enough for the API server.
const defaultPageSize = 500

// readCluster lists every kind that is read.
func (o *sourceOptions) readCluster(ctx context.Context) (*manifest.Set, error) {
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	l := lister{
		client:   client,
		to:       manifest.NewCollector(manifest.CollectOptions{Live: true, Purpose: o.purpose, Precedence: o.precedence}),
		pageSize: cmp.Or(o.pageSize, defaultPageSize),
	}
	for _, what := range o.lists() {
		if err = l.list(ctx, what); err != nil {
			break
		}
	}
	set, problems := l.to.Finish()
	if err != nil {
		return nil, err
	}
	return set, problems
}

// list is one list to ask for.
type list struct {
	resource manifest.Resource
	path     string
	// params are query parameters and their values.
	params map[string]string
}

// lists are all that are needed.
func (o *sourceOptions) lists() []list {
	var out []list
	for _, r := range manifest.Resources(o.purpose) {
		if !slices.Contains(o.without, r.Kind) {
			out = append(out, o.listsOf(r)...)
		}
	}
	return out
}

// listsOf are those that hold what is needed of a resource. For one namespace that is this namespace, and the
// istiod Deployments wherever they are, which alone know the versions of plain Istio, and where the router injects
// the EndpointSlices.
func (o *sourceOptions) listsOf(r manifest.Resource) []list {
	all := list{resource: r, path: r.Path("")}
	switch {
	case o.purpose == manifest.ForSkew:
		return o.selected(all)
	case o.namespace == "", r.Kind == "EndpointSlice":
		return []list{all}
	case r.Namespaced:
		own := list{resource: r, path: r.Path(o.namespace)}
		if r.Kind != "Deployment" {
			return []list{own}
		}
		all.params = map[string]string{"labelSelector": "app=istiod"}
		return []list{all, own}
	case r.Kind == "Namespace":
		all.params = map[string]string{"fieldSelector": "metadata.name=" + o.namespace}
	}
	return []list{all}
}

// selected are the lists of what matters of a resource, in all namespaces: rules look at the mesh as a whole.
func (o *sourceOptions) selected(all list) []list {
	all.params = map[string]string{}
	if all.resource.Fields != "" {
		all.params["fieldSelector"] = all.resource.Fields
	}
	if len(all.resource.Selectors) == 0 || slices.Contains(o.whole, all.resource.Kind) {
		return []list{all}
	}
	var out []list
	for _, selector := range all.resource.Selectors {
		one := all
		one.params = maps.Clone(all.params)
		one.params["labelSelector"] = selector
		out = append(out, one)
	}
	return out
}

// kubeconfigured is the configuration that kubectl would use.
func (o *sourceOptions) kubeconfigured() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.kubeconfig
	overrides := &clientcmd.ConfigOverrides{CurrentContext: o.context}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides)
}

// defaultNamespace is that of objects that name none: as given, else as in the context of the cluster.
func (o *sourceOptions) defaultNamespace() (string, error) {
	if o.namespace != "" || o.offline() {
		return o.namespace, nil
	}
	if _, err := o.client(); err != nil {
		return "", err // which tells more than what follows
	}
	namespace, _, err := o.kubeconfigured().Namespace()
	if err != nil {
		return "", explainKubeconfig(err)
	}
	return namespace, nil
}

func explainKubeconfig(err error) error {
	return fmt.Errorf("reading the kubeconfig: %w; for the contexts there are, kubectl config get-contexts", err)
}

// client connects to the cluster that kubectl would use.
func (o *sourceOptions) client() (rest.Interface, error) {
	config, err := o.kubeconfigured().ClientConfig()
	switch {
	case clientcmd.IsEmptyConfig(err):
		return nil, errors.New("no cluster to read: no kubeconfig was found; " +
			"name one with --kubeconfig, or read manifests with --filename")
	case err != nil:
		return nil, explainKubeconfig(err)
	}
	config = rest.CopyConfig(config)
	// Pages are asked for one after the other, so that the client's own limit would only slow them down.
	config.QPS = -1
	config.GroupVersion = &schema.GroupVersion{}
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	client, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", config.Host, err)
	}
	return client, nil
}

// lister passes the pages of lists on as the API server wrote them.
type lister struct {
	client   rest.Interface
	to       *manifest.Collector
	pageSize int
}

// list reads one list to its end. A kind that the cluster does not have is no mistake.
func (l *lister) list(ctx context.Context, what list) error {
	next, limit := "", l.pageSize
	for {
		page, err := l.page(ctx, what, next, limit)
		switch {
		case apierrors.IsNotFound(err):
			return nil
		case apierrors.IsResourceExpired(err) && next != "":
			// The snapshot behind the pages is gone: once more, in one piece. Objects that came before are the
			// same ones again, and the later ones count.
			next, limit = "", 0
			continue
		case err != nil:
			return explainList(what, err)
		}
		var head struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(page, &head); err != nil {
			return fmt.Errorf("the list of %s is no JSON: %w", what.resource.Plural, err)
		}
		if err := l.to.Add(ctx, "GET "+what.path, bytes.NewReader(page)); err != nil {
			return fmt.Errorf("reading %s: %w", what.resource.Plural, err)
		}
		if next = head.Metadata.Continue; next == "" {
			return nil
		}
	}
}

func (l *lister) page(ctx context.Context, what list, next string, limit int) ([]byte, error) {
	request := l.client.Get().AbsPath(what.path).SetHeader("Accept", "application/json")
	for _, key := range slices.Sorted(maps.Keys(what.params)) {
		request.Param(key, what.params[key])
	}
	if limit > 0 {
		request.Param("limit", strconv.Itoa(limit))
	}
	if next != "" {
		request.Param("continue", next)
	}
	result := request.Do(ctx)
	if err := result.Error(); err != nil {
		return nil, err // Raw's own error lacks what the API server said
	}
	return result.Raw()
}

func explainList(what list, err error) error {
	name := what.resource.Plural
	if what.resource.Group != "" {
		name += "." + what.resource.Group
	}
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		return fmt.Errorf("listing %s: %w; to see what you may do, kubectl auth can-i list %s -A", name, err, name)
	}
	return fmt.Errorf("listing %s: %w; to see whether the cluster answers, kubectl cluster-info; "+
		"without a cluster, read manifests with --filename", name, err)
}
