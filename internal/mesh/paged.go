package mesh

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// podsPerPage: a page of 500 pods with sidecars is about 8 MB of JSON. Nothing else that is read page by page is as large.
const podsPerPage = 500

// pagedClient lists page by page, and keeps what counts of each object before it asks for the next page. An API
// server that can stream a list is never asked for one; see [store.Transformer] for that.
type pagedClient struct {
	wholeClient

	read  func(object any) (item, error)
	limit int64
}

var _ client = pagedClient{}

// List ignores the resource version that it is given, since the API server's cache would answer in one piece. All
// pages are of one resource version. If that expires on the way the list fails, and the reflector begins anew.
func (c pagedClient) List(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	o.ResourceVersion, o.ResourceVersionMatch, o.Limit, o.Continue = "", "", c.limit, ""
	all := &itemList{}
	for {
		page, err := c.wholeClient.List(ctx, o)
		if err != nil {
			return nil, err
		}
		if err := all.take(page, c.read); err != nil {
			return nil, err
		}
		if all.Continue == "" {
			return all, nil
		}
		o.Continue = all.Continue
	}
}

// itemList is a list whose objects are converted already.
type itemList struct {
	metav1.TypeMeta
	metav1.ListMeta

	Items []item
}

// take adds a page, but for the objects that mean nothing.
func (l *itemList) take(page runtime.Object, read func(object any) (item, error)) error {
	m, err := meta.ListAccessor(page)
	if err != nil {
		return err
	}
	l.ResourceVersion, l.Continue = m.GetResourceVersion(), m.GetContinue()
	return meta.EachListItem(page, func(object runtime.Object) error {
		i, err := read(object)
		if err == nil && i.kept {
			l.Items = append(l.Items, i)
		}
		return err
	})
}

// DeepCopyObject implements runtime.Object.
func (l *itemList) DeepCopyObject() runtime.Object {
	out := *l
	l.DeepCopyInto(&out.ListMeta)
	out.Items = append([]item(nil), l.Items...)
	return &out
}

var _ runtime.Object = (*item)(nil)

// GetObjectKind implements runtime.Object, so that a reflector passes an item on.
func (i *item) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// DeepCopyObject implements runtime.Object.
func (i *item) DeepCopyObject() runtime.Object {
	out := *i
	return &out
}
