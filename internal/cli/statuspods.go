package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"iter"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/revision-router/revision-router/internal/inventory"
	"github.com/revision-router/revision-router/internal/manifest"
	"github.com/revision-router/revision-router/internal/sail"
	"github.com/revision-router/revision-router/internal/status"
)

// podRead is one pod. counts is false for those that have ended or are about to.
type podRead struct {
	key    string
	pod    status.Pod
	counts bool
}

// podsIn pairs what the two readings of one text say about its pods. Both have them in the same order.
func podsIn(forSkew, forRouting *manifest.Set) iter.Seq[podRead] {
	return func(yield func(podRead) bool) {
		next, stop := iter.Pull2(manifest.All[*manifest.Workload](forRouting))
		defer stop()
		for at, pod := range manifest.All[*inventory.Pod](forSkew) {
			for {
				o, w, ok := next()
				if !ok {
					return
				}
				if o.Kind != at.Kind || o.Group != at.Group {
					continue // what makes pods is none
				}
				facts, counts := status.PodOf(pod, w.Pod)
				if !yield(podRead{key: at.Namespace + "/" + at.Name, pod: facts, counts: counts}) {
					return
				}
				break
			}
		}
	}
}

// decodePods reads pods as the API server wrote them: one, or a page of a list.
func decodePods(ctx context.Context, raw []byte) (iter.Seq[podRead], error) {
	read := func(purpose manifest.Purpose) (*manifest.Set, error) {
		c := manifest.NewCollector(manifest.CollectOptions{Live: true, Purpose: purpose})
		err := c.Add(ctx, "pods", bytes.NewReader(raw))
		set, problems := c.Finish()
		if err != nil {
			return nil, err
		}
		return set, problems
	}
	forSkew, err := read(manifest.ForSkew)
	if err != nil {
		return nil, fmt.Errorf("reading pods: %w", err)
	}
	forRouting, err := read(manifest.ForRouting)
	if err != nil {
		return nil, fmt.Errorf("reading pods: %w", err)
	}
	return podsIn(forSkew, forRouting), nil
}

func injectorsOf(set *manifest.Set) []sail.Injector {
	var list []sail.Injector
	for _, c := range manifest.All[*admissionregistrationv1.MutatingWebhookConfiguration](set) {
		if injector, ok := sail.FromWebhookConfiguration(c); ok {
			list = append(list, injector)
		}
	}
	return list
}

// podLister lists the pods of a cluster page by page, and keeps none of them.
type podLister struct {
	lister
	what list
}

func (o *statusOptions) podLister() (*podLister, error) {
	client, err := o.source.client()
	if err != nil {
		return nil, err
	}
	l := &podLister{lister: lister{client: client, pageSize: cmp.Or(o.source.pageSize, defaultPageSize)}}
	for _, r := range manifest.Resources(manifest.ForSkew) {
		if r.Kind == "Pod" {
			l.what = list{resource: r, path: r.Path(""), params: map[string]string{"fieldSelector": r.Fields}}
		}
	}
	return l, nil
}

// list reads all pods that count. It returns the version of the list, from which they can be followed. restart is
// called where the pages have to be read anew, because the snapshot behind them is gone.
func (l *podLister) list(ctx context.Context, restart func(), add func(podRead)) (version string, err error) {
	next, limit := "", l.pageSize
	for {
		page, err := l.page(ctx, l.what, next, limit)
		if apierrors.IsResourceExpired(err) && next != "" {
			next, limit = "", 0
			restart()
			continue
		}
		if err != nil {
			return "", explainList(l.what, err)
		}
		var head struct {
			Metadata struct {
				Continue        string `json:"continue"`
				ResourceVersion string `json:"resourceVersion"`
			} `json:"metadata"`
		}
		if err := json.Unmarshal(page, &head); err != nil {
			return "", fmt.Errorf("the list of pods is no JSON: %w", err)
		}
		pods, err := decodePods(ctx, page)
		if err != nil {
			return "", err
		}
		for p := range pods {
			if p.counts {
				add(p)
			}
		}
		if next = head.Metadata.Continue; next == "" {
			return head.Metadata.ResourceVersion, nil
		}
	}
}
